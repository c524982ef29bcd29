/// Why a command ends without what it was asked for: one sentence for the cause
/// and one for the remedy, and the status the process ends with.
struct Failure: Error, Hashable, Sendable {
  /// What the process ends with (sysexits.h).
  enum Status: Int32, Sendable {
    /// The answer is no, or nothing answers.
    case general = 1
    /// EX_USAGE: the command line is wrong.
    case usage = 64
    /// EX_DATAERR: the policy is wrong.
    case policy = 65
    /// EX_UNAVAILABLE: the host lacks something.
    case host = 69
    /// EX_CONFIG: the configuration is wrong.
    case configuration = 78
  }

  var status: Int32
  var message: String

  init(_ status: Status, _ message: String) {
    self.init(status: status.rawValue, message)
  }

  init(status: Int32, _ message: String) {
    self.status = status
    self.message = message
  }
}

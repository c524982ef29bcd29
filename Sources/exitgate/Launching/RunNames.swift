import Audit
import Glibc

/// Where a run writes. Several may go on at the same time, each with files of
/// its own where nobody names any.
struct RunNames {
  let auditLog: String
  let control: String
  /// Held from the choice until the log is open, so that two do not choose the same; nil without a choice.
  private var turn: Int32?

  init(auditLog: String?, control: String?, in here: Surroundings) {
    if auditLog == nil { makeDirectories(above: here.paths.auditLog) }
    if control == nil { makeDirectories(above: here.paths.control) }
    if auditLog == nil { turn = Self.takeTurn(beside: here.paths.auditLog) }
    self.auditLog = auditLog ?? Self.free(here.paths.auditLog)
    self.control = control ?? "\(directory(of: here.paths.control))/run-\(getpid()).sock"
  }

  /// Lets the next run choose.
  func endTurn() { if let turn { close(turn) } }

  private static func takeTurn(beside path: String) -> Int32? {
    let descriptor = open("\(directory(of: path))/run.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { return nil }
    flock(descriptor, LOCK_EX)
    return descriptor
  }

  /// The log itself, or the first numbered one beside it that nobody writes to.
  private static func free(_ path: String) -> String {
    guard AuditLog.isInUse(path) else { return path }
    let stem = path.hasSuffix(".jsonl") ? String(path.dropLast(6)) : path
    return (2...1000).lazy.map { "\(stem)-\($0).jsonl" }.first { !AuditLog.isInUse($0) } ?? path
  }
}

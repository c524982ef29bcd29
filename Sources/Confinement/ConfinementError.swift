import Glibc
import SystemPackage

/// Why a process could not be confined, or a keeper not be started.
public enum ConfinementError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kernel refused a step.
  case refused(step: String, Errno)
  /// What was dropped is still there when it is read back.
  case notDropped(String)
  /// Other threads run, which would stay as they are.
  case hasThreads(Int)
  /// No table of system calls for this processor.
  case unknownArchitecture
  /// No such user.
  case noUser(String)

  public var description: String { "\(cause). \(remedy)." }

  private var cause: String {
    switch self {
    case .refused(let step, let error): "the kernel refuses to \(step): \(error)"
    case .notDropped(let what): "\(what) was dropped and is still held"
    case .hasThreads(let count): "\(count) threads run already, and some steps bind the calling thread alone"
    case .unknownArchitecture: "there is no list of system calls for this processor"
    case .noUser(let name): "there is no user '\(name)' in /etc/passwd"
    }
  }

  private var remedy: String {
    switch self {
    case .refused, .notDropped: "'exitgate doctor' says what this host lacks"
    case .hasThreads: "Confine the process before its first queue or thread"
    case .unknownArchitecture: "Use an x86_64 or aarch64 machine"
    case .noUser: "Make it (useradd --system --no-create-home), or name another one or a number"
    }
  }
}

/// Runs one step; what returns -1 is an error.
func step(_ name: String, _ body: () -> some BinaryInteger) throws(ConfinementError) {
  guard body() >= 0 else { throw .refused(step: name, lastErrno()) }
}

func lastErrno() -> Errno { Errno(rawValue: errno) }

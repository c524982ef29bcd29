import Glibc

/// Why netfilter did not do what it was asked.
public struct NetfilterError: Error, Hashable, CustomStringConvertible {
  /// What was asked: `add chain inet exitgate out`, `open the socket`.
  public var operation: String
  public var problem: Problem

  public enum Problem: Hashable, Sendable {
    /// The table, or the log group, belongs to a process that is alive: its socket holds it.
    case ownedByAnother
    /// CAP_NET_ADMIN is missing in the user namespace of the network namespace.
    case notPermitted
    /// There is no such table, chain, set or element.
    case absent
    /// The kernel lacks the expression, the chain type or the table flag.
    case unsupported
    /// The socket's buffer overflowed and what was in it is lost.
    case overrun
    /// No answer came.
    case noAnswer
    /// The tables changed while they were read, again and again.
    case disturbed
    /// A value does not fit its place, such as an IPv6 address in a set of IPv4.
    case invalidValue
    /// Something that is not ours is in its place: what, as ip(8) shows it.
    case occupied(String)
    /// Any other error, as errno(3) numbers it.
    case other(Int32)
  }

  init(_ operation: String, _ problem: Problem) {
    self.operation = operation
    self.problem = problem
  }

  /// - Parameter inBatch: Whether the kernel refused one message of a batch
  ///   rather than the batch as a whole; EPERM means another owner then.
  init(_ operation: String, errno code: Int32, inBatch: Bool = false) {
    self.operation = operation
    self.problem =
      switch code {
      case EPERM, EACCES: inBatch ? .ownedByAnother : .notPermitted
      case ENOENT: .absent
      case EOPNOTSUPP, EPROTONOSUPPORT, EAFNOSUPPORT: .unsupported
      case ENOBUFS: .overrun
      default: .other(code)
      }
  }

  public var description: String { "cannot \(operation): \(problem.cause). \(problem.remedy)." }
}

extension NetfilterError.Problem {
  /// What happened.
  var cause: String {
    switch self {
    case .ownedByAnother: "a running process owns it"
    case .notPermitted: "CAP_NET_ADMIN is missing"
    case .absent: "there is no such object"
    case .unsupported: "this kernel does not support it"
    case .overrun: "the netlink socket's buffer overflowed"
    case .noAnswer: "the kernel did not answer"
    case .disturbed: "the tables kept changing while they were read"
    case .invalidValue: "a value does not fit its type"
    case .occupied(let what): "'\(what)' shows something that is not ours"
    case .other(let code): String(cString: strerror(code))
    }
  }

  /// The way out.
  var remedy: String {
    switch self {
    case .ownedByAnother: "Stop that process first; nobody else can change or remove what it owns"
    case .notPermitted: "Run as root, or give the container the NET_ADMIN capability"
    case .absent: "Somebody removed it, or it was never made; install the table anew"
    case .unsupported: "Use a newer kernel, or one built with this part of nf_tables"
    case .overrun: "Try again; raise net.core.rmem_max if it happens often"
    case .noAnswer, .disturbed: "Try again"
    case .invalidValue: "Correct the value"
    case .occupied: "Take it away, or whoever makes it"
    case .other: "See the kernel log"
    }
  }
}

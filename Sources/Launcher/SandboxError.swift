import Glibc
import SystemPackage

/// One part of what holds a command in.
public enum SandboxPart: String, Hashable, Sendable, CaseIterable {
  /// A user namespace, without which an ordinary user gets none of the others.
  case userNamespace = "user-namespace"
  /// The user and group in it, which are written to `/proc`.
  case idMaps = "id-maps"
  /// Network, mounts, processes, IPC and host names of its own.
  case namespaces
  /// Loopback and the routes that lead everything to it.
  case network
  /// The table that captures what the command sends, and the listeners.
  case table
  /// The files that it sees.
  case files
  /// A view of its own processes alone.
  case proc
  /// Limits on files beside the view.
  case landlock
  /// Limits on system calls.
  case seccomp
  /// Limits on memory and processes.
  case limits

  /// Whether a person may go on without it: what is left still holds.
  public var mayBeWeaker: Bool { [.proc, .landlock, .limits].contains(self) }

  /// What `user` may do about a host that refuses it.
  func remedy(for user: UInt32) -> String {
    switch self {
    case .userNamespace:
      "Allow user namespaces: sysctl user.max_user_namespaces=10000, kernel.unprivileged_userns_clone=1 (Debian), "
        + "or in a container a seccomp profile that lets unshare(2) pass"
    case .idMaps:
      "Make /proc writable: mount -o remount,rw /proc, or in a container leave the system's paths writable (docker: "
        + "--security-opt systempaths=unconfined)"
    case .namespaces:
      "Where AppArmor restricts user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a "
        + "profile for exitgate with 'userns,'"
    case .network, .table: "'exitgate doctor --for run' says what the kernel lacks"
    case .files: "Name other paths with --read and --write"
    case .proc:
      "Start it where /proc is whole (in docker: --security-opt systempaths=unconfined), or say --allow-weaker proc"
    case .landlock: "Use Linux 6.12 or later, started with lsm=landlock,…, or say --allow-weaker landlock"
    case .seccomp: "Use a kernel with CONFIG_SECCOMP_FILTER"
    case .limits where user == 0: "Run the command as an ordinary user, or say --allow-weaker limits"
    case .limits:
      "Start it in a control group in which you may make others and enter them, or say --allow-weaker limits"
    }
  }
}

/// Why a sandbox was not made. Nothing of it is left.
public struct SandboxError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What the host refuses.
  public var part: SandboxPart
  /// What was tried, and the kernel's answer.
  public var cause: String

  /// Makes an error.
  public init(_ part: SandboxPart, _ cause: String) {
    self.part = part
    self.cause = cause
  }

  public var description: String { "\(cause). \(part.remedy(for: geteuid()))." }
}

/// Runs one step; what returns -1 is an error of that part.
@discardableResult
func attempt<Number: BinaryInteger>(
  _ part: SandboxPart, _ what: @autoclosure () -> String, _ body: () -> Number
) throws(SandboxError) -> Number {
  let result = body()
  guard result >= 0 else { throw SandboxError(part, "cannot \(what()): \(Errno(rawValue: errno))") }
  return result
}

import CLinux
import Confinement
import Glibc
import SystemPackage

/// A sandbox as the gate outside has it: a process that it started, and a way to speak with what is inside.
///
/// `@unchecked Sendable`: until `watch` it is used by the only thread; later only
/// `signal` is called, which sends one packet and touches nothing else.
public final class Sandbox: @unchecked Sendable {
  /// What became of the command.
  public enum Event: Hashable, Sendable {
    /// It runs.
    case started
    /// There is no such program inside, or it cannot be run: the kernel's reason.
    case unstartable(Errno)
    /// It ended: its exit status, or 128 and the signal that killed it.
    case ended(Int32)
    /// Its time is over; it is told to end, and ended if it does not.
    case overtime
    /// The sandbox and all processes in it are gone.
    case gone
  }

  private let process: KeeperProcess
  private var channel: MessageChannel { process.channel }

  private init(_ process: KeeperProcess) { self.process = process }

  /// Begins to make a sandbox.
  ///
  /// - Parameter open: Runs in the sandbox's network, in another process: opens what the gate gets.
  /// - Precondition: This process has one thread.
  public static func begin(
    _ plan: SandboxPlan, opening open: (_ hasIPv6: Bool) throws -> SandboxOpening
  ) throws(SandboxError) -> Sandbox {
    let process: KeeperProcess
    do {
      process = try KeeperProcess.start(
        name: "exitgate-run", keeping: [STDIN_FILENO, STDOUT_FILENO],
        body: { SandboxSetup(plan, $0).run(open) })
    } catch { throw SandboxError(.namespaces, "\(error)") }
    let sandbox = Sandbox(process)
    try sandbox.map()
    return sandbox
  }

  /// Gives the user namespace the one user and group that there are: those of this process.
  ///
  /// - Source: user_namespaces(7): without setgroups(2), a map of one's own id needs no privilege.
  private func map() throws(SandboxError) {
    guard case .unshared = try next().message else {
      throw SandboxError(.userNamespace, "the process that makes namespaces is confused")
    }
    let (user, group) = (geteuid(), getegid())
    for (name, text) in [
      ("setgroups", "deny"), ("uid_map", "\(user) \(user) 1"), ("gid_map", "\(group) \(group) 1"),
    ] {
      try write(text, to: "/proc/\(process.pid)/\(name)")
    }
    send(.mapped)
  }

  private func write(_ text: String, to path: String) throws(SandboxError) {
    let descriptor = try attempt(.idMaps, "open \(path)") { open(path, O_WRONLY | O_CLOEXEC) }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    try attempt(.userNamespace, "write \(path)") { Glibc.write(descriptor, bytes, bytes.count) }
  }

  /// Waits until everything is there.
  ///
  /// - Returns: What was opened inside, in the same order, the caller's to close; whether there is IPv6; and why the
  ///   plan's control group does not hold it, where the plan says that it need not.
  public func awaitReady() throws(SandboxError) -> Ready {
    let (message, descriptors) = try next()
    guard case .ready(let hasIPv6, let ungrouped) = message else {
      throw SandboxError(.namespaces, "the sandbox is confused")
    }
    return (descriptors, hasIPv6, ungrouped)
  }

  /// As `awaitReady` returns it.
  public typealias Ready = (descriptors: [Int32], hasIPv6: Bool, ungrouped: String?)

  private func next() throws(SandboxError) -> (message: SandboxMessage, descriptors: [Int32]) {
    guard case .message(let bytes, let descriptors)? = try? channel.receive(),
      let message = SandboxMessage(bytes)
    else { throw SandboxError(.namespaces, "the process that makes the sandbox died") }
    if case .refused(let error) = message { throw error }
    return (message, descriptors)
  }

  // MARK: - The command

  /// Starts the command.
  public func go() { send(.go) }

  /// Passes a signal on to the command.
  public func signal(_ number: Int32) { send(.signal(number)) }

  /// A sandbox that is gone hears nothing, and says so by `next`.
  private func send(_ message: SandboxMessage) { try? channel.send(message.bytes) }

  /// Readable when `event` has something to say.
  public var descriptor: Int32 { channel.descriptor }

  /// What happened next; nil when nothing has. Ask until nil or `.gone`: the
  /// end wakes a Dispatch source once, with all that came before it.
  public func event() -> Event? {
    channel.stopBlocking()
    while true {
      let received = try? channel.receive()
      if received == .nothingYet { return nil }
      guard case .message(let bytes, let descriptors)? = received else { return .gone }
      descriptors.forEach { _ = close($0) }
      switch SandboxMessage(bytes) {
      case .started: return .started
      case .unstartable(let number): return .unstartable(Errno(rawValue: number))
      case .overtime: return .overtime
      case .ended(let status): return .ended(status)
      default: continue
      }
    }
  }
}

/// What a policy says about the sandbox of a command beside where it may connect to.
public struct SandboxSettings: Hashable, Sendable {
  /// Paths as they are written: absolute, `~/…`, or relative to the working directory.
  public var read: [String] = []
  /// Those that may be changed as well.
  public var write: [String] = []
  /// Those that are not there, whatever is above them.
  public var hide: [String] = []
  /// Variables of the environment that are let in.
  public var environment: [String] = []
  /// How many processes and threads there may be at a time.
  public var maxProcesses: Int?
  /// How much memory of its own each process may have, in bytes.
  public var memory: UInt64?
  /// How long the command may run.
  public var time: Duration?

  /// Makes settings that say nothing.
  public init() {}

  /// Whether nothing is said.
  public var isEmpty: Bool { self == SandboxSettings() }

  /// Takes in what another document says: of paths and variables both, of limits the narrower.
  public mutating func merge(_ other: SandboxSettings) {
    read += other.read.filter { !read.contains($0) }
    write += other.write.filter { !write.contains($0) }
    hide += other.hide.filter { !hide.contains($0) }
    environment += other.environment.filter { !environment.contains($0) }
    maxProcesses = Self.narrower(maxProcesses, other.maxProcesses)
    memory = Self.narrower(memory, other.memory)
    time = Self.narrower(time, other.time)
  }

  private static func narrower<Limit: Comparable>(_ one: Limit?, _ other: Limit?) -> Limit? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
  }
}

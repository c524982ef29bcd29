/// What a document of a policy says, and where.
public struct Stated<Value: Hashable & Sendable>: Hashable, Sendable {
  /// What is said.
  public var value: Value
  /// `file:line`.
  public var place: String

  /// Makes a statement.
  public init(_ value: Value, at place: String) { (self.value, self.place) = (value, place) }
}

/// What a policy says about the sandbox of a command beside where it may connect to.
public struct SandboxSettings: Hashable, Sendable {
  /// Paths as they are written: absolute, `~/…`, or relative to the working directory.
  public var read: [Stated<String>] = []
  /// Those that may be changed as well.
  public var write: [Stated<String>] = []
  /// Those that are not there, whatever is above them.
  public var hide: [Stated<String>] = []
  /// Variables of the environment that are let in.
  public var environment: [Stated<String>] = []
  /// How many processes and threads there may be at a time.
  public var maxProcesses: Stated<Int>?
  /// How much memory of its own each process may have, in bytes.
  public var memory: Stated<UInt64>?
  /// How long the command may run.
  public var time: Stated<Duration>?

  /// Makes settings that say nothing.
  public init() {}

  /// Whether nothing is said.
  public var isEmpty: Bool { self == SandboxSettings() }

  /// Takes in what another document says: of paths and variables both, of limits the narrower.
  public mutating func merge(_ other: SandboxSettings) {
    Self.add(other.read, to: &read)
    Self.add(other.write, to: &write)
    Self.add(other.hide, to: &hide)
    Self.add(other.environment, to: &environment)
    maxProcesses = Self.narrower(maxProcesses, other.maxProcesses)
    memory = Self.narrower(memory, other.memory)
    time = Self.narrower(time, other.time)
  }

  /// What two say was said by the first.
  private static func add(_ others: [Stated<String>], to all: inout [Stated<String>]) {
    for other in others where !all.contains(where: { $0.value == other.value }) { all.append(other) }
  }

  private static func narrower<Limit: Comparable>(_ one: Stated<Limit>?, _ other: Stated<Limit>?)
    -> Stated<Limit>?
  {
    guard let one, let other else { return one ?? other }
    return other.value < one.value ? other : one
  }
}

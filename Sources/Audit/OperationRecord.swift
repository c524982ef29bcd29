import Policy

/// A policy came into force, or was refused.
public struct PolicyRecord: Sendable {
  /// What became of it.
  public enum Outcome: String, Hashable, Sendable {
    /// In force from now on.
    case loaded
    /// Refused; the one before stays in force.
    case refused
  }

  /// When.
  public var time: Timestamp
  /// What became of it.
  public var outcome: Outcome
  /// The number of the policy in force afterwards.
  public var generation: UInt64
  /// Enforce or audit.
  public var mode: Mode
  /// The files and lists it was read from; the first 16 are written.
  public var sources: [String]
  /// SHA-256 of the policy's text, 64 hexadecimal digits.
  public var sha256: String?
  /// Why it was refused.
  public var error: String?

  /// Makes a record.
  public init(
    time: Timestamp, outcome: Outcome, generation: UInt64, mode: Mode, sources: [String],
    sha256: String? = nil,
    error: String? = nil
  ) {
    self.time = time
    self.outcome = outcome
    self.generation = generation
    self.mode = mode
    self.sources = sources
    self.sha256 = sha256
    self.error = error
  }
}

/// The log's and the gate's own life.
public struct LifecycleRecord: Hashable, Sendable {
  /// What happened.
  public enum Event: String, Hashable, Sendable {
    /// The log was opened; the first record of a run.
    case start
    /// The log was closed in order.
    case stop
    /// The run before ended without a stop record, or its last line was torn.
    case recovered
    /// The log could not be written for a while; the fields count what was not.
    case collapsed
    /// A new file was begun because the one before was full, moved or removed.
    case rotated
    /// The oldest file is taken away, as the log was told to keep only so many.
    case removed
    /// Everything is refused by order, or no longer.
    case notice
  }

  /// When.
  public var time: Timestamp
  /// What happened.
  public var event: Event
  /// What else there is to say.
  public var detail: String
  /// Whom it is about; nil where it is about no one agent.
  public var agent: AgentName?
  /// What kind of thing was counted, a word of the gate's own.
  public var reason: String?
  /// Numbers with names that need no escapes.
  public var counts: [Count]

  /// One number with its name.
  public struct Count: Hashable, Sendable {
    /// The name.
    public var name: String
    /// The number.
    public var value: UInt64
  }

  /// Makes a record.
  public init(
    time: Timestamp, event: Event, detail: String = "", agent: AgentName? = nil, reason: String? = nil,
    counts: [(String, UInt64)] = []
  ) {
    self.time = time
    self.event = event
    self.detail = detail
    self.agent = agent
    self.reason = reason
    self.counts = counts.map { Count(name: $0.0, value: $0.1) }
  }
}

/// What a person or program asked for over the control socket.
public struct ControlRecord: Sendable {
  /// When.
  public var time: Timestamp
  /// The peer's process; nil where the kernel does not say.
  public var processID: Int32?
  /// The peer's user; nil where the kernel does not say.
  public var userID: UInt32?
  /// The operation: `reload`, `approve`, `refuse`, …
  public var operation: String
  /// What it was about: a rule's or a pending connection's id.
  public var subject: String?
  /// Why it was refused; nil when it was done.
  public var refusal: String?
  /// What a person answered; nil for other operations.
  public var answer: AnswerFacts?

  /// Makes a record.
  public init(
    time: Timestamp, processID: Int32?, userID: UInt32?, operation: String, subject: String? = nil,
    refusal: String? = nil, answer: AnswerFacts? = nil
  ) {
    self.time = time
    self.processID = processID
    self.userID = userID
    self.operation = operation
    self.subject = subject
    self.refusal = refusal
    self.answer = answer
  }
}

import Addressing
import Policy

/// Who asks whom for what, and what was answered: the whole of approval without
/// I/O. Time, ids and digests come from outside; every call is total.
///
/// A connection is known by its number, its *waiter*. Each waiter that was held
/// gets one verdict at most, and takes it with `take`, or leaves with `leave`.
///
/// What is allowed here only turns the `ask` of a fresh decision into a pass:
/// no deny rule and no floor is looked at, and none is opened.
public struct ApprovalBook: Sendable {
  /// A question, and the connections held for it in the order in which they came.
  struct Entry: Sendable {
    var question: PendingQuestion
    var waiters: [UInt64] = []
  }

  /// One agent's names under one registered domain.
  struct Quarter: Hashable, Sendable {
    var agent: AgentName
    var domain: Hostname
  }

  let bounds: Bounds
  private let drawID: @Sendable () -> PendingID
  private let digest: @Sendable (String) -> String
  var entries: [PendingID: Entry] = [:]
  var places: [ApprovalKey: PendingID] = [:]
  /// Where further names of a quarter are asked about.
  var joined: [Quarter: PendingID] = [:]
  /// What each held connection is held for.
  var waiting: [UInt64: ApprovalKey] = [:]
  /// Verdicts that their connections have not taken yet.
  var verdicts: [UInt64: (verdict: Verdict, asked: Asked)] = [:]
  var grants: [String: Grant] = [:]
  var grantOf: [ApprovalKey: String] = [:]
  var refusals: Refusals
  private var rate = PromptRate()
  private var channels: [UInt64: ApprovalChannel] = [:]
  private var lastChannel: UInt64 = 0
  var outcomes: [PendingID: Outcome] = [:]
  private var outcomeOrder: [PendingID] = []
  private var events: [BookEvent] = []
  /// The policy in force.
  var generation: UInt64
  /// What was answered for good, as rules. They say nothing but where a policy asks.
  public var standing = Policy()

  /// Opens an empty book.
  ///
  /// - Parameters:
  ///   - generation: The policy in force.
  ///   - drawID: Gives ids that nobody can guess.
  ///   - digest: Gives a text that no other input has.
  public init(
    bounds: Bounds = Bounds(), generation: UInt64, drawID: @escaping @Sendable () -> PendingID,
    digest: @escaping @Sendable (String) -> String
  ) {
    self.bounds = bounds
    self.generation = generation
    self.drawID = drawID
    self.digest = digest
    refusals = Refusals(bounds)
  }

  /// The questions that wait, the oldest first.
  public var questions: [PendingQuestion] {
    entries.values.map(\.question).sorted { ($0.first, $0.id.text) < ($1.first, $1.id.text) }
  }

  /// What became of a question; nil for one that waits or is not known any more.
  public func outcome(of id: PendingID) -> Outcome? { outcomes[id] }

  /// The question that a connection is held for now.
  public func question(of waiter: UInt64) -> PendingID? { waiting[waiter].flatMap { places[$0] } }

  /// A question that waits.
  public func question(_ id: PendingID) -> PendingQuestion? { entries[id]?.question }

  /// What stands approved, the oldest first; not what was written down.
  public var standingGrants: [Grant] {
    grants.values.sorted { ($0.given, $0.approval.id) < ($1.given, $1.approval.id) }
  }

  /// What stands refused until the gate ends, the oldest first; not what was written down.
  public var standingRefusals: [StandingRefusal] { refusals.standing }

  /// Takes what has happened since the last call.
  public mutating func takeEvents() -> [BookEvent] {
    defer { events = [] }
    return events
  }

  mutating func tell(_ event: BookEvent) { events.append(event) }

  mutating func remember(_ outcome: Outcome, of id: PendingID) {
    outcomes[id] = outcome
    outcomeOrder.append(id)
    if outcomeOrder.count > bounds.outcomes { outcomes[outcomeOrder.removeFirst()] = nil }
  }

  mutating func newID() -> PendingID { drawID() }

  /// Sets the digest of all that a question would allow, and of the policy whose rules give it their leave.
  func seal(_ question: inout PendingQuestion) {
    let lines = question.members.map { member in
      let request = member.key.request.map { " \($0.method) \($0.path)" } ?? ""
      let leave = member.leave.map(\.rawValue).joined(separator: ", ")
      return "\(member.key.agent) \(member.key.destination)\(request)\n\(leave)\n\(member.candidate ?? "")"
    }
    question.digest = digest("\(question.generation)\n" + lines.joined(separator: "\n"))
  }

  mutating func takePrompt(_ agent: AgentName, at now: Timestamp) -> Bool {
    rate.take(agent, limit: bounds.promptsPerMinute, at: now)
  }
}

// MARK: - Who is there to be asked

extension ApprovalBook {
  /// Counts one more way by which a person is asked now.
  ///
  /// - Returns: What `detach` takes.
  public mutating func attach(_ channel: ApprovalChannel) -> UInt64 {
    lastChannel += 1
    channels[lastChannel] = channel
    return lastChannel
  }

  /// A way is gone. What is held goes on being held for its time.
  public mutating func detach(_ token: UInt64) { channels[token] = nil }

  /// Whether anybody can be asked.
  public var isAttended: Bool { !channels.isEmpty }

  /// Whether somebody sits in front of it.
  public var hasTerminal: Bool { channels.values.contains(.terminal) }

  /// How many there are of each.
  public var attached: [ApprovalChannel: Int] {
    channels.values.reduce(into: [:]) { $0[$1, default: 0] += 1 }
  }
}

import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// What the log is told of questions: the first of a kind at once, the others
/// counted and told of each ten seconds, by kind as long as an agent keeps to
/// some hundred kinds, and in one sum beyond.
struct QuestionLog {
  /// Between two records of one kind.
  static let period: Duration = .seconds(10)
  /// Kinds of one agent that get a record of their own within a period. An agent
  /// that keeps to the rate of 50 a second never has more.
  static let kindsPerAgent = 512

  /// What an agent asked beyond that.
  struct Sum {
    let agent: AgentNumber
    var count: UInt64
    let first: MonotonicTime
    var last: MonotonicTime
    /// That of the last one.
    var verdict: QuestionVerdict
  }

  private struct Account {
    var kinds = 0
    var allowed: Sum?
    var denied: Sum?
  }

  private var accounts: [Account] = []
  private var periodEnd = MonotonicTime(nanoseconds: 0)

  /// Whether `take` would say yes.
  func hasRoom(_ agent: AgentNumber) -> Bool {
    accounts.count <= Int(agent) || accounts[Int(agent)].kinds < Self.kindsPerAgent
  }

  /// Whether a new kind of `agent` gets a record of its own.
  mutating func take(_ agent: AgentNumber) -> Bool {
    makeRoom(for: agent)
    guard accounts[Int(agent)].kinds < Self.kindsPerAgent else { return false }
    accounts[Int(agent)].kinds += 1
    return true
  }

  /// Counts a question that gets none.
  mutating func count(_ verdict: QuestionVerdict, of agent: AgentNumber, at now: MonotonicTime) {
    makeRoom(for: agent)
    if verdict.isDenial {
      accounts[Int(agent)].denied.add(verdict, of: agent, at: now)
    } else {
      accounts[Int(agent)].allowed.add(verdict, of: agent, at: now)
    }
  }

  private mutating func makeRoom(for agent: AgentNumber) {
    while accounts.count <= Int(agent) { accounts.append(Account()) }
  }

  /// The sums that are due at `now`, or all of them.
  mutating func sums(at now: MonotonicTime, all: Bool = false) -> [Sum] {
    guard all || now >= periodEnd else { return [] }
    periodEnd = now + Self.period
    let sums = accounts.flatMap { [$0.denied, $0.allowed].compactMap(\.self) }
    for index in accounts.indices { accounts[index] = Account() }
    return sums
  }
}

extension Optional where Wrapped == QuestionLog.Sum {
  fileprivate mutating func add(_ verdict: QuestionVerdict, of agent: AgentNumber, at now: MonotonicTime) {
    guard self != nil else {
      self = QuestionLog.Sum(agent: agent, count: 1, first: now, last: now, verdict: verdict)
      return
    }
    self?.count += 1
    self?.last = now
    if self?.verdict != verdict { self?.verdict = verdict }
  }
}

/// One moment on both clocks, to give things heard on the one a time on the other.
struct WallClock {
  let wall: Timestamp
  let moment: MonotonicTime
  let generation: UInt64

  func time(of moment: MonotonicTime) -> Timestamp {
    Timestamp(
      milliseconds: wall.milliseconds
        - Int64((self.moment.nanoseconds - min(moment.nanoseconds, self.moment.nanoseconds)) / 1_000_000))
  }

  func rollUp(
    _ verdict: QuestionVerdict, of agent: AgentName, destination: Destination?, type: String?, count: UInt64,
    _ first: MonotonicTime, _ last: MonotonicTime, isOverflow: Bool = false
  ) -> RollUpRecord {
    RollUpRecord(
      agent: agent, layer: .dns, destination: destination, reason: verdict.reason,
      rule: isOverflow ? nil : verdict.rule, generation: generation, count: count, first: time(of: first),
      last: time(of: last), isOverflow: isOverflow, verdict: verdict.action, wouldDeny: verdict.wouldDeny,
      method: type)
  }
}

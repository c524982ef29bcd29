import Addressing
import Audit
import Policy

/// Totals over a log.
public struct StatsReport: Sendable {
  /// What is counted for a destination, an agent or an hour.
  public struct Totals: Hashable, Sendable {
    /// Decisions to let through.
    public var allowed: UInt64 = 0
    /// Decisions to hold.
    public var held: UInt64 = 0
    /// Denials, those that roll-ups stand for among them.
    public var denied: UInt64 = 0
    /// Decisions that enforce mode would have made denials.
    public var wouldDeny: UInt64 = 0
    /// Connections that ended.
    public var closed: UInt64 = 0
    /// Bytes to upstreams.
    public var bytesOut: UInt64 = 0
    /// Bytes from upstreams.
    public var bytesIn: UInt64 = 0

    /// Nothing.
    public init() {}

    /// All decisions.
    public var decisions: UInt64 { allowed &+ held &+ denied }
  }

  /// How a rule was used.
  public struct Use: Hashable, Sendable {
    /// How many decisions it stood behind.
    public var count: UInt64 = 0
    /// The last of them.
    public var last: Timestamp
  }

  /// Over everything.
  public private(set) var totals = Totals()
  /// Decisions by reason, as in the log.
  public private(set) var reasons: [String: UInt64] = [:]
  /// By agent.
  public private(set) var agents: [String: Totals] = [:]
  /// By destination.
  public private(set) var destinations: [Destination: Totals] = [:]
  /// By hour, counted from 1970.
  public private(set) var hours: [Int64: Totals] = [:]
  /// By the id of the rule.
  public private(set) var rules: [String: Use] = [:]
  /// The first record's time.
  public private(set) var first: Timestamp?
  /// The last record's time.
  public private(set) var last: Timestamp?
  /// Denied packets that the kernel counted without a sample.
  public private(set) var lostEvents: UInt64 = 0
  /// Decisions about places that are too many to be told apart, which no destination here stands for.
  public private(set) var folded: UInt64 = 0

  /// Makes the report of a summary.
  public init(_ summary: LogSummary) {
    for tally in summary.totals { add(tally) }
    let outcomes = summary.kinds.map { Outcome($0) }
    for counter in summary.counters {
      guard let outcome = outcomes[Int(counter.kind)] else { continue }
      hours[counter.hour, default: Totals()].add(outcome, counter.amount)
    }
    (first, last, lostEvents) = (summary.first, summary.last, summary.lostEvents)
    folded = summary.foldedDecisions
  }

  private mutating func add(_ tally: Tally) {
    let kind = tally.kind
    guard let outcome = Outcome(kind) else { return }
    totals.add(outcome, tally.amount)
    if kind.event == .decision {
      if let reason = kind.reason { reasons[reason, default: 0] &+= tally.count }
      if let rule = kind.rule { use(rule, tally) }
    }
    if let agent = kind.agent { agents[agent, default: Totals()].add(outcome, tally.amount) }
    guard let destination = kind.destination else { return }
    destinations[destination, default: Totals()].add(outcome, tally.amount)
  }

  private mutating func use(_ rule: String, _ tally: Tally) {
    var use = rules[rule] ?? Use(last: tally.last)
    use.count &+= tally.count
    use.last = max(use.last, tally.last)
    rules[rule] = use
  }

  /// The hours that a chart shows: the last of them is the last that is not in the future and has any decisions.
  ///
  /// A record from the future, which a clock that jumped leaves behind, moves no chart away from all the others;
  /// where there is nothing else, it is shown.
  ///
  /// - Returns: The hours, and how many decisions bear a time in hours that have not begun; nil without any.
  public func chart(of count: Int64, at now: Timestamp) -> (hours: ClosedRange<Int64>, later: UInt64)? {
    let present = now.milliseconds / Tally.hourLength
    guard let last = hours.keys.filter({ $0 <= present }).max() ?? hours.keys.max() else { return nil }
    let later = hours.reduce(0) { $1.key > present ? $0 &+ $1.value.decisions : $0 }
    return ((last - count + 1)...last, later)
  }

  /// The destinations with the most bytes both ways.
  public func topByBytes(_ count: Int) -> [(destination: Destination, totals: Totals)] {
    top(count) { $0.bytesIn &+ $0.bytesOut }
  }

  /// The destinations that were denied most.
  public func topByDenials(_ count: Int) -> [(destination: Destination, totals: Totals)] {
    top(count) { $0.denied &+ $0.wouldDeny }
  }

  private func top(_ count: Int, by weight: (Totals) -> UInt64) -> [(
    destination: Destination, totals: Totals
  )] {
    destinations.filter { weight($0.value) > 0 }
      .sorted { left, right in
        let (own, other) = (weight(left.value), weight(right.value))
        return own != other ? own > other : "\(left.key)" < "\(right.key)"
      }
      .prefix(max(0, count)).map { ($0.key, $0.value) }
  }
}

/// What of a kind totals depend on.
private struct Outcome {
  let isClose: Bool
  let verdict: Action?
  let wouldDeny: Bool

  init?(_ kind: RecordKind) {
    guard kind.event != .other else { return nil }
    (isClose, verdict, wouldDeny) = (kind.event == .close, kind.verdict, kind.wouldDeny)
  }
}

extension StatsReport.Totals {
  fileprivate mutating func add(_ outcome: Outcome, _ amount: Amount) {
    if outcome.isClose {
      closed &+= amount.count
      bytesOut &+= amount.bytesOut
      bytesIn &+= amount.bytesIn
      return
    }
    if outcome.wouldDeny { wouldDeny &+= amount.count }
    switch outcome.verdict {
    case .allow: allowed &+= amount.count
    case .ask: held &+= amount.count
    case .deny: denied &+= amount.count
    case nil: break
    }
  }
}

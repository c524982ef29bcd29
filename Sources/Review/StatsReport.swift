import Addressing
import Audit
import Policy

/// Totals over a log.
public struct StatsReport: Sendable {
  /// The most destinations, agents and reasons that are told apart each.
  public static let keyLimit = 50_000

  /// What is counted for a destination or an agent.
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
  }

  /// Over everything.
  public private(set) var totals = Totals()
  /// Decisions by reason, as in the log.
  public private(set) var reasons: [String: UInt64] = [:]
  /// By agent.
  public private(set) var agents: [String: Totals] = [:]
  /// By destination.
  public private(set) var destinations: [Destination: Totals] = [:]
  /// The first record's time.
  public private(set) var first: Timestamp?
  /// The last record's time.
  public private(set) var last: Timestamp?

  /// Makes an empty report.
  public init() {}

  /// Counts a record.
  public mutating func add(_ record: LogRecord) {
    first = first ?? record.time
    last = record.time ?? last
    guard let event = record.event, ["decision", "rollup", "close"].contains(event) else { return }
    totals.add(record)
    if event != "close", let reason = record.reason { reasons.add(record.count, at: reason) }
    if let agent = record.agent, agents[agent] != nil || agents.count < Self.keyLimit {
      agents[agent, default: Totals()].add(record)
    }
    if let destination = record.destination,
      destinations[destination] != nil || destinations.count < Self.keyLimit
    {
      destinations[destination, default: Totals()].add(record)
    }
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
      .sorted { (weight($1.value), "\($0.key)") < (weight($0.value), "\($1.key)") }
      .prefix(max(0, count)).map { ($0.key, $0.value) }
  }
}

extension StatsReport.Totals {
  fileprivate mutating func add(_ record: LogRecord) {
    if record.event == "close" {
      closed &+= 1
      bytesOut &+= record.bytesOut
      bytesIn &+= record.bytesIn
      return
    }
    if record.wouldDeny { wouldDeny &+= record.count }
    switch record.verdict {
    case .allow: allowed &+= record.count
    case .ask: held &+= record.count
    case .deny: denied &+= record.count
    case nil: break
    }
  }
}

extension [String: UInt64] {
  fileprivate mutating func add(_ count: UInt64, at key: String) {
    guard self[key] != nil || self.count < StatsReport.keyLimit else { return }
    self[key, default: 0] &+= count
  }
}

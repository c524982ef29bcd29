import Audit
import Control
import Policy

/// What a loop has counted since it started.
struct ShardCounters: Sendable {
  private(set) var accepted: UInt64 = 0
  private(set) var finished: UInt64 = 0
  private(set) var bytesOut: UInt64 = 0
  private(set) var bytesIn: UInt64 = 0
  private(set) var decisions: [Verdict: UInt64] = [:]
  /// From a request that was read to its upstream that stands.
  var connecting = Histogram()
  /// From the first byte to the last of relayed connections.
  private(set) var lasting = Histogram()
  /// Until the kernel had the records of a turn, for which what was allowed waits.
  var committing = Histogram()

  /// What was decided, where and why.
  struct Verdict: Hashable {
    var verdict: Action
    var reason: Reason
    var layer: Layer
  }

  mutating func countAccepted() {
    accepted += 1
  }

  mutating func countAllowed(_ allowed: [Verdict]) {
    for verdict in allowed { decisions[verdict, default: 0] += 1 }
  }

  mutating func count(_ record: Record) {
    switch record {
    case .decision(let decision): decisions[decision.counted, default: 0] += 1
    case .rollUp(let sum):
      let verdict = Verdict(verdict: sum.verdict, reason: sum.reason, layer: sum.layer)
      decisions[verdict, default: 0] += sum.count
    case .close(let close):
      finished += 1
      bytesOut += close.bytesOut
      bytesIn += close.bytesIn
      lasting.add(close.duration)
    default: break
    }
  }

  mutating func add(_ other: ShardCounters) {
    accepted += other.accepted
    finished += other.finished
    bytesOut += other.bytesOut
    bytesIn += other.bytesIn
    decisions.merge(other.decisions, uniquingKeysWith: +)
    connecting.add(other.connecting)
    lasting.add(other.lasting)
    committing.add(other.committing)
  }

  /// Without the layers.
  var decisionCounts: [DecisionCount] {
    var sums: [DecisionCount.Key: UInt64] = [:]
    for (key, count) in decisions {
      sums[DecisionCount.Key(verdict: key.verdict, reason: key.reason), default: 0] += count
    }
    return sums.map { DecisionCount(verdict: $0.verdict, reason: $0.reason, count: $1) }
      .sorted { ($0.verdict.rawValue, $0.reason.rawValue) < ($1.verdict.rawValue, $1.reason.rawValue) }
  }
}

extension DecisionCount {
  fileprivate struct Key: Hashable {
    var verdict: Action
    var reason: Reason
  }
}

extension DecisionRecord {
  fileprivate var counted: ShardCounters.Verdict {
    ShardCounters.Verdict(verdict: verdict, reason: reason, layer: layer)
  }
}

extension Record {
  /// What this record lets pass; nil for any other.
  var allowed: ShardCounters.Verdict? {
    if case .decision(let decision) = self, decision.verdict == .allow { decision.counted } else { nil }
  }
}

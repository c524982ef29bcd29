import Audit
import Control
import EventLoop
import Policy
import Synchronization

/// What a loop tells of itself.
struct ShardReport: Sendable {
  var channels: Int
  var counters: ShardCounters
  var resolver: ResolverStatistics
  var upstreams: [Upstream: UpstreamHealth]
  /// Of the loop that has the name service.
  var dns: DNSStatus?
}

extension Shard {
  var report: ShardReport {
    ShardReport(
      channels: loop.openChannels, counters: counters, resolver: resolver.statistics,
      upstreams: resolver.board.health, dns: names?.status)
  }
}

/// Collects what the loops report, each from its own thread.
final class Gathered: Sendable {
  private let reports = Mutex<[ShardReport]>([])

  var all: [ShardReport] { reports.withLock { $0 } }

  func add(_ report: ShardReport) {
    reports.withLock { $0.append(report) }
  }
}

/// What a loop has counted since it started.
struct ShardCounters: Sendable {
  private(set) var accepted: UInt64 = 0
  private(set) var finished: UInt64 = 0
  private(set) var bytesOut: UInt64 = 0
  private(set) var bytesIn: UInt64 = 0
  private var decisions: [Verdict: UInt64] = [:]

  private struct Verdict: Hashable {
    var verdict: Action
    var reason: Reason
  }

  mutating func countAccepted() {
    accepted += 1
  }

  mutating func countAllowed(_ reasons: [Reason]) {
    for reason in reasons { decisions[Verdict(verdict: .allow, reason: reason), default: 0] += 1 }
  }

  mutating func count(_ record: Record) {
    switch record {
    case .decision(let decision):
      decisions[Verdict(verdict: decision.verdict, reason: decision.reason), default: 0] += 1
    case .close(let close):
      finished += 1
      bytesOut += close.bytesOut
      bytesIn += close.bytesIn
    default: break
    }
  }

  mutating func add(_ other: ShardCounters) {
    accepted += other.accepted
    finished += other.finished
    bytesOut += other.bytesOut
    bytesIn += other.bytesIn
    decisions.merge(other.decisions, uniquingKeysWith: +)
  }

  var decisionCounts: [DecisionCount] {
    decisions.map { DecisionCount(verdict: $0.verdict, reason: $0.reason, count: $1) }
      .sorted { ($0.verdict.rawValue, $0.reason.rawValue) < ($1.verdict.rawValue, $1.reason.rawValue) }
  }
}

extension Record {
  /// Why this record lets something pass; nil for any other.
  var allowedReason: Reason? {
    if case .decision(let decision) = self, decision.verdict == .allow { decision.reason } else { nil }
  }
}

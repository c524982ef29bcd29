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

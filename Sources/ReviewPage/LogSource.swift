import Audit
import Glibc
import Review
import Synchronization

/// The log as the page sees it: summed up under a filter, and again only when it has grown.
final class LogSource: Sendable {
  /// Filters whose sums are kept.
  private static let keptFilters = 8

  let path: String
  private let kept = Mutex<(extent: Extent?, summaries: [RecordFilter: LogSummary])>((nil, [:]))

  /// What the log's file is, and how long.
  struct Extent: Hashable, Sendable {
    var device: UInt64 = 0
    var inode: UInt64 = 0
    var size: Int64 = -1
  }

  private let say: @Sendable (String) -> Void
  private let said = Mutex<LogIndex.Notice?>(nil)

  /// - Parameter say: Told what a person should know of the index, once each time it changes.
  init(path: String, say: @escaping @Sendable (String) -> Void = { _ in }) {
    (self.path, self.say) = (path, say)
  }

  /// How far the log goes now; a rotation makes it another file.
  var extent: Extent {
    var status = stat()
    guard stat(path, &status) == 0 else { return Extent() }
    return Extent(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size))
  }

  /// What stands in the log now, under a filter.
  func summary(_ filter: RecordFilter) throws(AuditError) -> LogSummary {
    let now = extent
    let known = kept.withLock { kept -> LogSummary? in
      if kept.extent != now { kept = (now, [:]) }
      return kept.summaries[filter]
    }
    if let known { return known }
    let answer = try LogIndex(ofLogAt: path).summary(filter), summary = answer.summary
    tell(answer.notice)
    kept.withLock { kept in
      guard kept.extent == now else { return }
      if kept.summaries.count >= Self.keptFilters { kept.summaries = [:] }
      kept.summaries[filter] = summary
    }
    return summary
  }

  private func tell(_ notice: LogIndex.Notice?) {
    guard let notice,
      said.withLock({ said in
        defer { said = notice }
        return said != notice
      })
    else { return }
    say(notice.description)
  }

  /// The latest records of a group.
  func records(of key: GroupKey, limit: Int) throws(AuditError) -> [LogRecord] {
    try RecordSearch.latest(limit, inLogAt: path) { key.holds($0) }
  }
}

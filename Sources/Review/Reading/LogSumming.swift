import Audit
import Dispatch
import Glibc
import Synchronization

extension LogSummary {
  static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  /// Sums up what stands in the log at `path` now, on all processors.
  ///
  /// - Throws: `AuditError` when a file cannot be read.
  public static func of(logAt path: String, _ filter: RecordFilter = RecordFilter()) throws(AuditError)
    -> LogSummary
  {
    try LineSummarizer.of(try LogExtent.all(ofLogAt: path), filter).summary
  }
}

extension LineSummarizer {
  /// In bytes: how much of a log one thread takes at a time.
  private static let share: Int64 = 16 << 20

  /// Sums up lines of a log on all processors.
  ///
  /// - Parameter hour: The only one that counts; nil: all do.
  /// - Throws: `AuditError` when a file cannot be read.
  static func of(
    _ extents: [LogExtent], _ filter: RecordFilter, hour: Int64? = nil, limit: Int = FoldTree.limit
  ) throws(AuditError) -> LineSummarizer {
    let parts = extents.flatMap { $0.split(by: share) }
    let next = Atomic<Int>(0)
    let result = Mutex<(parts: [LineSummarizer], error: AuditError?)>(([], nil))
    let workers = max(1, min(parts.count, LogSummary.processors))
    DispatchQueue.concurrentPerform(iterations: workers) { _ in
      var lines = LineSummarizer(filter, hour: hour, limit: limit)
      do throws(AuditError) {
        while case let place = next.add(1, ordering: .relaxed).oldValue, place < parts.count {
          lines.skip(try parts[place].forEachLine { lines.add($0) })
        }
        result.withLock { $0.parts.append(lines) }
      } catch {
        result.withLock { $0.error = error }
      }
    }
    let (found, error) = result.withLock { $0 }
    if let error { throw error }
    var whole = found.first ?? LineSummarizer(filter, hour: hour, limit: limit)
    for part in found.dropFirst() { whole.add(part) }
    return whole
  }
}

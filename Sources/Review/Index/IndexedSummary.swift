import Audit
import Policy

/// Answers from an index what a log's lines would answer.
struct IndexedSummary {
  let plan: IndexPlan
  let filter: RecordFilter
  let limit: Int

  /// The hour in which the filter begins, when it begins inside of one: of that hour the log itself is read.
  private var edge: Int64? {
    guard let since = filter.since?.milliseconds else { return nil }
    let hour = since / Tally.hourLength
    return since > Self.start(of: hour) ? hour : nil
  }

  /// The first hour of which the index is asked.
  private var firstHour: Int64 {
    guard let since = filter.since?.milliseconds else { return .min }
    return since / Tally.hourLength + (edge == nil ? 0 : 1)
  }

  /// The first millisecond of an hour; division rounds towards 1970.
  private static func start(of hour: Int64) -> Int64 {
    hour > 0 ? hour * Tally.hourLength : (hour - 1) * Tally.hourLength + 1
  }

  /// The summary; nil where the index has folded what the filter would have told apart, so that only the log can say.
  ///
  /// - Throws: `DatabaseError` for an index that cannot be read, `AuditError` for a log that cannot be.
  func summary(from tables: IndexTables) throws -> LogSummary? {
    let rows = try tables.kinds()
    guard
      filter.isOpen || !rows.contains(where: { $0.map { $0.fold != nil && filter.mayAdmit($0) } ?? false })
    else { return nil }
    // Nil where there is no kind, which no counter names.
    let isAdmitted = rows.map { $0.map(filter.admits) }
    var kinds = rows.map { $0 ?? RecordKind(event: .other) }, counters = CounterTable()
    counters.reserve(try tables.counterEstimate(from: firstHour))
    try addEdge(beside: rows, &kinds, &counters)
    var isWhole = true
    try tables.forEachCounter(from: firstHour) { _, counter in
      let kind = Int(counter.kind), admitted = kind < isAdmitted.count ? isAdmitted[kind] : nil
      if admitted == true { counters.add(counter) }
      if admitted == nil { isWhole = false }
    }
    guard isWhole else { throw IndexTables.broken }
    return LogSummary(kinds: kinds, counters, unreadable: unreadable)
  }

  /// Adds what the log holds of the hour in which the filter begins.
  private func addEdge(
    beside rows: [RecordKind?], _ kinds: inout [RecordKind], _ counters: inout CounterTable
  ) throws(AuditError) {
    guard let hour = edge, let since = filter.since?.milliseconds else { return }
    let lines = try LineSummarizer.of(
      plan.entries.flatMap { $0.extents(from: since, in: hour) }, filter, hour: hour, limit: limit)
    var numbers: [RecordKind: Int32] = [:]
    for (place, row) in rows.enumerated() { if let row { numbers[row] = Int32(place) } }
    for var counter in lines.counters(at: 0).counters {
      guard let kind = lines.folding.kinds[Int(counter.kind)] else { continue }
      if numbers[kind] == nil {
        numbers[kind] = Int32(kinds.count)
        kinds.append(kind)
      }
      counter.kind = numbers[kind] ?? 0
      counters.add(counter)
    }
  }

  /// Lines that are no records: those that are counted, and what stands behind the last line end of each file, which
  /// is a line in the making where the file goes on being written and no block is full of it.
  private var unreadable: Int {
    plan.entries.reduce(0) { sum, entry in
      let rest = entry.extent.stamp.size - entry.file.end
      let isTorn = rest > 0 && !entry.extent.isLast || rest >= Int64(LogExtent.blockSize)
      return sum + entry.file.unreadable + (isTorn ? 1 : 0)
    }
  }
}

extension IndexPlan.Entry {
  /// The parts of the file with records from a time on, up to the end of its hour.
  fileprivate func extents(from since: Int64, in hour: Int64) -> [LogExtent] {
    var ranges: [Range<Int64>] = []
    for block in file.blocks {
      guard let times = block.times, times.upperBound >= since, times.lowerBound / Tally.hourLength <= hour
      else {
        continue
      }
      if let last = ranges.last, last.upperBound == block.range.lowerBound {
        ranges[ranges.count - 1] = last.lowerBound..<block.range.upperBound
      } else {
        ranges.append(block.range)
      }
    }
    return ranges.map { extent.part($0) }
  }
}

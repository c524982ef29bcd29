import Audit
import Dispatch
import Synchronization

/// Reads what an index lacks of a log, on all processors.
struct LogIndexing {
  /// In bytes: how much of a file one thread takes at a time.
  private static let share: Int64 = 4 << 20

  /// A part of a file, and what was found in it beside counters.
  fileprivate struct Part {
    var entry: Int
    var extent: LogExtent
    var blocks: [Block] = []
    var lines = LinesRead()
    var unreadable = 0
  }

  private let limit: Int
  private var parts: [Part]
  /// What each thread has found: by the place of an entry, counters with the numbers of its own kinds.
  private var workers: [LineSummarizer] = []

  /// Reads all that is unread.
  ///
  /// - Throws: `AuditError` when a file cannot be read.
  init(_ plan: IndexPlan, limit: Int, _ progress: LogIndex.Progress?) throws(AuditError) {
    self.limit = limit
    parts = plan.entries.enumerated().flatMap { place, entry -> [Part] in
      guard let start = entry.unread, start < entry.extent.range.upperBound else { return [] }
      return entry.extent.part(start..<entry.extent.range.upperBound).split(by: Self.share)
        .map { Part(entry: place, extent: $0) }
    }
    try read(progress)
  }

  private mutating func read(_ progress: LogIndex.Progress?) throws(AuditError) {
    let work = parts, total = work.reduce(0) { $0 + Int64($1.extent.range.count) }
    let next = Atomic<Int>(0), limit = limit
    let state = Mutex<(parts: [Part], workers: [LineSummarizer], done: Int64, error: AuditError?)>(
      (work, [], 0, nil))
    DispatchQueue.concurrentPerform(iterations: max(1, min(work.count, LogSummary.processors))) { _ in
      var worker = LineSummarizer(RecordFilter(), limit: limit)
      do throws(AuditError) {
        while case let place = next.add(1, ordering: .relaxed).oldValue, place < work.count {
          let part = try worker.read(work[place])
          state.withLock {
            $0.parts[place] = part
            $0.done += Int64(part.extent.range.count)
            progress?($0.done, total)
          }
        }
        state.withLock { $0.workers.append(worker) }
      } catch {
        state.withLock { $0.error = error }
      }
    }
    let end = state.withLock { $0 }
    if let error = end.error { throw error }
    (parts, workers) = (end.parts, end.workers)
  }
}

extension LineSummarizer {
  fileprivate mutating func read(_ work: LogIndexing.Part) throws(AuditError) -> LogIndexing.Part {
    var part = work
    let before = unreadable
    turn(to: part.entry)
    let read = try part.extent.read { line, start in
      part.blocks.add(
        start..<(start + Int64(line.count) + 1), at: take(line), sum: Block.sum(of: line, at: start))
    }
    part.lines = read ?? LinesRead()
    part.unreadable = unreadable - before
    return part
  }
}

extension LogIndexing {
  /// The row of an entry, with what was read added to it; its new blocks have their marks.
  ///
  /// - Throws: `AuditError` when the file cannot be read.
  func row(of place: Int, _ entry: IndexPlan.Entry) throws(AuditError) -> IndexedFile {
    var file = entry.file
    let own = parts.filter { $0.entry == place }
    for part in own {
      file.end = max(file.end, part.lines.end ?? 0)
      file.unreadable += part.unreadable + part.lines.tooLong
      for block in part.blocks { file.blocks.add(block) }
    }
    if file.head == nil { file.head = try entry.extent.head() }
    // A line that goes on to the end of the file is none yet.
    if let last = own.compactMap(\.lines.lastTooLong).max(), last >= file.end { file.unreadable -= 1 }
    let unmarked = file.blocks.indices.filter { file.blocks[$0].mark == nil }
    guard let marks = try entry.extent.marks(before: unmarked.map { file.blocks[$0].range.upperBound }) else {
      return file
    }
    for (place, mark) in zip(unmarked, marks) { file.blocks[place].mark = mark }
    return file
  }

  /// Adds the kinds that were met to those of the index.
  ///
  /// - Returns: For each thread, by its numbers, those of the index.
  func absorb(into folding: inout KindFolding) -> [[Int32]] {
    workers.map { folding.absorb($0.folding) }
  }

  /// The counters of an entry, with numbers of the index.
  func counters(of place: Int, _ numbers: [[Int32]], in folding: KindFolding) -> CounterTable {
    var sums = CounterTable()
    for (worker, numbers) in zip(workers, numbers) {
      for var counter in worker.counters(at: place).counters {
        counter.kind = folding.standIn(of: numbers[Int(counter.kind)])
        sums.add(counter)
      }
    }
    return sums
  }
}

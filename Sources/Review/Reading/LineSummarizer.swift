import Audit
import Policy

/// Sums up lines of a log, one after the other.
public struct LineSummarizer: Sendable {
  private let filter: RecordFilter
  /// The only hour that counts; nil: all do.
  private let hour: Int64?
  private var table: KindTable
  /// What was counted, by where it was; all in one place unless `turn(to:)` was called.
  private var shelves: [Int: CounterTable] = [:]
  private var shelf = 0
  private var counters = CounterTable()
  private(set) var unreadable = 0

  /// Makes one that counts what `filter` lets through.
  public init(_ filter: RecordFilter) { self.init(filter, hour: nil) }

  init(_ filter: RecordFilter, hour: Int64? = nil, limit: Int = FoldTree.limit) {
    self.filter = filter
    self.hour = hour
    table = KindTable(filter, limit: limit)
  }

  /// The kinds that were met.
  var folding: KindFolding { table.folding }

  /// Counts on in another place.
  mutating func turn(to shelf: Int) {
    guard shelf != self.shelf else { return }
    shelves[self.shelf] = counters
    counters = shelves.removeValue(forKey: shelf) ?? CounterTable()
    self.shelf = shelf
  }

  /// What was counted in one place.
  func counters(at shelf: Int) -> CounterTable {
    let own = shelf == self.shelf ? counters : shelves[shelf] ?? CounterTable()
    return folding.dead.isEmpty ? own : own.renumbered(folding.standIn)
  }

  /// Takes note of lines that are no records.
  public mutating func skip(_ count: Int) { unreadable += count }

  /// Takes a line without its end.
  public mutating func add(_ line: UnsafeRawBufferPointer) { _ = take(line) }

  /// The same.
  ///
  /// - Returns: The record's time, in milliseconds since 1970; nil when it has none.
  mutating func take(_ line: UnsafeRawBufferPointer) -> Int64? {
    guard let scan = RecordScan(line) else { return takeInFull(line) }
    guard let time = scan[.time] else { return nil }
    guard isWanted(time), let kind = table.number(of: scan, in: line) else { return time }
    add(
      Amount(
        count: UInt64(clamping: scan[.amount] ?? 1), first: scan[.first] ?? time, last: time, earliest: time,
        bytesOut: UInt64(clamping: scan[.bytesOut] ?? 0), bytesIn: UInt64(clamping: scan[.bytesIn] ?? 0),
        lostEvents: UInt64(clamping: scan[.lostEvents] ?? 0)),
      kind)
    return time
  }

  /// A line that the scan leaves to the strict reader.
  private mutating func takeInFull(_ line: UnsafeRawBufferPointer) -> Int64? {
    guard let record = try? LogRecord(LogLine(file: "", number: 0, bytes: Array(line))) else {
      unreadable += 1
      return nil
    }
    guard let time = record.time?.milliseconds else { return nil }
    guard isWanted(time), let kind = table.number(of: RecordKind(record)) else { return time }
    add(
      Amount(
        count: record.count, first: record.first?.milliseconds ?? time, last: time, earliest: time,
        bytesOut: record.bytesOut, bytesIn: record.bytesIn, lostEvents: record.lostEvents),
      kind)
    return time
  }

  private func isWanted(_ time: Int64) -> Bool {
    filter.admits(Timestamp(milliseconds: time)) && time / Tally.hourLength == hour ?? time / Tally.hourLength
  }

  private mutating func add(_ amount: Amount, _ kind: Int32) {
    counters.add(Counter(kind: kind, hour: amount.last / Tally.hourLength, amount: amount))
    if table.isUntidy { settle() }
  }

  private mutating func settle() {
    counters = counters.renumbered(folding.standIn)
    for shelf in shelves.keys { shelves[shelf] = shelves[shelf]?.renumbered(folding.standIn) }
    table.settle()
  }

  /// Adds what another one, with the same filter, has counted elsewhere.
  mutating func add(_ other: LineSummarizer) {
    let numbers = table.absorb(other.table)
    settle()
    for var counter in other.counters(at: other.shelf).counters {
      counter.kind = table.folding.standIn(of: numbers[Int(counter.kind)])
      counters.add(counter)
    }
    unreadable += other.unreadable
  }

  /// What was counted so far.
  public var summary: LogSummary {
    LogSummary(
      kinds: folding.kinds.map { $0 ?? RecordKind(event: .other) }, counters(at: shelf),
      unreadable: unreadable)
  }
}

import Audit
import Policy

/// Sums up lines of a log, one after the other.
public struct LineSummarizer: Sendable {
  private let filter: RecordFilter
  /// The only hour that counts; nil: all do.
  private let hour: Int64?
  private var table = KindTable()
  /// By the number of a kind: whether the filter lets it through.
  private var isAdmitted: [Bool] = []
  /// What was counted; whoever reads several files takes it away in between.
  var counters = CounterTable()
  private(set) var unreadable = 0

  /// Makes one that counts what `filter` lets through.
  public init(_ filter: RecordFilter) { self.init(filter, hour: nil) }

  init(_ filter: RecordFilter, hour: Int64?) {
    self.filter = filter
    self.hour = hour
  }

  /// The kinds that were met, by their numbers.
  var kinds: [RecordKind] { table.kinds }

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
    add(
      Amount(
        count: UInt64(clamping: scan[.amount] ?? 1), first: scan[.first] ?? time, last: time, earliest: time,
        bytesOut: UInt64(clamping: scan[.bytesOut] ?? 0), bytesIn: UInt64(clamping: scan[.bytesIn] ?? 0),
        lostEvents: UInt64(clamping: scan[.lostEvents] ?? 0)),
      kind: table.number(of: scan, in: line))
    return time
  }

  /// A line that the scan leaves to the strict reader.
  private mutating func takeInFull(_ line: UnsafeRawBufferPointer) -> Int64? {
    guard let record = try? LogRecord(LogLine(file: "", number: 0, bytes: Array(line))) else {
      unreadable += 1
      return nil
    }
    guard let time = record.time?.milliseconds else { return nil }
    add(
      Amount(
        count: record.count, first: record.first?.milliseconds ?? time, last: time, earliest: time,
        bytesOut: record.bytesOut, bytesIn: record.bytesIn, lostEvents: record.lostEvents),
      kind: table.number(of: RecordKind(record)))
    return time
  }

  private mutating func add(_ amount: Amount, kind: Int) {
    admit(kind)
    let own = amount.last / Tally.hourLength
    guard isAdmitted[kind], filter.admits(Timestamp(milliseconds: amount.last)), own == hour ?? own else {
      return
    }
    counters.add(Counter(kind: Int32(kind), hour: own, amount: amount))
  }

  /// Asks the filter about kinds that are new.
  private mutating func admit(_ kind: Int) {
    while isAdmitted.count <= kind { isAdmitted.append(filter.admits(table.kinds[isAdmitted.count])) }
  }

  /// Adds what another one, with the same filter, has counted elsewhere.
  mutating func add(_ other: LineSummarizer) {
    add(other.counters.counters, of: other.table.kinds)
    unreadable += other.unreadable
  }

  /// Adds counters that the filter let through, of kinds with numbers of their own.
  mutating func add(_ others: [Counter], of kinds: [RecordKind]) {
    let numbers = kinds.map { table.number(of: $0) }
    for var counter in others {
      let kind = numbers[Int(counter.kind)]
      admit(kind)
      counter.kind = Int32(kind)
      counters.add(counter)
    }
  }

  /// What was counted so far.
  public var summary: LogSummary {
    LogSummary(kinds: table.kinds, counters, unreadable: unreadable)
  }
}

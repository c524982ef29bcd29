import Audit
import Policy

/// Sums up lines of a log, one after the other.
public struct LineSummarizer: Sendable {
  private let filter: RecordFilter
  private var table = KindTable()
  /// By the number of a kind: whether the filter lets it through, and its latest tally.
  private var places: [Place] = []
  private var counters: [Counter] = []
  private var first: Int64?
  private var last: Int64?
  private var unreadable = 0

  private struct Place {
    var isAdmitted: Bool
    var counter: Int32
  }

  /// One tally in the making; a kind's are linked from the latest to the first.
  private struct Counter {
    var kind: Int32
    var earlier: Int32
    var hour: Int64
    var count: UInt64 = 0
    var records: UInt64 = 0
    var first: Int64
    var last: Int64
    var bytesOut: UInt64 = 0
    var bytesIn: UInt64 = 0
    var lostEvents: UInt64 = 0
  }

  /// What a line adds.
  private struct Amount {
    var time: Int64
    var first: Int64
    var count: UInt64
    var bytesOut: UInt64
    var bytesIn: UInt64
    var lostEvents: UInt64
  }

  /// Makes one that counts what `filter` lets through.
  public init(_ filter: RecordFilter) {
    self.filter = filter
  }

  /// Takes note of lines that are no records.
  public mutating func skip(_ count: Int) { unreadable += count }

  /// Takes a line without its end.
  public mutating func add(_ line: UnsafeRawBufferPointer) {
    guard let scan = RecordScan(line) else { return addInFull(line) }
    guard let time = scan[.time] else { return }
    add(
      Amount(
        time: time, first: scan[.first] ?? time, count: UInt64(clamping: scan[.amount] ?? 1),
        bytesOut: UInt64(clamping: scan[.bytesOut] ?? 0), bytesIn: UInt64(clamping: scan[.bytesIn] ?? 0),
        lostEvents: UInt64(clamping: scan[.lostEvents] ?? 0)),
      kind: table.number(of: scan, in: line))
  }

  /// A line that the scan leaves to the strict reader.
  private mutating func addInFull(_ line: UnsafeRawBufferPointer) {
    guard let record = try? LogRecord(LogLine(file: "", number: 0, bytes: Array(line))) else {
      unreadable += 1
      return
    }
    guard let time = record.time else { return }
    add(
      Amount(
        time: time.milliseconds, first: (record.first ?? time).milliseconds, count: record.count,
        bytesOut: record.bytesOut, bytesIn: record.bytesIn, lostEvents: record.lostEvents),
      kind: table.number(of: RecordKind(record)))
  }

  private mutating func add(_ amount: Amount, kind: Int) {
    admit(kind)
    guard places[kind].isAdmitted, filter.admits(Timestamp(milliseconds: amount.time)) else { return }
    first = min(first ?? .max, amount.time)
    last = max(last ?? .min, amount.time)
    take(amount, records: 1, by: counter(kind, hour: amount.time / Tally.hourLength, amount))
  }

  /// Asks the filter about kinds that are new.
  private mutating func admit(_ kind: Int) {
    while places.count <= kind {
      places.append(Place(isAdmitted: filter.admits(table.kinds[places.count]), counter: -1))
    }
  }

  private mutating func take(_ amount: Amount, records: UInt64, by counter: Int) {
    counters[counter].count &+= amount.count
    counters[counter].records &+= records
    counters[counter].first = min(counters[counter].first, amount.first)
    counters[counter].last = max(counters[counter].last, amount.time)
    counters[counter].bytesOut &+= amount.bytesOut
    counters[counter].bytesIn &+= amount.bytesIn
    counters[counter].lostEvents &+= amount.lostEvents
  }

  /// Adds what another one, with the same filter, has counted elsewhere.
  mutating func add(_ other: LineSummarizer) {
    let numbers = other.table.kinds.map { table.number(of: $0) }
    for counter in other.counters {
      let kind = numbers[Int(counter.kind)]
      admit(kind)
      let amount = Amount(
        time: counter.last, first: counter.first, count: counter.count, bytesOut: counter.bytesOut,
        bytesIn: counter.bytesIn, lostEvents: counter.lostEvents)
      take(amount, records: counter.records, by: self.counter(kind, hour: counter.hour, amount))
    }
    first = [first, other.first].compactMap(\.self).min()
    last = [last, other.last].compactMap(\.self).max()
    unreadable += other.unreadable
  }

  private mutating func counter(_ kind: Int, hour: Int64, _ amount: Amount) -> Int {
    var place = Int(places[kind].counter)
    while place >= 0 {
      if counters[place].hour == hour { return place }
      place = Int(counters[place].earlier)
    }
    counters.append(
      Counter(
        kind: Int32(kind), earlier: places[kind].counter, hour: hour, first: amount.first, last: amount.time))
    places[kind].counter = Int32(counters.count - 1)
    return counters.count - 1
  }

  /// What was counted so far.
  public var summary: LogSummary {
    LogSummary(
      tallies: counters.map { tally($0) }, first: first.map { Timestamp(milliseconds: $0) },
      last: last.map { Timestamp(milliseconds: $0) }, unreadable: unreadable)
  }

  private func tally(_ counter: Counter) -> Tally {
    var tally = Tally(
      kind: table.kinds[Int(counter.kind)], hour: counter.hour,
      first: Timestamp(milliseconds: counter.first), last: Timestamp(milliseconds: counter.last))
    (tally.count, tally.records) = (counter.count, counter.records)
    (tally.bytesOut, tally.bytesIn, tally.lostEvents) = (
      counter.bytesOut, counter.bytesIn, counter.lostEvents
    )
    return tally
  }
}

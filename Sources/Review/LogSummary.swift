import Audit
import Policy

/// How often records of one kind stand in a log, within one hour or in all of it.
public struct Tally: Hashable, Sendable {
  /// What they have in common.
  public var kind: RecordKind
  /// The hour they fall into, counted from 1970; nil for all of them.
  public var hour: Int64?
  let amount: Amount

  init(_ kind: RecordKind, hour: Int64?, _ amount: Amount) {
    (self.kind, self.hour, self.amount) = (kind, hour, amount)
  }

  /// How many events they stand for.
  public var count: UInt64 { amount.count }
  /// How many records they are.
  public var records: UInt64 { amount.records }
  /// The first event.
  public var first: Timestamp { Timestamp(milliseconds: amount.first) }
  /// The last event.
  public var last: Timestamp { Timestamp(milliseconds: amount.last) }
  /// Bytes to upstreams.
  public var bytesOut: UInt64 { amount.bytesOut }
  /// Bytes from upstreams.
  public var bytesIn: UInt64 { amount.bytesIn }
  /// Denied packets that the kernel only counted.
  public var lostEvents: UInt64 { amount.lostEvents }

  /// In milliseconds.
  public static let hourLength: Int64 = 3_600_000
}

/// A log, or what a filter leaves of it, as tallies: all that the reviews need to know of it.
///
/// Whoever makes one from somewhere else (an index beside the log) makes the same reviews.
public struct LogSummary: Sendable {
  /// No two are the same.
  let kinds: [RecordKind]
  /// In no order; no two have the same kind and hour.
  let counters: [Counter]
  /// The time of the first record that counts.
  public let first: Timestamp?
  /// The time of the last record that counts.
  public let last: Timestamp?
  /// Lines that are no records.
  public let unreadable: Int

  init(kinds: [RecordKind], _ counters: CounterTable, unreadable: Int) {
    (self.kinds, self.counters, self.unreadable) = (kinds, counters.counters, unreadable)
    first = self.counters.lazy.map(\.amount.earliest).min().map { Timestamp(milliseconds: $0) }
    last = self.counters.lazy.map(\.amount.last).max().map { Timestamp(milliseconds: $0) }
  }

  /// One for each kind and hour.
  public var tallies: [Tally] {
    counters.map { Tally(kinds[Int($0.kind)], hour: $0.hour, $0.amount) }
  }

  /// One for each kind, in the order in which the kinds were met.
  public var totals: [Tally] {
    var sums = [Amount?](repeating: nil, count: kinds.count)
    for counter in counters {
      if sums[Int(counter.kind)]?.add(counter.amount) == nil { sums[Int(counter.kind)] = counter.amount }
    }
    return zip(kinds, sums).compactMap { kind, sum in sum.map { Tally(kind, hour: nil, $0) } }
  }

  /// How many decisions stand for places that are too many to be told apart.
  public var foldedDecisions: UInt64 {
    counters.reduce(0) { sum, counter in
      let kind = kinds[Int(counter.kind)]
      return kind.event == .decision && kind.fold != nil ? sum &+ counter.amount.count : sum
    }
  }

  /// Denied packets that the kernel only counted.
  public var lostEvents: UInt64 { counters.reduce(0) { $0 &+ $1.amount.lostEvents } }
}

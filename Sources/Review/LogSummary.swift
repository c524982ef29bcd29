import Audit
import Policy

/// How often records of one kind stand in a log, within one hour.
public struct Tally: Hashable, Sendable {
  /// What they have in common.
  public var kind: RecordKind
  /// The hour they fall into, counted from 1970.
  public var hour: Int64
  /// How many events they stand for.
  public var count: UInt64 = 0
  /// How many records they are.
  public var records: UInt64 = 0
  /// The first event.
  public var first: Timestamp
  /// The last event.
  public var last: Timestamp
  /// Bytes to upstreams.
  public var bytesOut: UInt64 = 0
  /// Bytes from upstreams.
  public var bytesIn: UInt64 = 0
  /// Denied packets that the kernel only counted.
  public var lostEvents: UInt64 = 0

  /// Makes an empty tally.
  public init(kind: RecordKind, hour: Int64, first: Timestamp, last: Timestamp) {
    (self.kind, self.hour, self.first, self.last) = (kind, hour, first, last)
  }

  /// In milliseconds.
  public static let hourLength: Int64 = 3_600_000
}

/// A log, or what a filter leaves of it, as tallies: all that the reviews need to know of it.
///
/// Whoever makes one from somewhere else (an index beside the log) makes the same reviews.
public struct LogSummary: Sendable {
  /// In no order; no two have the same kind and hour.
  public private(set) var tallies: [Tally]
  /// The time of the first record that counts.
  public private(set) var first: Timestamp?
  /// The time of the last record that counts.
  public private(set) var last: Timestamp?
  /// Lines that are no records.
  public private(set) var unreadable: Int
  /// Denied packets that the kernel only counted.
  public var lostEvents: UInt64 { tallies.reduce(0) { $0 &+ $1.lostEvents } }

  /// Makes a summary of tallies.
  public init(
    tallies: [Tally] = [], first: Timestamp? = nil, last: Timestamp? = nil, unreadable: Int = 0
  ) {
    self.tallies = tallies
    self.first = first
    self.last = last
    self.unreadable = unreadable
  }
}

/// What records add up to.
struct Amount: Hashable, Sendable {
  /// Events, those that roll-ups stand for among them.
  var count: UInt64
  var records: UInt64 = 1
  /// The first event, in milliseconds since 1970.
  var first: Int64
  /// The time of the last record, in milliseconds since 1970.
  var last: Int64
  /// The time of the first record, which a roll-up's first event may lie before.
  var earliest: Int64
  /// Bytes to upstreams.
  var bytesOut: UInt64
  /// Bytes from upstreams.
  var bytesIn: UInt64
  /// Denied packets that the kernel only counted.
  var lostEvents: UInt64

  mutating func add(_ other: Amount) {
    count &+= other.count
    records &+= other.records
    first = min(first, other.first)
    last = max(last, other.last)
    earliest = min(earliest, other.earliest)
    bytesOut &+= other.bytesOut
    bytesIn &+= other.bytesIn
    lostEvents &+= other.lostEvents
  }
}

/// What records of one kind add up to within one hour.
struct Counter: Hashable, Sendable {
  /// The kind's number.
  var kind: Int32
  /// Counted from 1970.
  var hour: Int64
  var amount: Amount
}

/// Counters, found by kind and hour. What comes in the order of time is found at once.
struct CounterTable: Sendable {
  private(set) var counters: [Counter] = []
  /// By the number of a kind: its counter of the latest hour; -1 for none.
  private var latest: [Int32] = []
  /// By the place of a counter: that of the next earlier hour of the same kind.
  private var earlier: [Int32] = []

  /// Makes room at once for about so many.
  mutating func reserve(_ count: Int) {
    counters.reserveCapacity(count)
    earlier.reserveCapacity(count)
  }

  /// Adds to the counter of that kind and hour.
  mutating func add(_ counter: Counter) {
    let kind = Int(counter.kind)
    while latest.count <= kind { latest.append(-1) }
    var later = -1, place = Int(latest[kind])
    while place >= 0, counters[place].hour > counter.hour { (later, place) = (place, Int(earlier[place])) }
    if place >= 0, counters[place].hour == counter.hour { return counters[place].amount.add(counter.amount) }
    let new = Int32(counters.count)
    if later < 0 { latest[kind] = new } else { earlier[later] = new }
    earlier.append(Int32(place))
    counters.append(counter)
  }

  /// The same with other numbers of kinds, which may be fewer.
  func renumbered(_ number: (Int32) -> Int32) -> CounterTable {
    var table = CounterTable()
    table.reserve(counters.count)
    for var counter in counters {
      counter.kind = number(counter.kind)
      table.add(counter)
    }
    return table
  }
}

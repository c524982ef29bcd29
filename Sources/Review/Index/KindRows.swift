import Addressing
import Audit
import Policy

/// The kinds of an index by their numbers there.
struct KindNumbers {
  /// All numbers are below: those kinds that name a place, and as many again for those that do not.
  static let limit = 2 * KindTable.limit

  /// By number; nil where it is free.
  private(set) var kinds: [RecordKind?]
  private var numbers: [RecordKind: Int32] = [:]
  /// Up to where all numbers are taken.
  private var taken = 0
  /// How many kinds there are.
  private var count: Int
  /// Those that were added.
  private(set) var added: [Int32] = []

  init(_ kinds: [RecordKind?]) {
    self.kinds = kinds
    count = kinds.count { $0 != nil }
  }

  /// The number of a kind, which is given one if it has none.
  ///
  /// - Returns: nil when there is no room, not even for kinds without a place.
  mutating func number(of kind: RecordKind) -> Int32? {
    if numbers.isEmpty {
      for (place, kind) in kinds.enumerated() { if let kind { numbers[kind] = Int32(place) } }
    }
    if let number = numbers[kind] { return number }
    let isAgents = kind.destination != nil || kind.method != nil
    guard count < KindTable.limit || !isAgents else { return number(of: kind.withoutPlace) }
    guard count < Self.limit else { return nil }
    while taken < kinds.count, kinds[taken] != nil { taken += 1 }
    if taken == kinds.count { kinds.append(kind) } else { kinds[taken] = kind }
    let number = Int32(taken)
    numbers[kind] = number
    added.append(number)
    count += 1
    return number
  }
}

extension IndexTables {
  /// The kinds that are in the index.
  func kinds() throws(DatabaseError) -> [RecordKind?] {
    let rows = try database.prepare(
      """
      SELECT id, event, agent, layer, verdict, would_deny, reason, rule, host, port, protocol, address, record_type,
        method, process, overflow, sum FROM kind ORDER BY id
      """)
    var kinds: [RecordKind?] = []
    while try rows.step() {
      let id = rows.number(0)
      var row = KindRow(rows)
      guard id >= kinds.count, id < KindNumbers.limit, let kind = row.kind(), rows.number(16) == row.sum.value
      else {
        throw Self.broken
      }
      while kinds.count < id { kinds.append(nil) }
      kinds.append(kind)
    }
    return kinds
  }

  /// Writes kinds that were added.
  func write(_ kinds: KindNumbers) throws(DatabaseError) {
    let row = try database.prepare(
      "INSERT INTO kind VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    for number in kinds.added {
      guard let kind = kinds.kinds[Int(number)] else { continue }
      let numbers = (Int64(number), kind.wouldDeny ? 1 : 0 as Int64, kind.isOverflow ? 1 : 0 as Int64)
      let port = kind.destination.map { Int64($0.port.number) }, texts = kind.texts
      var sum = Checksum()
      sum.add(numbers.0, numbers.1, port, numbers.2)
      for text in texts { sum.add(text) }
      let values = texts.map { Statement.Value($0) }
      try row.run(
        [.number(numbers.0)] + values[0..<4] + [.number(numbers.1)] + values[4..<7] + [.init(port)]
          + values[7...]
          + [.number(numbers.2), .number(sum.value)])
    }
  }
}

/// A row that is being read: each value once, for itself and for the sum.
private struct KindRow {
  private let row: Statement
  private(set) var sum = Checksum()

  init(_ row: Statement) {
    self.row = row
    sum.add(row.number(0), row.number(5), row.optionalNumber(9), row.number(15))
  }

  mutating func kind() -> RecordKind? {
    guard let event = text(1).flatMap(RecordKind.Event.init) else { return nil }
    var kind = RecordKind(event: event)
    kind.agent = text(2)
    kind.layer = text(3).flatMap(Layer.init)
    kind.verdict = text(4).flatMap(Action.init)
    kind.wouldDeny = row.number(5) != 0
    kind.reason = text(6)
    kind.rule = text(7)
    kind.destination = destination()
    kind.address = text(11).flatMap { IPAddress($0) }
    kind.recordType = text(12)
    kind.method = text(13)
    kind.process = text(14)
    kind.isOverflow = row.number(15) != 0
    return kind
  }

  private mutating func destination() -> Destination? {
    let host = value(8) { try? Host($0) } ?? nil, traffic = text(10).flatMap(TrafficProtocol.init)
    let port = row.optionalNumber(9).flatMap { UInt16(exactly: $0) }.flatMap { Port($0) }
    guard let host, let port, let traffic else { return nil }
    return Destination(host, port, traffic)
  }

  private mutating func text(_ column: Int32) -> String? {
    value(column) { String(decoding: $0, as: UTF8.self) }
  }

  private mutating func value<Value>(_ column: Int32, _ read: (UnsafeRawBufferPointer) -> Value) -> Value? {
    guard !row.isNull(column) else {
      sum.add(nil as Int64?)
      return nil
    }
    return row.withBytes(column) { bytes in
      sum.add(bytes)
      return read(bytes)
    }
  }
}

extension RecordKind {
  /// The texts of its row, in the order of the columns.
  fileprivate var texts: [String?] {
    [
      event.rawValue, agent, layer?.rawValue, verdict?.rawValue, reason, rule,
      destination.map { "\($0.host)" }, destination?.traffic.rawValue, address.map { "\($0)" }, recordType,
      method,
      process,
    ]
  }
}

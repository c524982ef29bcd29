import Addressing
import Audit
import Policy

extension IndexTables {
  /// The kinds that are in the index.
  func kinds() throws(DatabaseError) -> [RecordKind?] {
    let rows = try database.prepare(
      """
      SELECT id, event, agent, layer, verdict, would_deny, reason, rule, host, port, protocol, address, record_type,
        method, process, fold, overflow, sum FROM kind ORDER BY id
      """)
    var kinds: [RecordKind?] = []
    while try rows.step() {
      let id = rows.number(0)
      var row = KindRow(rows)
      guard id >= kinds.count, id < Self.kindLimit, let kind = row.kind(), rows.number(17) == row.sum.value
      else {
        throw Self.broken
      }
      while kinds.count < id { kinds.append(nil) }
      kinds.append(kind)
    }
    return kinds
  }

  /// All numbers are below: there are two trees of `FoldTree.limit` kinds, and those that stand for folded ones; numbers
  /// of what is folded within one pass are not used again.
  static let kindLimit = 1 << 20

  /// Writes what became of the kinds.
  func write(_ kinds: KindFolding) throws(DatabaseError) {
    guard kinds.count <= Self.kindLimit else { throw Self.tooMany }
    let delete = try database.prepare("DELETE FROM kind WHERE id = ?")
    for number in kinds.dead { try delete.run(.number(Int64(number))) }
    let row = try database.prepare(
      "INSERT INTO kind VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    for number in kinds.added where kinds.standIn(of: number) == number {
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
    sum.add(row.number(0), row.number(5), row.optionalNumber(9), row.number(16))
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
    guard let fold = text(15) else {
      kind.isOverflow = row.number(16) != 0
      return kind
    }
    kind.fold = Fold(text: fold)
    return kind.fold == nil ? nil : kind
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
      method, process, fold?.text,
    ]
  }
}

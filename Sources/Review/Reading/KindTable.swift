import Addressing
import Audit
import Policy

/// Gives the kind of each record that a filter lets through a number.
struct KindTable: Sendable {
  /// In numbers that were given: how much is folded before it is tidied up.
  private static let untidiness = 20_000

  private let filter: RecordFilter
  private(set) var folding: KindFolding
  private var cache = KeyCache()

  init(_ filter: RecordFilter, limit: Int) {
    self.filter = filter
    folding = KindFolding(limit: limit)
  }

  /// The number of the kind of a line that was scanned; nil when the filter holds it back.
  mutating func number(of scan: RecordScan, in line: UnsafeRawBufferPointer) -> Int32? {
    if let known = cache.find(scan, in: line) { return known < 0 ? nil : folding.standIn(of: known) }
    let kind = RecordKind(scan, line), number = number(of: kind)
    // Whatever is folded, most likely never comes again.
    if number.map({ folding.kinds[Int($0)] == kind }) ?? true { cache.keep(number ?? -1) }
    return number
  }

  /// The number of a kind; nil when the filter holds it back.
  mutating func number(of kind: RecordKind) -> Int32? {
    filter.admits(kind) ? folding.number(of: kind) : nil
  }

  /// Takes in all kinds of another one.
  ///
  /// - Returns: By its numbers, ours.
  mutating func absorb(_ other: KindTable) -> [Int32] { folding.absorb(other.folding) }

  /// Whether there are numbers that `settle` would give free, and enough of them.
  var isUntidy: Bool { folding.dead.count >= Self.untidiness }

  /// Gives numbers of folded kinds free, when no counter has them any more.
  mutating func settle() {
    cache.removeAll()
    folding.settle()
  }
}

extension RecordKind {
  /// The kind of a line that was scanned.
  init(_ scan: RecordScan, _ line: UnsafeRawBufferPointer) {
    func text(_ member: RecordScan.Text) -> String? {
      scan[member].map { String(decoding: line[$0], as: UTF8.self) }
    }
    switch text(.event) {
    case "decision", "rollup": self.init(event: .decision)
    case "close": self.init(event: .close)
    default: self.init(event: .other)
    }
    agent = text(.agent)
    reason = text(.reason)
    guard event != .other else { return }
    layer = text(.layer).flatMap(Layer.init)
    verdict = text(.verdict).flatMap(Action.init)
    wouldDeny = scan[.wouldDeny] == 1
    rule = text(.rule)
    destination = Self.destination(
      host: text(.hostname) ?? text(.address), port: scan[.port], traffic: text(.traffic))
    if let address = text(.address), NotableAddress.isNotable(address.utf8) {
      self.address = IPAddress(address)
    }
    recordType = text(.recordType)
    method = text(.method)
    process = text(.process)
    isOverflow = scan[.isOverflow] == 1
  }

  private static func destination(host: String?, port: Int64?, traffic: String?) -> Destination? {
    guard let host, let port = port.flatMap({ UInt16(exactly: $0) }).flatMap({ Port($0) }),
      let traffic = traffic.flatMap(TrafficProtocol.init)
    else { return nil }
    if let address = IPAddress(host) { return Destination(.address(address), port, traffic) }
    return (try? Hostname(host)).map { Destination(.name($0), port, traffic) }
  }
}

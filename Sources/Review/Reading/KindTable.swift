import Addressing
import Audit
import Policy

/// Gives each kind of record a number, by the bytes of its line: what a kind is made of is only read when it
/// is met for the first time.
struct KindTable: Sendable {
  /// The most kinds that are told apart; of those beyond, the destination is dropped.
  static let limit = 100_000

  private(set) var kinds: [RecordKind] = []
  /// By value: for records that had to be read in full.
  private var numbers: [RecordKind: Int] = [:]
  /// The keys of all kinds that were met by their bytes, one behind the other.
  private var keys: [UInt8] = []
  private var entries: [Entry] = []
  /// Open addressing with linear steps; -1 is free, else a place in `entries`.
  private var slots = [Int32](repeating: -1, count: 1024)
  private var key: [UInt8] = []
  /// Drawn anew in each process, since agents choose names.
  private let seed = UInt64.random(in: 1 ... .max)

  private struct Entry {
    var hash: UInt64
    var start: Int
    var length: Int
    var kind: Int
  }

  /// The number of the kind of a line that was scanned.
  mutating func number(of scan: RecordScan, in line: UnsafeRawBufferPointer) -> Int {
    makeKey(scan, line)
    let hash = key.withUnsafeBytes { mix($0, seed) }
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] >= 0 {
      let entry = entries[Int(slots[slot])]
      if entry.hash == hash, isKey(at: entry) { return entry.kind }
      slot = (slot + 1) & (slots.count - 1)
    }
    let kind = number(of: RecordKind(scan, line))
    guard entries.count < Self.limit else { return kind }
    slots[slot] = Int32(entries.count)
    entries.append(Entry(hash: hash, start: keys.count, length: key.count, kind: kind))
    keys += key
    if entries.count * 2 > slots.count { grow() }
    return kind
  }

  /// The number of a kind.
  mutating func number(of kind: RecordKind) -> Int {
    if let number = numbers[kind] { return number }
    let isAgents = kind.destination != nil || kind.method != nil
    guard kinds.count < Self.limit || !isAgents else { return number(of: kind.withoutPlace) }
    numbers[kind] = kinds.count
    kinds.append(kind)
    return kinds.count - 1
  }

  private func isKey(at entry: Entry) -> Bool {
    guard entry.length == key.count else { return false }
    return keys.withUnsafeBytes { keys in
      key.withUnsafeBytes { $0.elementsEqual(keys[entry.start..<(entry.start + entry.length)]) }
    }
  }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: slots.count * 4)
    for (place, entry) in entries.enumerated() {
      var slot = Int(truncatingIfNeeded: entry.hash) & (slots.count - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = Int32(place)
    }
  }

  /// Puts together what makes a kind; each member with a mark before it that none of them holds.
  private mutating func makeKey(_ scan: RecordScan, _ line: UnsafeRawBufferPointer) {
    key.removeAll(keepingCapacity: true)
    for text in RecordScan.Text.allCases {
      guard let range = scan[text] else { continue }
      if text == .address, scan[.hostname] != nil, !NotableAddress.isNotable(line[range]) { continue }
      key.append(UInt8(truncatingIfNeeded: text.rawValue))
      key.append(contentsOf: UnsafeRawBufferPointer(rebasing: line[range]))
    }
    let flags = (scan[.wouldDeny] ?? 0) | (scan[.isOverflow] ?? 0) << 1
    key.append(0x1f)
    key.append(UInt8(truncatingIfNeeded: flags))
    withUnsafeBytes(of: scan[.port] ?? 0) { key.append(contentsOf: $0) }
  }
}

/// A hash of eight bytes at a time; only tells keys apart, which are compared afterwards.
func mix(_ bytes: UnsafeRawBufferPointer, _ seed: UInt64) -> UInt64 {
  var hash = seed ^ UInt64(truncatingIfNeeded: bytes.count), offset = 0
  while offset + 8 <= bytes.count {
    hash = fold(hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self), seed)
    offset += 8
  }
  var rest: UInt64 = 0
  while offset < bytes.count {
    rest = rest << 8 | UInt64(bytes[offset])
    offset += 1
  }
  return fold(hash ^ rest, seed)
}

/// Both halves of a product folded into one, as wyhash does.
private func fold(_ value: UInt64, _ seed: UInt64) -> UInt64 {
  let product = (value ^ 0x9e37_79b9_7f4a_7c15).multipliedFullWidth(by: seed | 1)
  return product.high ^ product.low
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

  /// The same for places that are too many to be told apart.
  var withoutPlace: RecordKind {
    var kind = self
    // What an agent chooses; of the rest there is a bounded number.
    (kind.destination, kind.address, kind.recordType) = (nil, nil, nil)
    (kind.method, kind.process, kind.isOverflow) = (nil, nil, true)
    return kind
  }
}

/// Answers a question about the kind of a record by the bytes of its line: what a kind is made of is only read when it is
/// met for the first time. When it is full, it begins anew.
struct KeyCache: Sendable {
  /// The most keys.
  private static let limit = 200_000

  /// The keys, one behind the other.
  private var keys: [UInt8] = []
  private var entries: [Entry] = []
  /// Open addressing with linear steps; -1 is free, else a place in `entries`.
  private var slots = [Int32](repeating: -1, count: 1024)
  private var key: [UInt8] = []
  private var hash: UInt64 = 0
  /// Drawn anew in each process, since agents choose names.
  private let seed = UInt64.random(in: 1 ... .max)

  private struct Entry {
    var hash: UInt64
    var start: Int
    var length: Int
    var answer: Int32
  }

  /// What is known of records like the one that was scanned.
  mutating func find(_ scan: RecordScan, in line: UnsafeRawBufferPointer) -> Int32? {
    makeKey(scan, line)
    hash = key.withUnsafeBytes { mix($0, seed) }
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] >= 0 {
      let entry = entries[Int(slots[slot])]
      if entry.hash == hash, isKey(at: entry) { return entry.answer }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Remembers the answer for what was looked for last.
  mutating func keep(_ answer: Int32) {
    if entries.count >= Self.limit { removeAll() }
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = Int32(entries.count)
    entries.append(Entry(hash: hash, start: keys.count, length: key.count, answer: answer))
    keys += key
    if entries.count * 2 > slots.count { grow() }
  }

  /// Forgets all.
  mutating func removeAll() {
    keys.removeAll()
    entries.removeAll()
    slots = [Int32](repeating: -1, count: 1024)
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

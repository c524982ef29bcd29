import Addressing

/// Finds every pattern that matches a name in time that grows with the name
/// alone: the name is hashed once from the right, and at each label boundary
/// one table is asked for the part so far.
///
/// The hash is a polynomial over the prime 2^61 - 1 at a random point, so no
/// list of names from elsewhere can be made to collide in the table. A hit
/// counts only when the bytes are equal.
struct NameIndex {
  private let key: UInt64
  private let slots: [Slot]
  private let text: [UInt8]
  private let entries: [Entry]
  /// Candidates of `*`.
  private let anyName: [Candidate]

  private struct Slot {
    var hash: UInt64 = 0
    var textStart: UInt32 = 0
    var textLength: UInt32 = 0
    var firstEntry: UInt32 = 0
    /// 0: the slot is free.
    var entryCount: UInt32 = 0
  }

  private struct Entry {
    var candidate: Candidate
    /// Whether the pattern covers its own name.
    var coversApex: Bool
    /// Whether the pattern covers what is below its name.
    var coversBelow: Bool
  }

  /// Builds the index of all name patterns in `rules`.
  init(_ rules: [Rule]) {
    var groups: [Hostname: [Entry]] = [:], anyName: [Candidate] = []
    for (number, rule) in rules.enumerated() {
      for (place, pattern) in rule.to.enumerated() {
        let candidate = Candidate(
          rule: UInt32(number), pattern: UInt32(place), specificity: pattern.specificity)
        let add = { (name: Hostname, apex: Bool, below: Bool) in
          groups[name, default: []].append(Entry(candidate: candidate, coversApex: apex, coversBelow: below))
        }
        switch pattern {
        case .exact(let name): add(name, true, false)
        case .subdomains(let name): add(name, false, true)
        case .domain(let name): add(name, true, true)
        case .anyName: anyName.append(candidate)
        case .prefix: break
        }
      }
    }
    self.anyName = anyName
    key = UInt64.random(in: 1 << 32..<mersenne61)
    (slots, text, entries) = Self.table(of: groups, key: key)
  }

  private static func table(
    of groups: [Hostname: [Entry]], key: UInt64
  ) -> (slots: [Slot], text: [UInt8], entries: [Entry]) {
    var slots = [Slot](repeating: Slot(), count: tableSize(for: groups.count))
    var text: [UInt8] = [], entries: [Entry] = []
    for (name, group) in groups {
      let hash = name.text.utf8.reversed().reduce(0) { step($0, $1, key) }
      var place = Int(truncatingIfNeeded: hash) & (slots.count - 1)
      while slots[place].entryCount > 0 { place = (place + 1) & (slots.count - 1) }
      slots[place] = Slot(
        hash: hash, textStart: UInt32(text.count), textLength: UInt32(name.text.utf8.count),
        firstEntry: UInt32(entries.count), entryCount: UInt32(group.count))
      text += Array(name.text.utf8)
      entries += group
    }
    return (slots, text, entries)
  }

  /// A power of two that leaves at least half of the slots free.
  private static func tableSize(for count: Int) -> Int {
    var size = 2
    while size < count * 2 { size *= 2 }
    return size
  }

  /// Hands over every pattern that matches `name`, in no order to rely on.
  @inline(__always)
  func forEachMatch(of name: Hostname, _ body: (Candidate) -> Void) {
    for candidate in anyName { body(candidate) }
    let bytes = name.text.utf8.span
    var hash: UInt64 = 0
    var start = bytes.count
    while start > 0 {
      let byte = bytes[start - 1]
      if byte == UInt8(ascii: "."), let slot = slot(of: bytes.extracting(start..<bytes.count), hash) {
        for entry in entries[slot] where entry.coversBelow { body(entry.candidate) }
      }
      hash = step(hash, byte, key)
      start -= 1
    }
    if let slot = slot(of: bytes, hash) {
      for entry in entries[slot] where entry.coversApex { body(entry.candidate) }
    }
  }

  /// The places in `entries` for exactly this name.
  private func slot(of name: Span<UInt8>, _ hash: UInt64) -> Range<Int>? {
    var place = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[place].entryCount > 0 {
      let slot = slots[place]
      if slot.hash == hash, hasText(slot, name) {
        return Int(slot.firstEntry)..<Int(slot.firstEntry + slot.entryCount)
      }
      place = (place + 1) & (slots.count - 1)
    }
    return nil
  }

  private func hasText(_ slot: Slot, _ name: Span<UInt8>) -> Bool {
    guard Int(slot.textLength) == name.count else { return false }
    let start = Int(slot.textStart)
    for offset in 0..<name.count where text[start + offset] != name[offset] { return false }
    return true
  }
}

/// The Mersenne prime 2^61 - 1: reducing by it takes a shift and an addition.
private let mersenne61: UInt64 = (1 << 61) - 1

/// One byte more to the left: `(hash + byte) * key` modulo 2^61 - 1.
@inline(__always)
private func step(_ hash: UInt64, _ byte: UInt8, _ key: UInt64) -> UInt64 {
  let product = (hash &+ UInt64(byte)).multipliedFullWidth(by: key)
  let folded = (product.low & mersenne61) &+ (product.high << 3 | product.low >> 61)
  return folded >= mersenne61 ? folded &- mersenne61 : folded
}

/// Steps over the JSON of one line; whatever JSON allows beyond what our own writer makes is a failure.
///
/// - Source: RFC 8259.
struct ByteCursor {
  let bytes: UnsafeRawBufferPointer
  private var offset = 0

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  var isAtEnd: Bool { offset == bytes.count }

  /// Steps over one byte, if it is that one.
  @inline(__always)
  mutating func take(_ byte: UInt8) -> Bool {
    guard offset < bytes.count, bytes[offset] == byte else { return false }
    offset += 1
    return true
  }

  /// Steps over a string of printable ASCII without escapes, and answers what is between the quotes.
  mutating func plainString() -> Range<Int>? {
    guard take(UInt8(ascii: "\"")) else { return nil }
    let start = offset
    skipPlainWords()
    while offset < bytes.count {
      let byte = bytes[offset]
      offset += 1
      if byte == UInt8(ascii: "\"") { return start..<(offset - 1) }
      guard isPlain(byte) else { return nil }
    }
    return nil
  }

  /// Steps over eight bytes at once, as long as none of them ends a plain string.
  @inline(__always)
  private mutating func skipPlainWords() {
    let ones: UInt64 = 0x0101_0101_0101_0101, tops: UInt64 = 0x8080_8080_8080_8080
    while offset + 8 <= bytes.count {
      let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      let quotes = word ^ (ones &* 0x22), escapes = word ^ (ones &* 0x5c), deletes = word ^ (ones &* 0x7f)
      // A byte below 0x20 borrows from its top bit, as does a byte that became 0 above; one of 0x80 on has it.
      let odd =
        (word &- ones &* 0x20) | (quotes &- ones) | (escapes &- ones) | (deletes &- ones) | word
      guard odd & tops == 0 else { return }
      offset += 8
    }
  }

  /// Steps over a whole number and answers it.
  mutating func integer() -> Int64? {
    let isNegative = take(UInt8(ascii: "-")), start = offset
    var value: Int64 = 0
    // 18 digits always fit; longer ones are read in full.
    while offset < bytes.count, offset - start < 19 {
      let digit = bytes[offset] &- UInt8(ascii: "0")
      guard digit < 10 else { break }
      value = value &* 10 &+ Int64(digit)
      offset += 1
    }
    let length = offset - start
    guard (1...18).contains(length), length == 1 || bytes[start] != UInt8(ascii: "0") else { return nil }
    return isNegative ? -value : value
  }

  /// Steps over `true` or `false`.
  mutating func bool() -> Bool? {
    if word("true") { return true }
    return word("false") ? false : nil
  }

  private mutating func word(_ text: StaticString) -> Bool {
    guard offset + text.utf8CodeUnitCount <= bytes.count else { return false }
    for index in 0..<text.utf8CodeUnitCount where bytes[offset + index] != text.utf8Start[index] {
      return false
    }
    offset += text.utf8CodeUnitCount
    return true
  }
}

// MARK: - What nobody looks at

extension ByteCursor {
  /// Steps over one value.
  mutating func skipValue(depth: Int) -> Bool {
    guard offset < bytes.count, depth < 16 else { return false }
    switch bytes[offset] {
    case UInt8(ascii: "\""): return skipString()
    case UInt8(ascii: "{"): return skipObject(depth: depth)
    case UInt8(ascii: "["): return skipArray(depth: depth)
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return bool() != nil
    case UInt8(ascii: "n"): return word("null")
    default: return integer() != nil
    }
  }

  private mutating func skipObject(depth: Int) -> Bool {
    offset += 1
    if take(UInt8(ascii: "}")) { return true }
    repeat {
      guard plainString() != nil, take(UInt8(ascii: ":")), skipValue(depth: depth + 1) else { return false }
    } while take(UInt8(ascii: ","))
    return take(UInt8(ascii: "}"))
  }

  private mutating func skipArray(depth: Int) -> Bool {
    offset += 1
    if take(UInt8(ascii: "]")) { return true }
    repeat {
      guard skipValue(depth: depth + 1) else { return false }
    } while take(UInt8(ascii: ","))
    return take(UInt8(ascii: "]"))
  }

  /// A string with escapes in it, but for halves of surrogate pairs.
  private mutating func skipString() -> Bool {
    offset += 1
    while offset < bytes.count {
      skipPlainWords()
      guard offset < bytes.count else { return false }
      let byte = bytes[offset]
      offset += 1
      if byte == UInt8(ascii: "\"") { return true }
      if byte == UInt8(ascii: "\\") {
        guard skipEscape() else { return false }
      } else if !isPlain(byte) {
        return false
      }
    }
    return false
  }

  private mutating func skipEscape() -> Bool {
    guard offset < bytes.count else { return false }
    let mark = bytes[offset]
    offset += 1
    guard mark == UInt8(ascii: "u") else { return mark == UInt8(ascii: "\"") || mark == UInt8(ascii: "\\") }
    guard offset + 4 <= bytes.count else { return false }
    // U+D800 to U+DFFF come in pairs, which the full reading checks.
    if bytes[offset] | 0x20 == UInt8(ascii: "d"), bytes[offset + 1] > UInt8(ascii: "7") { return false }
    for _ in 0..<4 {
      guard isHex(bytes[offset]) else { return false }
      offset += 1
    }
    return true
  }
}

/// Whether a byte stands for itself in a string: printable ASCII without quote and backslash.
private func isPlain(_ byte: UInt8) -> Bool {
  byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
}

private func isHex(_ byte: UInt8) -> Bool {
  byte &- UInt8(ascii: "0") < 10 || (byte | 0x20) &- UInt8(ascii: "a") < 6
}

import Addressing

/// A domain name as it stands on the wire: labels of any bytes.
///
/// Two names are equal when their bytes are; compare `folded` names where the
/// case of letters must not count.
///
/// - Source: RFC 1035 §3.1, RFC 4343 (case).
public struct DNSName: Hashable, Sendable, CustomStringConvertible {
  /// Every label behind its length byte, then the root's zero byte: 1 to 255
  /// bytes, never compressed.
  public let wire: [UInt8]

  /// The longest name in bytes, lengths and root counted (RFC 1035 §2.3.4).
  public static let maximumLength = 255
  /// The root: no label.
  public static let root = DNSName(checked: [0])

  /// Makes the name of a host; every `Hostname` fits.
  public init(_ hostname: Hostname) {
    var wire: [UInt8] = []
    wire.reserveCapacity(hostname.text.utf8.count + 2)
    // Each label's length goes where the dot before it stands; a label has at most 63 bytes.
    wire.append(0)
    var length = 0
    for byte in hostname.text.utf8 {
      if byte == UInt8(ascii: ".") {
        wire[length] = UInt8(truncatingIfNeeded: wire.count - length - 1)
        length = wire.count
        wire.append(0)
      } else {
        wire.append(byte)
      }
    }
    wire[length] = UInt8(truncatingIfNeeded: wire.count - length - 1)
    wire.append(0)
    self.wire = wire
  }

  /// Wraps bytes that are known to be one whole uncompressed name.
  init(checked wire: [UInt8]) {
    self.wire = wire
  }

  /// The labels from the left, raw, without the root.
  public var labels: [ArraySlice<UInt8>] {
    var labels: [ArraySlice<UInt8>] = []
    var start = 0
    while wire[start] != 0 {
      let end = start + 1 + Int(wire[start])
      labels.append(wire[(start + 1)..<end])
      start = end
    }
    return labels
  }

  /// The name with `A-Z` as `a-z`. Length bytes are at most 63, below every
  /// letter, so they stay.
  public var folded: DNSName {
    wire.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
      ? DNSName(checked: wire.map(foldedByte)) : self
  }

  /// The name as a host name; nil when it is none.
  public var hostname: Hostname? { unsafe Self.hostname(wire: wire.span.bytes) }

  /// The host name that the bytes of one whole uncompressed name say; nil when
  /// they say none. A label that holds a dot is never taken for two labels.
  public static func hostname(wire: RawSpan) -> Hostname? {
    guard wire.byteCount > 1, wire.byteCount <= maximumLength else { return nil }
    // The first length byte and the root's zero are left out; other lengths become dots.
    var text = InlineArray<255, UInt8>(repeating: UInt8(ascii: "."))
    var next = 1 + Int(wire.byte(at: 0))
    for position in 1..<(wire.byteCount - 1) {
      let byte = wire.byte(at: position)
      if position == next {
        next += 1 + Int(byte)
      } else {
        guard byte != UInt8(ascii: ".") else { return nil }
        text[position - 1] = byte
      }
    }
    return try? Hostname(text.span.extracting(0..<(wire.byteCount - 2)))
  }

  /// Whether this is `ancestor` or below it, comparing whole labels and not case.
  public func isEqualOrBelow(_ ancestor: DNSName) -> Bool {
    let parent = ancestor.folded.wire
    var start = 0
    while wire.count - start > parent.count { start += 1 + Int(wire[start]) }
    return wire[start...].elementsEqual(parent) { foldedByte($0) == $1 }
  }

  /// The name with the case of each letter drawn anew; `random` gives 64 bits a call.
  ///
  /// - Source: draft-vixie-dnsext-dns0x20-00.
  public func withRandomCase(_ random: () -> UInt64) -> DNSName {
    var bits: UInt64 = 0, left = 0
    return DNSName(
      checked: wire.map { byte in
        guard (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) else { return byte }
        if left == 0 { (bits, left) = (random(), UInt64.bitWidth) }
        defer { (bits, left) = (bits >> 1, left - 1) }
        return bits & 1 == 0 ? byte | 0x20 : byte & ~0x20
      })
  }

  /// Master file form: odd bytes as `\DDD` (RFC 1035 §5.1), the root as `.`.
  public var description: String {
    let parts = labels.map { $0.map(presentation).joined() }
    return parts.isEmpty ? "." : parts.joined(separator: ".")
  }
}

private func foldedByte(_ byte: UInt8) -> UInt8 {
  (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}

private func presentation(_ byte: UInt8) -> String {
  switch byte {
  case UInt8(ascii: "."), UInt8(ascii: "\\"): "\\" + String(UnicodeScalar(byte))
  case 0x21...0x7e: String(UnicodeScalar(byte))
  default: "\\" + String(repeating: "0", count: byte < 10 ? 2 : byte < 100 ? 1 : 0) + String(byte)
  }
}

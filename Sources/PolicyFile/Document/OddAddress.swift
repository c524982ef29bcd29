import Addressing

/// The dotted quad that `inet_aton` and browsers make of `127.1`, `0x7f000001`,
/// `2130706433` or `0177.0.0.1`; nil when the text is no such spelling.
///
/// Only for a remedy: policies and clients must write the dotted quad.
///
/// - Source: inet_aton(3); WHATWG URL, "IPv4 parser".
func canonicalSpelling(ofOddAddress text: Substring) -> IPAddress? {
  var parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
  if parts.last?.isEmpty == true { parts.removeLast() }
  guard (1...4).contains(parts.count) else { return nil }
  var numbers: [UInt32] = []
  for part in parts {
    guard let number = looseNumber(Substring(part)) else { return nil }
    numbers.append(number)
  }
  guard let last = numbers.popLast(), numbers.allSatisfy({ $0 <= 255 }) else { return nil }
  let room = UInt32(32 - 8 * numbers.count)
  guard room == 32 || last < UInt32(1) << room else { return nil }
  let high = numbers.reduce(UInt32(0)) { $0 << 8 | $1 }
  return .v4((room == 32 ? 0 : high << room) | last)
}

private func looseNumber(_ text: Substring) -> UInt32? {
  let digits = text.utf8
  guard let first = digits.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return nil }
  if digits.starts(with: "0x".utf8) || digits.starts(with: "0X".utf8) {
    return digits.count == 2 ? 0 : UInt32(text.dropFirst(2), radix: 16)
  }
  return UInt32(text, radix: first == UInt8(ascii: "0") && digits.count > 1 ? 8 : 10)
}

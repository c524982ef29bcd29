extension IPAddress {
  /// Reads an address literal from `bytes`: four decimal octets without leading
  /// zeros, or RFC 4291 §2.2 text without a zone. No other spelling is taken.
  public init?(_ bytes: ArraySlice<UInt8>) {
    guard let parsed = parseIPv4(bytes) ?? parseIPv6(bytes) else { return nil }
    self = parsed
  }

  /// Reads an address literal from `bytes`, as above.
  public init?(_ bytes: some Collection<UInt8>) {
    self.init(Array(bytes)[...])
  }

  /// Reads an address literal from text.
  public init?(_ text: String) {
    self.init(text.utf8)
  }
}

extension IPAddress: CustomStringConvertible {
  /// Dotted quad, or the canonical text of RFC 5952.
  public var description: String {
    switch self {
    case .v4(let value): "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
    case .v6(let high, let low): canonicalText(IPAddress.groups(high: high, low: low))
    }
  }
}

/// Strict dotted quad: exactly four fields of 1 to 3 digits, none above 255,
/// no leading zero (RFC 3986 §3.2.2, dec-octet).
func parseIPv4(_ bytes: ArraySlice<UInt8>) -> IPAddress? {
  guard bytes.count <= 15 else { return nil }
  var value: UInt32 = 0, fields = 0, field: UInt32 = 0, digits = 0
  for byte in bytes {
    if byte == UInt8(ascii: ".") {
      guard digits > 0, fields < 3 else { return nil }
      value = value << 8 | field
      (fields, field, digits) = (fields + 1, 0, 0)
      continue
    }
    guard isDigit(byte), digits == 0 || field > 0 else { return nil }
    field = field * 10 + UInt32(byte - UInt8(ascii: "0"))
    digits += 1
    guard field <= 255 else { return nil }
  }
  guard fields == 3, digits > 0 else { return nil }
  return .v4(value << 8 | field)
}

/// RFC 4291 §2.2, forms 1 to 3. A zone (`%`) is never part of it.
func parseIPv6(_ bytes: ArraySlice<UInt8>) -> IPAddress? {
  guard (2...45).contains(bytes.count), bytes.contains(UInt8(ascii: ":")) else { return nil }
  let text = Array(bytes)
  guard let gap = firstDoubleColon(in: text) else { return address(head: text[...], tail: nil) }
  return address(head: text[..<gap], tail: text[(gap + 2)...])
}

private func firstDoubleColon(in text: [UInt8]) -> Int? {
  text.indices.dropLast().first { text[$0] == UInt8(ascii: ":") && text[$0 + 1] == UInt8(ascii: ":") }
}

/// Puts the groups before and behind `::` together; a nil tail means no `::`.
private func address(head: ArraySlice<UInt8>, tail: ArraySlice<UInt8>?) -> IPAddress? {
  guard let first = groups(in: head, dottedQuadAllowed: tail == nil),
    let last = groups(in: tail ?? [], dottedQuadAllowed: true)
  else { return nil }
  let missing = 8 - first.count - last.count
  guard tail == nil ? missing == 0 : missing >= 1 else { return nil }
  let all = first + [UInt16](repeating: 0, count: missing) + last
  return .v6(
    high: all[..<4].reduce(0) { $0 << 16 | UInt64($1) }, low: all[4...].reduce(0) { $0 << 16 | UInt64($1) })
}

private func groups(in text: ArraySlice<UInt8>, dottedQuadAllowed: Bool) -> [UInt16]? {
  if text.isEmpty { return [] }
  var result: [UInt16] = []
  let fields = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
  guard fields.count <= 8 else { return nil }
  for (index, field) in fields.enumerated() {
    if dottedQuadAllowed, index == fields.count - 1, case .v4(let quad)? = parseIPv4(field) {
      result += [UInt16(quad >> 16), UInt16(quad & 0xffff)]
    } else if let group = hexGroup(field) {
      result.append(group)
    } else {
      return nil
    }
  }
  return result.count <= 8 ? result : nil
}

private func hexGroup(_ field: ArraySlice<UInt8>) -> UInt16? {
  guard (1...4).contains(field.count) else { return nil }
  var value: UInt16 = 0
  for byte in field {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt16(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt16(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt16(byte - UInt8(ascii: "A") + 10)
    default: return nil
    }
  }
  return value
}

/// RFC 5952 §4: lower case, no leading zeros, the longest run of two or more
/// zero groups (the first of equals) as `::`.
private func canonicalText(_ groups: [UInt16]) -> String {
  let hex = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
  guard let run = longestZeroRun(groups) else { return hex(groups[...]) }
  return hex(groups[..<run.lowerBound]) + "::" + hex(groups[run.upperBound...])
}

private func longestZeroRun(_ groups: [UInt16]) -> Range<Int>? {
  var best: Range<Int>?, start = 0
  for index in 0...groups.count where index == groups.count || groups[index] != 0 {
    if index - start >= 2, index - start > (best?.count ?? 0) { best = start..<index }
    start = index + 1
  }
  return best
}

extension RequestHead {
  /// The token in `Proxy-Authorization`: the password of `Basic`, whatever the
  /// user is called, or what follows `Bearer`. Nil when there is none, when it
  /// is repeated, empty or cannot be read. Never for the log.
  ///
  /// - Source: RFC 7617 §2, RFC 6750 §2.1.
  public var proxyAuthorization: [UInt8]? {
    guard fields.count(of: .proxyAuthorization) == 1, let value = fields.first(.proxyAuthorization),
      let blank = value.firstIndex(of: space)
    else { return nil }
    let token = trimmed(value[blank...])
    let credential: [UInt8]? =
      switch value[..<blank] {
      case let scheme where equalsIgnoringCase(scheme, "basic"): password(inBasic: token)
      case let scheme where equalsIgnoringCase(scheme, "bearer"):
        token.allSatisfy(isVisible) ? Array(token) : nil
      default: nil
      }
    return credential.flatMap { $0.isEmpty ? nil : $0 }
  }
}

private func password(inBasic encoded: ArraySlice<UInt8>) -> [UInt8]? {
  guard let plain = decodeBase64(encoded), let colon = plain.firstIndex(of: UInt8(ascii: ":")) else {
    return nil
  }
  return Array(plain[(colon + 1)...])
}

/// Decodes RFC 4648 §4: padded, canonical (the bits behind the last byte are
/// zero), without white space.
///
/// - Returns: nil for any other spelling.
func decodeBase64(_ encoded: ArraySlice<UInt8>) -> [UInt8]? {
  guard encoded.count % 4 == 0 else { return nil }
  let padding = encoded.reversed().prefix { $0 == UInt8(ascii: "=") }.count
  guard padding <= 2 else { return nil }
  var output: [UInt8] = []
  output.reserveCapacity(encoded.count / 4 * 3)
  var bits: UInt32 = 0, held: UInt32 = 0
  for byte in encoded.dropLast(padding) {
    guard let digit = base64Digit(byte) else { return nil }
    bits = (bits << 6 | digit) & 0xffff
    held += 6
    guard held >= 8 else { continue }
    held -= 8
    output.append(UInt8(truncatingIfNeeded: bits >> held))
  }
  let unused = bits & (1 << held - 1)
  return unused == 0 ? output : nil
}

private func base64Digit(_ byte: UInt8) -> UInt32? {
  switch byte {
  case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
  case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
  case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
  case UInt8(ascii: "+"): 62
  case UInt8(ascii: "/"): 63
  default: nil
  }
}

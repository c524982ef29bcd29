extension DNSQuery {
  /// The block that encrypted queries are padded to, in bytes (RFC 8467 §4.1).
  public static let paddingBlock = 128

  /// The message as it is sent over TLS: a multiple of `paddingBlock` bytes long, so
  /// that its length tells little about the name. One without EDNS is not padded.
  ///
  /// - Source: RFC 7830 §3 (the option, 12), RFC 8467 §4.1.
  public var padded: [UInt8] {
    let bytes = encoded
    guard edns != nil else { return bytes }
    let optionHeader = 4
    let excess = (bytes.count + optionHeader) % Self.paddingBlock
    let padding = excess == 0 ? 0 : Self.paddingBlock - excess
    // The OPT record is the last, and its data, so far none, are its end.
    var padded = Array(bytes[..<(bytes.count - 2)])
    for field in [optionHeader + padding, 12, padding] { padded.append(networkOrder: UInt16(field)) }
    return padded + [UInt8](repeating: 0, count: padding)
  }
}

/// What the first bytes of a client's connection are the beginning of, for
/// whoever was not told: TLS, HTTP/1, or something else.
public enum Opening: Hashable, Sendable {
  /// A TLS handshake record.
  case tls
  /// An HTTP/1 request: its line is there and ends in a version, or is longer than one may be.
  case http
  /// Neither.
  case other
  /// Too few bytes to tell; nil bytes are.
  case undecided

  /// Looks at all that has come so far.
  public init(_ bytes: [UInt8]) {
    guard let first = bytes.first else {
      self = .undecided
      return
    }
    self = first == Self.handshake ? .tls : Self.line(bytes.span)
  }

  /// The type of a TLS handshake record (RFC 8446 §5.1).
  private static let handshake: UInt8 = 22
  private static let version = Array("HTTP/".utf8)

  /// Many protocols open with a word and a space; the version at the end of the
  /// line tells HTTP from them (RFC 9112 §3).
  private static func line(_ bytes: borrowing Span<UInt8>) -> Opening {
    var end = 0
    while end < bytes.count, isMethodByte(bytes[end]) { end += 1 }
    guard end <= RequestLine.maximumMethodLength else { return .other }
    guard end < bytes.count else { return .undecided }
    guard end > 0, bytes[end] == space else { return .other }
    let limit = min(bytes.count, HeadLimits.request.startLine + 2)
    while end < limit, bytes[end] != lineFeed {
      guard bytes[end] >= space || bytes[end] == carriageReturn else { return .other }
      end += 1
    }
    guard end < limit else { return limit == bytes.count ? .undecided : .http }
    return endsInVersion(bytes.extracting(0..<end)) ? .http : .other
  }

  /// The letters of all methods in use, in either case, and `M-SEARCH`.
  private static func isMethodByte(_ byte: UInt8) -> Bool {
    isLowerCaseLetter(lowerCased(byte)) || byte == UInt8(ascii: "-")
  }

  /// Whether the last word of a line, with CR or without, begins as a version does.
  private static func endsInVersion(_ line: borrowing Span<UInt8>) -> Bool {
    var end = line.count
    if end > 0, line[end - 1] == carriageReturn { end -= 1 }
    var start = end
    while start > 0, line[start - 1] != space { start -= 1 }
    guard end - start >= version.count else { return false }
    return version.indices.allSatisfy { line[start + $0] == version[$0] }
  }
}

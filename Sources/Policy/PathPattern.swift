/// A pattern for request paths: `*` stands for any run of bytes within a
/// segment, `**` for any run of bytes. Everything else stands for itself.
///
/// Only a path that every server reads in the same way matches, see
/// `isCanonical(_:)`; which of two readings the upstream takes is not ours to guess.
public struct PathPattern: Hashable, Sendable, CustomStringConvertible {
  /// The pattern as written.
  public let text: String
  private let tokens: [Token]

  /// The longest pattern in bytes; with a path of 8 KiB, the longest a request
  /// line holds, a match stays below 10 ms.
  public static let maximumLength = 1024

  private enum Token: Hashable, Sendable {
    case byte(UInt8)
    case withinSegment
    case acrossSegments
  }

  /// Takes a pattern that begins with `/`.
  ///
  /// - Returns: nil when it is too long, or when no canonical path could match it.
  public init?(_ text: String) {
    guard text.utf8.count <= Self.maximumLength, let bytes = Self.canonicalBytes(of: text) else { return nil }
    self.text = text
    tokens = Self.tokens(of: bytes)
  }

  public var description: String { text }

  /// Whether `path` is canonical and falls under the pattern.
  public func matches(_ path: String) -> Bool {
    Self.canonicalBytes(of: path).map(matches(canonical:)) ?? false
  }

  /// Walks every way through the pattern at once, so that time grows with the
  /// product of both lengths and no further: `here[n]` says that the bytes so
  /// far can be read as the first `n` tokens.
  private func matches(canonical path: [UInt8]) -> Bool {
    let nowhere = [Bool](repeating: false, count: tokens.count + 1)
    var here = nowhere
    here[0] = true
    skipRuns(&here)
    for byte in path {
      var next = nowhere
      for place in tokens.indices where here[place] {
        switch tokens[place] {
        case .byte(let wanted): next[place + 1] = next[place + 1] || byte == wanted
        case .withinSegment: next[place] = next[place] || byte != UInt8(ascii: "/")
        case .acrossSegments: next[place] = true
        }
      }
      skipRuns(&next)
      here = next
    }
    return here[tokens.count]
  }

  /// A run may be empty: where one begins, what follows it may begin too.
  private func skipRuns(_ places: inout [Bool]) {
    for place in tokens.indices where places[place] {
      if case .byte = tokens[place] { continue }
      places[place + 1] = true
    }
  }

  private static func tokens(of bytes: [UInt8]) -> [Token] {
    bytes.reduce(into: []) { tokens, byte in
      switch (byte, tokens.last) {
      case (UInt8(ascii: "*"), .withinSegment?): tokens[tokens.count - 1] = .acrossSegments
      case (UInt8(ascii: "*"), .acrossSegments?): break
      case (UInt8(ascii: "*"), _): tokens.append(.withinSegment)
      default: tokens.append(.byte(byte))
      }
    }
  }
}

extension PathPattern {
  /// Whether every server reads `path` in the same way: it begins with `/`, and
  /// holds no empty segment, no `.` or `..` segment, no `;`, no `\\`, and
  /// nothing percent-encoded that could stand there plainly, or that is a
  /// slash, a backslash, a percent sign or a control character.
  ///
  /// - Source: RFC 3986 §3.3 (path characters), §6.2.2 (equivalent paths).
  public static func isCanonical(_ path: String) -> Bool { canonicalBytes(of: path) != nil }

  /// The bytes of a canonical path, hex digits in upper case; nil for any other path.
  private static func canonicalBytes(of path: String) -> [UInt8]? {
    var bytes: [UInt8] = [], rest = path.utf8[...]
    bytes.reserveCapacity(rest.count)
    var segment = Segment()
    guard rest.first == UInt8(ascii: "/") else { return nil }
    while let byte = rest.popFirst() {
      guard segment.take(byte) else { return nil }
      if byte == UInt8(ascii: "%") {
        guard let encoded = encodedByte(&rest) else { return nil }
        bytes += [byte, hexDigit(encoded >> 4), hexDigit(encoded & 15)]
      } else {
        guard isPlain(byte) else { return nil }
        bytes.append(byte)
      }
    }
    return segment.isDots ? nil : bytes
  }

  /// What is known of the segment being read.
  private struct Segment {
    var length = -1
    var dots = 0

    /// Whether it is `.` or `..`.
    var isDots: Bool { length == dots && (1...2).contains(length) }

    /// False where the segment that ends here must not be.
    mutating func take(_ byte: UInt8) -> Bool {
      guard byte == UInt8(ascii: "/") else {
        length += 1
        dots += byte == UInt8(ascii: ".") ? 1 : 0
        return true
      }
      defer { self = Segment(length: 0) }
      return length != 0 && !isDots
    }
  }
}

/// Reads the two digits behind a percent sign; nil unless the byte they stand
/// for can be written in no other way.
private func encodedByte(_ rest: inout Substring.UTF8View) -> UInt8? {
  guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
    return nil
  }
  let byte = high << 4 | low
  guard byte > 0x1f, byte != 0x7f, !isPlain(byte), !["/", "\\", "%", ";"].contains(Unicode.Scalar(byte))
  else {
    return nil
  }
  return byte
}

/// `pchar` of RFC 3986 §3.3 without `%` and `;`, and the slash.
private func isPlain(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"):
    true
  default: "-._~!$&'()*+,=:@/".utf8.contains(byte)
  }
}

private func hexValue(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

private func hexDigit(_ value: UInt8) -> UInt8 {
  value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
}

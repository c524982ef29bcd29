/// A DNS host name in canonical form: lower case, without the root dot, one to
/// 127 labels of `[a-z0-9_-]`, each 1 to 63 bytes, at most 253 bytes in all.
///
/// A value of this type cannot be an address, an odd spelling of an IPv4
/// address, or anything with a byte outside that alphabet, so two names are the
/// same host exactly when they are equal.
///
/// - Source: RFC 1035 §2.3.1 and §2.3.4 (lengths), RFC 1123 §2.1 (digits),
///   RFC 5890 §2.3.2.1 (A-labels); `_` is taken because hosts with it exist.
public struct Hostname: Hashable, Sendable, CustomStringConvertible {
  /// The name as canonical ASCII text.
  public let text: String

  /// The longest name in bytes, without the root dot (RFC 1035 §2.3.4: 255 on the wire).
  public static let maximumLength = 253
  /// The longest label in bytes (RFC 1035 §2.3.4).
  public static let maximumLabelLength = 63

  /// Reads a name from `bytes`; upper case is folded, one trailing dot is dropped.
  ///
  /// - Throws: `HostnameError`, the first thing that is wrong.
  public init(_ bytes: ArraySlice<UInt8>) throws(HostnameError) {
    let trimmed = bytes.last == UInt8(ascii: ".") ? bytes.dropLast() : bytes
    guard !trimmed.isEmpty else { throw .emptyLabel }
    guard trimmed.count <= Self.maximumLength else { throw .tooLong(length: trimmed.count) }
    var canonical = Array(trimmed)
    for index in canonical.indices {
      guard let folded = foldedHostByte(canonical[index]) else { throw .forbiddenByte(canonical[index]) }
      canonical[index] = folded
    }
    try checkLabels(of: canonical)
    text = String(decoding: canonical, as: UTF8.self)
  }

  /// Reads a name from `bytes`, as above.
  public init(_ bytes: some Collection<UInt8>) throws(HostnameError) {
    try self.init(Array(bytes)[...])
  }

  /// Reads a name from text; only ASCII is taken.
  public init(_ text: String) throws(HostnameError) {
    try self.init(text.utf8)
  }

  /// Wraps labels that are known to be canonical: a suffix of another name.
  private init(canonical: Substring) {
    text = String(canonical)
  }

  public var description: String { text }

  /// The labels from the left, without the root.
  public var labels: [Substring] { text.split(separator: ".", omittingEmptySubsequences: false) }

  /// The number of labels, without the root.
  public var labelCount: Int {
    var count = 1
    for byte in text.utf8 where byte == UInt8(ascii: ".") { count += 1 }
    return count
  }

  /// The name without its leftmost label, or nil for a single label.
  public var parent: Hostname? {
    guard let dot = text.utf8.firstIndex(of: UInt8(ascii: ".")) else { return nil }
    return Hostname(canonical: text[text.utf8.index(after: dot)...])
  }

  /// Whether this name lies below `ancestor` (whole labels; never itself).
  public func isBelow(_ ancestor: Hostname) -> Bool {
    let own = text.utf8, other = ancestor.text.utf8
    guard own.count > other.count + 1 else { return false }
    let start = own.index(own.endIndex, offsetBy: -other.count)
    return own[own.index(before: start)] == UInt8(ascii: ".") && own[start...].elementsEqual(other)
  }
}

/// Why bytes are not a host name.
public enum HostnameError: Error, Hashable, Sendable {
  /// No label, or two dots next to each other, or a leading dot.
  case emptyLabel
  /// The name has `length` bytes; 253 is the most.
  case tooLong(length: Int)
  /// A label has `length` bytes; 63 is the most.
  case labelTooLong(length: Int)
  /// A byte outside `[A-Za-z0-9_.-]`.
  case forbiddenByte(UInt8)
  /// A label begins or ends with a hyphen.
  case hyphenAtEdge
  /// The last label is a number: an IPv4 address in an odd spelling.
  case numericLastLabel
  /// A label starts with `xn--` but does not decode (RFC 3492).
  case invalidPunycode
}

/// Folds `A-Z`; nil for a byte that no host name holds.
private func foldedHostByte(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
    UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
    byte
  case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 0x20
  default: nil
  }
}

private func checkLabels(of name: [UInt8]) throws(HostnameError) {
  var start = 0
  for index in 0...name.count where index == name.count || name[index] == UInt8(ascii: ".") {
    try checkLabel(name[start..<index])
    if index == name.count, isNumber(name[start..<index]) { throw .numericLastLabel }
    start = index + 1
  }
}

private func checkLabel(_ label: ArraySlice<UInt8>) throws(HostnameError) {
  guard let first = label.first, let last = label.last else { throw .emptyLabel }
  guard label.count <= Hostname.maximumLabelLength else { throw .labelTooLong(length: label.count) }
  guard first != UInt8(ascii: "-"), last != UInt8(ascii: "-") || label.starts(with: "xn--".utf8) else {
    throw .hyphenAtEdge
  }
  if label.starts(with: "xn--".utf8), Punycode.decode(label.dropFirst(4)) == nil {
    throw .invalidPunycode
  }
}

/// Whether a last label reads as a number to some parser: digits alone, or
/// `0x` with hex digits (WHATWG URL, "ends in a number checker").
private func isNumber(_ label: ArraySlice<UInt8>) -> Bool {
  if label.allSatisfy(isDigit) { return true }
  guard label.starts(with: "0x".utf8) else { return false }
  return label.dropFirst(2).allSatisfy { isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0) }
}

func isDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

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
  public init(_ bytes: Span<UInt8>) throws(HostnameError) {
    let isDotted = bytes.count > 0 && bytes[bytes.count - 1] == UInt8(ascii: ".")
    let name = bytes.extracting(droppingLast: isDotted ? 1 : 0)
    guard !name.isEmpty else { throw .emptyLabel }
    guard name.count <= Self.maximumLength else { throw .tooLong(length: name.count) }
    for index in name.indices where foldedHostByte(name[index]) == nil { throw .forbiddenByte(name[index]) }
    try checkLabels(of: name)
    text = String(unsafeUninitializedCapacity: name.count) { text in
      for index in name.indices { text[index] = foldedHostByte(name[index]) ?? name[index] }
      return name.count
    }
  }

  /// Reads a name from `bytes`, as above.
  public init(_ bytes: ArraySlice<UInt8>) throws(HostnameError) {
    try self.init(bytes.span)
  }

  /// Reads a name from `bytes`, as above.
  public init(_ bytes: some Collection<UInt8>) throws(HostnameError) {
    try self.init(Array(bytes).span)
  }

  /// Reads a name from text; only ASCII is taken.
  public init(_ text: String) throws(HostnameError) {
    try self.init(text.utf8.span)
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
    let own = text.utf8.span, other = ancestor.text.utf8.span
    let start = own.count - other.count
    guard start > 1, own[start - 1] == UInt8(ascii: ".") else { return false }
    for index in other.indices where own[start + index] != other[index] { return false }
    return true
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

private func checkLabels(of name: Span<UInt8>) throws(HostnameError) {
  var start = 0
  for index in name.indices where name[index] == UInt8(ascii: ".") {
    try checkLabel(name.extracting(start..<index))
    start = index + 1
  }
  let last = name.extracting(start...)
  try checkLabel(last)
  if isNumber(last) { throw .numericLastLabel }
}

private func checkLabel(_ label: Span<UInt8>) throws(HostnameError) {
  guard !label.isEmpty else { throw .emptyLabel }
  guard label.count <= Hostname.maximumLabelLength else { throw .labelTooLong(length: label.count) }
  let isALabel = hasPunycodePrefix(label), hyphen = UInt8(ascii: "-")
  guard label[0] != hyphen, label[label.count - 1] != hyphen || isALabel else { throw .hyphenAtEdge }
  guard isALabel else { return }
  let encoded = (4..<label.count).map { foldedHostByte(label[$0]) ?? label[$0] }
  if Punycode.decode(encoded[...]) == nil { throw .invalidPunycode }
}

/// Whether it begins with `xn--`, in any case.
private func hasPunycodePrefix(_ label: Span<UInt8>) -> Bool {
  label.count >= 4 && label[0] | 0x20 == UInt8(ascii: "x") && label[1] | 0x20 == UInt8(ascii: "n")
    && label[2] == UInt8(ascii: "-") && label[3] == UInt8(ascii: "-")
}

/// Whether a last label reads as a number to some parser: digits alone, or
/// `0x` with hex digits (WHATWG URL, "ends in a number checker").
private func isNumber(_ label: Span<UInt8>) -> Bool {
  guard isDigit(label[0]) else { return false }
  let isHex = label.count >= 2 && label[0] == UInt8(ascii: "0") && label[1] | 0x20 == UInt8(ascii: "x")
  let digits = label.extracting((isHex ? 2 : 0)...)
  for index in digits.indices {
    let isHexLetter = (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(digits[index] | 0x20)
    guard isDigit(digits[index]) || isHex && isHexLetter else { return false }
  }
  return true
}

func isDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

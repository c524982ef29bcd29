/// Reads big-endian numbers and runs of bytes from the front of a slice; nil
/// when there are not enough, and nothing is taken then.
struct ByteReader {
  private var rest: ArraySlice<UInt8>
  private let start: Int

  init(_ bytes: ArraySlice<UInt8>) {
    rest = bytes
    start = bytes.startIndex
  }

  /// In bytes.
  var consumed: Int { rest.startIndex - start }
  var isAtEnd: Bool { rest.isEmpty }

  mutating func byte() -> UInt8? { rest.popFirst() }

  mutating func uint16() -> UInt16? {
    take(2).map { $0.reduce(0) { $0 << 8 | UInt16($1) } }
  }

  mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard count >= 0, rest.count >= count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  /// A vector with one byte of length before it (RFC 8446 §3.4).
  mutating func vector8() -> ArraySlice<UInt8>? {
    var copy = self
    guard let count = copy.byte(), let bytes = copy.take(Int(count)) else { return nil }
    self = copy
    return bytes
  }

  /// A vector with two bytes of length before it (RFC 8446 §3.4).
  mutating func vector16() -> ArraySlice<UInt8>? {
    var copy = self
    guard let count = copy.uint16(), let bytes = copy.take(Int(count)) else { return nil }
    self = copy
    return bytes
  }
}

/// The frame of one line of the log: what the chain is made of.
///
/// A line is `{"seq":N,"prev":"…",` members `,"hash":"…"}`; the hash is the
/// SHA-256 of the bytes before `,"hash":"`.
struct SealedLine: Hashable, Sendable {
  /// The record's number, from 1.
  var sequence: UInt64
  /// The hash of the record before.
  var previous: RecordHash
  /// The hash that the line states.
  var stated: RecordHash
  /// The hash that its bytes have.
  var computed: RecordHash

  var isIntact: Bool { stated == computed }
  var head: ChainHead { ChainHead(sequence: sequence, hash: stated) }

  /// The most bytes of a line that is read, without its end.
  static let maximumLength = 65536

  /// What every line begins with.
  static let opening = Array(#"{"seq":"#.utf8)
  private static let tail = Array(#","hash":""#.utf8)
  /// From `,"hash":"` to the closing brace.
  static let tailLength = tail.count + 64 + 2

  /// Reads a line without its end; nil when it has not this form.
  init?(_ line: some Sequence<UInt8>) {
    let bytes = Array(line)
    guard bytes.count > Self.tailLength, bytes.count <= Self.maximumLength else { return nil }
    let end = bytes.count - Self.tailLength, digits = end + Self.tail.count
    guard bytes[end..<digits].elementsEqual(Self.tail), bytes.suffix(2).elementsEqual(#""}"#.utf8),
      let stated = RecordHash(hex: bytes[digits..<(digits + 64)]),
      let (sequence, previous) = Self.opening(of: bytes[..<end])
    else { return nil }
    self.sequence = sequence
    self.previous = previous
    self.stated = stated
    computed = bytes[..<end].withUnsafeBytes { RecordHash(hashing: $0) }
  }

  private static func opening(of bytes: ArraySlice<UInt8>) -> (UInt64, RecordHash)? {
    var rest = bytes
    guard rest.take(#"{"seq":"#) else { return nil }
    let digits = rest.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    guard digits.first != UInt8(ascii: "0"), let number = Int64(String(decoding: digits, as: UTF8.self))
    else {
      return nil
    }
    rest = rest.dropFirst(digits.count)
    guard rest.take(#","prev":""#), let previous = RecordHash(hex: rest.prefix(64)) else { return nil }
    rest = rest.dropFirst(64)
    guard rest.take(#"","#) else { return nil }
    return (UInt64(number), previous)
  }
}

extension ArraySlice<UInt8> {
  /// Steps over `text` if it stands at the start.
  fileprivate mutating func take(_ text: StaticString) -> Bool {
    let matches = text.withUTF8Buffer { starts(with: $0) }
    if matches { self = dropFirst(text.utf8CodeUnitCount) }
    return matches
  }
}

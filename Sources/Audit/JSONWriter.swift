/// Writes one JSON text into a byte array, in printable ASCII only.
///
/// Whatever is not printable ASCII leaves escaped, so a written text cannot
/// break a line, drive a terminal or hide characters, whoever chose its content.
/// The caller keeps the structure right: a key before each value in an object.
///
/// - Source: RFC 8259.
public struct JSONWriter: Sendable {
  /// What was written so far.
  public private(set) var bytes: [UInt8] = []
  /// Whether the next key or value follows another one.
  private var needsComma = false

  /// Makes an empty writer with room for `capacity` bytes.
  public init(reserving capacity: Int = 1024) {
    bytes.reserveCapacity(capacity)
  }

  /// Opens an object.
  public mutating func beginObject() { open(UInt8(ascii: "{")) }
  /// Closes the innermost object.
  public mutating func endObject() { close(UInt8(ascii: "}")) }
  /// Writes a member that is an object; `body` writes what is in it.
  public mutating func object(_ name: StaticString, _ body: (inout JSONWriter) -> Void) {
    key(name)
    beginObject()
    body(&self)
    endObject()
  }

  /// Opens an array.
  public mutating func beginArray() { open(UInt8(ascii: "[")) }
  /// Closes the innermost array.
  public mutating func endArray() { close(UInt8(ascii: "]")) }

  /// Writes a member's name, which must need no escapes.
  public mutating func key(_ name: StaticString) {
    // In one piece: a record has dozens, and each append looks for room and for other owners.
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: name.utf8CodeUnitCount + 4) { piece in
      var end = 0
      func add(_ byte: UInt8) {
        piece.initializeElement(at: end, to: byte)
        end += 1
      }
      if needsComma { add(UInt8(ascii: ",")) }
      add(UInt8(ascii: "\""))
      name.withUTF8Buffer { end = piece[end...].initialize(fromContentsOf: $0) }
      add(UInt8(ascii: "\""))
      add(UInt8(ascii: ":"))
      bytes.append(contentsOf: UnsafeBufferPointer(rebasing: piece[..<end]))
    }
    needsComma = false
  }

  /// Writes a member's name that is not known before the program runs.
  public mutating func key(dynamic name: String) {
    string(name)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  /// Writes text. Each scalar outside printable ASCII becomes `\uXXXX`, above
  /// the basic plane as a surrogate pair.
  public mutating func string(_ text: String) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    var text = text
    let isASCII = text.withUTF8 { utf8 in
      if utf8.allSatisfy(isPlainByte) {
        bytes.append(contentsOf: utf8)
        return true
      }
      guard utf8.allSatisfy({ $0 < 0x80 }) else { return false }
      for byte in utf8 { escape(unit: UInt16(byte)) }
      return true
    }
    if !isASCII { escape(text) }
    bytes.append(UInt8(ascii: "\""))
    needsComma = true
  }

  /// Writes bytes of unknown encoding: each byte outside printable ASCII becomes
  /// `\u00XX`, so the exact bytes can be read back (one scalar for each byte).
  public mutating func string(bytes raw: some Sequence<UInt8>) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    for byte in raw { escape(unit: UInt16(byte)) }
    bytes.append(UInt8(ascii: "\""))
    needsComma = true
  }

  /// Writes text that the program itself wrote and that needs no escapes.
  public mutating func string(static text: StaticString) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    bytes.append(UInt8(ascii: "\""))
    needsComma = true
  }

  /// Writes an integer.
  public mutating func integer(_ value: some BinaryInteger) {
    separate()
    appendDecimal(UInt64(clamping: value.magnitude), negative: value < 0)
    needsComma = true
  }

  /// Writes a finite number; anything else becomes null.
  public mutating func number(_ value: Double) {
    guard value.isFinite else { return null() }
    separate()
    bytes.append(contentsOf: value.description.utf8)
    needsComma = true
  }

  /// Writes true or false.
  public mutating func bool(_ value: Bool) {
    separate()
    bytes.append(contentsOf: (value ? "true" : "false").utf8)
    needsComma = true
  }

  /// Writes null.
  public mutating func null() {
    separate()
    bytes.append(contentsOf: "null".utf8)
    needsComma = true
  }

  /// Writes members that were encoded before, as they are.
  mutating func verbatim(_ encoded: StaticString) {
    separate()
    encoded.withUTF8Buffer { bytes.append(contentsOf: $0) }
    needsComma = true
  }

  /// Takes up the string's opening quote; `unquoted` bytes must be plain.
  mutating func plainString(_ body: (inout [UInt8]) -> Void) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    body(&bytes)
    bytes.append(UInt8(ascii: "\""))
    needsComma = true
  }

  /// The same for a number: `digits` must be one.
  mutating func plainNumber(_ digits: (inout [UInt8]) -> Void) {
    separate()
    digits(&bytes)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
  }

  private mutating func open(_ bracket: UInt8) {
    separate()
    bytes.append(bracket)
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    bytes.append(bracket)
    needsComma = true
  }

  private mutating func escape(_ text: String) {
    for unit in text.utf16 { escape(unit: unit) }
  }

  private mutating func escape(unit: UInt16) {
    if let byte = UInt8(exactly: unit), isPlainByte(byte) { return bytes.append(byte) }
    if unit == 0x22 || unit == 0x5c { return bytes.append(contentsOf: [0x5c, UInt8(unit)]) }
    bytes.append(contentsOf: #"\u"#.utf8)
    for shift in stride(from: 12, through: 0, by: -4) {
      bytes.append(hexDigit(UInt8(truncatingIfNeeded: unit >> shift & 15)))
    }
  }

  private mutating func appendDecimal(_ value: UInt64, negative: Bool) {
    if negative { bytes.append(UInt8(ascii: "-")) }
    Audit.appendDecimal(value, to: &bytes)
  }
}

/// Whether a byte stands for itself in a JSON string of ours: printable ASCII
/// without the quote and the backslash.
func isPlainByte(_ byte: UInt8) -> Bool {
  byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
}

/// The lower-case hexadecimal digit of a number below 16.
func hexDigit(_ nibble: UInt8) -> UInt8 {
  nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") - 10 + nibble
}

/// Appends a number in decimal.
func appendDecimal(_ value: UInt64, to bytes: inout [UInt8]) {
  // 20 digits hold the largest UInt64.
  withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
    var rest = value, start = digits.count
    repeat {
      start -= 1
      digits.initializeElement(at: start, to: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    } while rest > 0
    bytes.append(contentsOf: UnsafeBufferPointer(rebasing: digits[start...]))
  }
}

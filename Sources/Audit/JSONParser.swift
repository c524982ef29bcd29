/// Why bytes are not one JSON value, and where.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong.
  public enum Problem: String, Hashable, Sendable {
    /// The text ends too early.
    case truncated = "the text ends too early"
    /// More bytes than the caller takes.
    case tooLarge = "the text is too large"
    /// A byte that cannot stand here.
    case unexpectedByte = "unexpected byte"
    /// More than `JSONValue.maximumDepth` arrays and objects inside each other.
    case tooDeep = "nested too deeply"
    /// Bytes that are not UTF-8, a control byte, or half a surrogate pair.
    case badString = "invalid string"
    /// A number outside the grammar or the range of a double.
    case badNumber = "invalid number"
    /// An object with the same name twice: two readers could see two values.
    case duplicateName = "the same name twice in one object"
  }

  /// What is wrong.
  public var problem: Problem
  /// In bytes from the start of the text.
  public var offset: Int

  public var description: String { "\(problem.rawValue) at byte \(offset)" }
}

extension JSONValue {
  /// The most arrays and objects inside each other.
  public static let maximumDepth = 32

  /// Reads exactly one value, with optional white space around it.
  ///
  /// - Parameter limit: The most bytes taken; 64 KiB holds every record.
  /// - Throws: `JSONError`, the first thing that is wrong.
  /// - Source: RFC 8259; stricter in that a repeated name is an error.
  public init(parsing bytes: some Sequence<UInt8>, limit: Int = 65536) throws(JSONError) {
    var parser = JSONParser(Array(bytes))
    guard parser.bytes.count <= limit else { throw JSONError(problem: .tooLarge, offset: limit) }
    self = try parser.document()
  }
}

/// A recursive descent over bytes; the recursion ends at `maximumDepth`.
private struct JSONParser {
  let bytes: [UInt8]
  private var offset = 0

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  mutating func document() throws(JSONError) -> JSONValue {
    let value = try value(depth: 0)
    guard peekAfterSpace() == nil else { throw error(.unexpectedByte) }
    return value
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    guard let first = peekAfterSpace() else { throw error(.truncated) }
    switch first {
    case UInt8(ascii: "{"): return .object(try members(depth: depth + 1))
    case UInt8(ascii: "["): return .array(try elements(depth: depth + 1))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func members(depth: Int) throws(JSONError) -> [JSONValue.Member] {
    try enter(depth)
    var members: [JSONValue.Member] = [], names: Set<String> = []
    if take(UInt8(ascii: "}")) { return members }
    repeat {
      guard peekAfterSpace() == UInt8(ascii: "\"") else { throw unexpected() }
      let start = offset
      let name = try string()
      guard names.insert(name).inserted else { throw JSONError(problem: .duplicateName, offset: start) }
      try expect(UInt8(ascii: ":"))
      members.append(JSONValue.Member(name, try value(depth: depth)))
    } while take(UInt8(ascii: ","))
    try expect(UInt8(ascii: "}"))
    return members
  }

  private mutating func elements(depth: Int) throws(JSONError) -> [JSONValue] {
    try enter(depth)
    var elements: [JSONValue] = []
    if take(UInt8(ascii: "]")) { return elements }
    repeat { elements.append(try value(depth: depth)) } while take(UInt8(ascii: ","))
    try expect(UInt8(ascii: "]"))
    return elements
  }

  /// Steps over an opening bracket.
  private mutating func enter(_ depth: Int) throws(JSONError) {
    guard depth <= JSONValue.maximumDepth else { throw error(.tooDeep) }
    offset += 1
  }

  private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    let length = text.utf8CodeUnitCount
    guard offset + length <= bytes.count else { throw error(.truncated) }
    let matches = text.withUTF8Buffer { bytes[offset..<(offset + length)].elementsEqual($0) }
    guard matches else { throw error(.unexpectedByte) }
    offset += length
    return value
  }
}

extension JSONParser {
  private func error(_ problem: JSONError.Problem) -> JSONError {
    JSONError(problem: problem, offset: offset)
  }

  private func unexpected() -> JSONError {
    error(offset < bytes.count ? .unexpectedByte : .truncated)
  }

  private func peek() -> UInt8? {
    offset < bytes.count ? bytes[offset] : nil
  }

  private mutating func peekAfterSpace() -> UInt8? {
    while let byte = peek(), byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { offset += 1 }
    return peek()
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peekAfterSpace() == byte else { return false }
    offset += 1
    return true
  }

  private mutating func expect(_ byte: UInt8) throws(JSONError) {
    guard take(byte) else { throw unexpected() }
  }
}

/// RFC 8259 §6.
extension JSONParser {
  private mutating func number() throws(JSONError) -> JSONValue {
    let start = offset
    if peek() == UInt8(ascii: "-") { offset += 1 }
    guard let first = peek(), isDigit(first) else { throw start == offset ? unexpected() : error(.badNumber) }
    let leadsWithZero = first == UInt8(ascii: "0")
    guard takeDigits() == 1 || !leadsWithZero else { throw error(.badNumber) }
    var isInteger = true
    if peek() == UInt8(ascii: ".") {
      offset += 1
      isInteger = false
      guard takeDigits() > 0 else { throw error(.badNumber) }
    }
    if let mark = peek(), mark | 0x20 == UInt8(ascii: "e") {
      try takeExponent()
      isInteger = false
    }
    return try number(String(decoding: bytes[start..<offset], as: UTF8.self), isInteger: isInteger)
  }

  private func number(_ text: String, isInteger: Bool) throws(JSONError) -> JSONValue {
    if isInteger, let value = Int64(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else { throw error(.badNumber) }
    return .number(value)
  }

  private mutating func takeExponent() throws(JSONError) {
    offset += 1
    if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { offset += 1 }
    guard takeDigits() > 0 else { throw error(.badNumber) }
  }

  /// Steps over digits and answers how many there were.
  private mutating func takeDigits() -> Int {
    let start = offset
    while let byte = peek(), isDigit(byte) { offset += 1 }
    return offset - start
  }
}

/// RFC 8259 §7.
extension JSONParser {
  private mutating func string() throws(JSONError) -> String {
    offset += 1
    var content: [UInt8] = []
    while let byte = peek() {
      offset += 1
      switch byte {
      case UInt8(ascii: "\""): return try text(content)
      case UInt8(ascii: "\\"): try escape(into: &content)
      case 0..<0x20: throw error(.badString)
      default: content.append(byte)
      }
    }
    throw error(.truncated)
  }

  private func text(_ content: [UInt8]) throws(JSONError) -> String {
    guard let text = String(validating: content, as: UTF8.self) else { throw error(.badString) }
    return text
  }

  private mutating func escape(into content: inout [UInt8]) throws(JSONError) {
    guard let byte = peek() else { throw error(.truncated) }
    offset += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "f"): content.append(0x0c)
    case UInt8(ascii: "n"): content.append(0x0a)
    case UInt8(ascii: "r"): content.append(0x0d)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "u"):
      content.append(contentsOf: UTF8.encode(try scalar()) ?? UTF8.encodedReplacementCharacter)
    default: throw error(.badString)
    }
  }

  /// Reads the digits behind `\u`, and the second half of a surrogate pair.
  private mutating func scalar() throws(JSONError) -> Unicode.Scalar {
    let unit = try hexUnit()
    if let scalar = Unicode.Scalar(unit) { return scalar }
    guard unit < 0xdc00, peek() == UInt8(ascii: "\\") else { throw error(.badString) }
    offset += 1
    guard peek() == UInt8(ascii: "u") else { throw error(.badString) }
    offset += 1
    let low = try hexUnit()
    guard (0xdc00...0xdfff).contains(low),
      let scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xd800) << 10 + (UInt32(low) - 0xdc00))
    else { throw error(.badString) }
    return scalar
  }

  private mutating func hexUnit() throws(JSONError) -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = peek() else { throw error(.truncated) }
      guard let nibble = hexNibble(byte) else { throw error(.badString) }
      unit = unit << 4 | UInt16(nibble)
      offset += 1
    }
    return unit
  }
}

/// Whether a byte is a decimal digit.
func isDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

/// The value of a hexadecimal digit, or nil.
func hexNibble(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

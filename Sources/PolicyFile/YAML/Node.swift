/// A place in a file.
struct Mark: Hashable, Sendable {
  /// From 1.
  var line: Int
  /// In characters, from 1.
  var column: Int

  /// Where a file begins.
  static let start = Mark(line: 1, column: 1)
}

/// A value in a YAML file, with the place where it begins.
struct Node: Sendable {
  var mark: Mark
  var content: Content

  indirect enum Content: Sendable {
    case scalar(text: String, isPlain: Bool)
    case sequence([Node])
    case mapping([Entry])
  }
}

extension Node {
  /// Whether it is a mapping with this key.
  func hasKey(_ key: String) -> Bool {
    guard case .mapping(let entries) = content else { return false }
    return entries.contains { $0.key == key }
  }
}

/// One `key: value` of a mapping.
struct Entry: Sendable {
  var key: String
  var mark: Mark
  var value: Node
}

/// What a scalar stands for.
enum ScalarValue: Hashable, Sendable {
  case null
  case boolean(Bool)
  /// An integer; nil when it does not fit 64 bits.
  case integer(Int?)
  case fraction
  case text(String)
}

extension Node {
  /// What the scalar stands for, or nil for a list or a mapping.
  ///
  /// Only plain scalars are anything but text, as the core schema has it:
  /// `yes`, `on` and `12:30` are text.
  ///
  /// - Source: YAML 1.2.2 §10.3.2.
  var scalar: ScalarValue? {
    guard case .scalar(let text, let isPlain) = content else { return nil }
    return isPlain ? resolve(plain: text) : .text(text)
  }
}

extension Node {
  /// Whether it is a number in decimal digits alone. `0120` and `0x50` are 120
  /// and 80 in YAML 1.2, 80 and 80 elsewhere: nobody should have to know.
  var isPlainDecimal: Bool {
    guard case .scalar(let text, isPlain: true) = content, let first = text.utf8.first else { return false }
    return text.utf8.allSatisfy { isDigit($0, radix: 10) } && (first != UInt8(ascii: "0") || text == "0")
  }
}

private func resolve(plain text: String) -> ScalarValue {
  switch text {
  case "", "~", "null", "Null", "NULL": return .null
  case "true", "True", "TRUE": return .boolean(true)
  case "false", "False", "FALSE": return .boolean(false)
  default: break
  }
  if let radix = radixPrefix(text) {
    let digits = text.utf8.dropFirst(2)
    guard !digits.isEmpty, digits.allSatisfy({ isDigit($0, radix: radix) }) else { return .text(text) }
    return .integer(Int(text.dropFirst(2), radix: radix))
  }
  return resolve(number: text) ?? .text(text)
}

private func radixPrefix(_ text: String) -> Int? {
  if text.utf8.starts(with: "0x".utf8) { return 16 }
  return text.utf8.starts(with: "0o".utf8) ? 8 : nil
}

private func isDigit(_ byte: UInt8, radix: Int) -> Bool {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "7"): true
  case UInt8(ascii: "8"), UInt8(ascii: "9"): radix > 8
  case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): radix == 16
  default: false
  }
}

/// `[-+]?[0-9]+`, or a fraction: `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, `.inf`, `.nan`.
private func resolve(number text: String) -> ScalarValue? {
  var rest = text.utf8[...]
  let isSign = { (byte: UInt8?) in byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") }
  if isSign(rest.first) { rest = rest.dropFirst() }
  if [".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"].contains(String(rest)) { return .fraction }
  let whole = dropDigits(&rest)
  if rest.isEmpty, whole > 0 { return .integer(Int(text)) }
  var fraction = 0
  if rest.first == UInt8(ascii: ".") {
    rest = rest.dropFirst()
    fraction = dropDigits(&rest)
  }
  guard whole + fraction > 0 else { return nil }
  if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
    rest = rest.dropFirst()
    if isSign(rest.first) { rest = rest.dropFirst() }
    guard dropDigits(&rest) > 0 else { return nil }
  }
  return rest.isEmpty ? .fraction : nil
}

/// Moves past leading digits and says how many there were.
private func dropDigits(_ text: inout Substring.UTF8View) -> Int {
  let count = text.prefix { isDigit($0, radix: 10) }.count
  text = text.dropFirst(count)
  return count
}

/// The fields of a form as they stand behind the `?` of an address, or in a body.
///
/// - Source: URL standard §5.1 (application/x-www-form-urlencoded).
struct FormFields: Hashable, Sendable {
  /// More fields than any form of the page has.
  private static let limit = 32
  /// In bytes; a host name has at most 253.
  private static let longest = 2048

  /// What a form's body calls itself.
  static let mediaType = "application/x-www-form-urlencoded"

  private var values: [String: String] = [:]

  /// No fields.
  init() {}

  /// Reads a query; nil for one that is no form: too long, a name twice, bytes that are no UTF-8.
  init?(_ query: String?) {
    guard let query, !query.isEmpty else { return }
    let parts = query.utf8.split(separator: UInt8(ascii: "&"))
    guard parts.count <= Self.limit else { return nil }
    for part in parts {
      let pair = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = decoded(pair[0]), let value = pair.count > 1 ? decoded(pair[1]) : "",
        value.utf8.count <= Self.longest, values.updateValue(value, forKey: name) == nil
      else { return nil }
    }
  }

  /// Reads a body; nil for one that is no form.
  init?(body: [UInt8]) {
    guard let text = String(validating: body, as: UTF8.self) else { return nil }
    self.init(text)
  }

  /// The value of a field; nil where it is missing or empty.
  subscript(_ name: String) -> String? {
    guard let value = values[name], !value.isEmpty else { return nil }
    return value
  }
}

private func decoded(_ text: Substring.UTF8View) -> String? {
  var bytes: [UInt8] = [], rest = text[...]
  while let byte = rest.popFirst() {
    switch byte {
    case UInt8(ascii: "+"): bytes.append(0x20)
    case UInt8(ascii: "%"):
      guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
        return nil
      }
      bytes.append(high << 4 | low)
    default: bytes.append(byte)
    }
  }
  return String(validating: bytes, as: UTF8.self)
}

private func digit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

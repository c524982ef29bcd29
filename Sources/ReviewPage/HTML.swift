/// Markup. Its names are the program's own words; every value becomes a text
/// node or a quoted attribute, and no value can become markup.
///
/// - Source: HTML standard §13.3 (escaping), §13.1.2 (elements, attributes).
struct HTML: ExpressibleByStringInterpolation, Sendable {
  private(set) var markup: String

  /// A text node.
  init(_ text: String) {
    markup = escaped(visible(text))
  }

  init(stringLiteral text: String) {
    self.init(text)
  }

  /// A name in its own letters, which may be of any script: nothing but letters, digits, dots and hyphens stands as
  /// it is, and none of them turns the line around it.
  ///
  /// - Source: HTML standard §4.5.24 (bdi); Unicode Standard §4.5 (general categories).
  init(letters text: String) {
    let shown = text.unicodeScalars.map { scalar -> String in
      switch scalar.properties.generalCategory {
      case .lowercaseLetter, .uppercaseLetter, .otherLetter, .titlecaseLetter, .decimalNumber: String(scalar)
      default: scalar == "." || scalar == "-" ? String(scalar) : visible(String(scalar))
      }
    }
    markup = "<bdi>\(escaped(shown.joined()))</bdi>"
  }

  /// Nodes one behind the other.
  init(_ nodes: [HTML]) {
    markup = nodes.map(\.markup).joined()
  }

  /// An element without attributes.
  init(_ name: StaticString, _ children: [HTML]) {
    self.init(name, [], children)
  }

  /// An element with an end tag.
  init(_ name: StaticString, _ attributes: [Attribute], _ children: [HTML]) {
    markup = "<\(name)\(attributes.map(\.markup).joined())>\(children.map(\.markup).joined())</\(name)>"
  }

  /// An element that has none: `input`, `meta`, `link`.
  init(void name: StaticString, _ attributes: [Attribute]) {
    markup = "<\(name)\(attributes.map(\.markup).joined())>"
  }

  /// A whole document.
  init(document root: HTML) {
    markup = "<!doctype html>\n\(root.markup)\n"
  }

  static let nothing = HTML([])

  /// One attribute of an element.
  struct Attribute: Sendable {
    fileprivate let markup: String

    /// A name and its value.
    init(_ name: StaticString, _ value: String) {
      markup = " \(name)=\"\(escaped(visible(value)))\""
    }

    /// A name alone.
    init(_ name: StaticString) {
      markup = " \(name)"
    }

    /// A link to one of the program's own pages, so that no value chooses a scheme or a host.
    static func href(_ page: StaticString, _ query: [(name: StaticString, value: String)] = []) -> Attribute {
      Attribute("href", target(page, query))
    }

    static func `class`(_ names: StaticString) -> Attribute { Attribute("class", "\(names)") }
    static func id(_ name: StaticString) -> Attribute { Attribute("id", "\(name)") }
  }
}

/// The address of one of the program's own pages, relative to all others.
func target(_ page: StaticString, _ query: [(name: StaticString, value: String)]) -> String {
  guard !query.isEmpty else { return "\(page)" }
  return "\(page)?" + query.map { "\($0.name)=\(percentEncoded($0.value))" }.joined(separator: "&")
}

/// Everything but printable ASCII as `\u{…}`: what could hide, turn the writing
/// direction or pass for another letter is seen for what it is.
func visible(_ text: String) -> String {
  guard !text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else { return text }
  return text.unicodeScalars.map { scalar in
    (0x20..<0x7f).contains(scalar.value)
      ? String(scalar) : "\\u{\(String(scalar.value, radix: 16))}"
  }.joined()
}

private func escaped(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}

/// - Source: RFC 3986 §2.3 (what needs no encoding).
private func percentEncoded(_ text: String) -> String {
  let digits = Array("0123456789ABCDEF".utf8)
  let bytes = text.utf8.flatMap { byte -> [UInt8] in
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e: [byte]
    default: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
  }
  return String(decoding: bytes, as: UTF8.self)
}

/// One line of output: pieces of text, each with a style. What is interpolated
/// is made printable, so a line is one line whatever stands in it.
struct Text: ExpressibleByStringInterpolation, Sendable {
  /// How a piece looks on a terminal.
  enum Style: String, Sendable {
    case plain = ""
    case strong = "1"
    case faint = "2"
    case bad = "31"
    case good = "32"
    case doubtful = "33"
    case reversed = "7"
  }

  private(set) var pieces: [(text: String, style: Style)] = []

  init(stringLiteral value: String) {
    pieces = [(printable(value), .plain)]
  }

  init(_ text: some StringProtocol, _ style: Style = .plain) {
    pieces = [(printable(text), style)]
  }

  /// Text of a client: printable ASCII alone is shown as it is, as in the log.
  init(ascii text: String, _ style: Style = .plain) {
    pieces = [(text.unicodeScalars.map { $0.isASCII ? printable(String($0)) : escape($0) }.joined(), style)]
  }

  init(stringInterpolation: Interpolation) {
    pieces = stringInterpolation.text.pieces
  }

  struct Interpolation: StringInterpolationProtocol {
    fileprivate var text = Text("")

    init(literalCapacity: Int, interpolationCount: Int) {}

    mutating func appendLiteral(_ literal: String) {
      text.pieces.append((printable(literal), .plain))
    }

    mutating func appendInterpolation(_ value: some CustomStringConvertible, _ style: Style = .plain) {
      text.pieces.append((printable(value.description), style))
    }

    mutating func appendInterpolation(_ value: Text) {
      text.pieces += value.pieces
    }
  }

  static func + (left: Text, right: Text) -> Text {
    var sum = left
    sum.pieces += right.pieces
    return sum
  }

  /// The text without styles.
  var plain: String { pieces.map(\.text).joined() }

  /// How many scalars it shows; a terminal's columns for all that occurs here.
  var width: Int { plain.unicodeScalars.count }

  /// The text with its styles as SGR sequences (ECMA-48 §8.3.117).
  var coloured: String {
    pieces.map { $0.style == .plain ? $0.text : "\u{1b}[\($0.style.rawValue)m\($0.text)\u{1b}[0m" }.joined()
  }
}

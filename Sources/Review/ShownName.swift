import Addressing
import PolicyFile

/// A host's name as a person has to judge it: what was registered told apart from what anybody can put before it,
/// and what Unicode makes of its A-labels.
public struct ShownName: Hashable, Sendable {
  /// What stands before the registered domain, dot included.
  public let head: String
  /// The registered domain; all of it where there is none.
  public let domain: String
  /// What Unicode makes of its A-labels; nil where all is ASCII. Letters of any script, so not for every sink.
  public let unicode: String?
  /// What of that can be taken for something else, a sentence each.
  public let warnings: [String]

  /// Reads a name or an address.
  public init(_ name: String) {
    let own = (try? Hostname(name.utf8)).flatMap(registeredDomain(of:))?.text ?? name
    domain = own
    head = String(decoding: name.utf8.prefix(max(0, name.utf8.count - own.utf8.count)), as: UTF8.self)
    let labels = name.split(separator: ".").map(Label.init)
    let isInternational = labels.contains(where: \.isInternational)
    unicode = isInternational ? labels.map(\.unicode).joined(separator: ".") : nil
    warnings = labels.compactMap(\.warning)
  }
}

/// One label of a name, and what it looks like.
private struct Label {
  let isInternational: Bool
  let unicode: String
  private let scalars: [Unicode.Scalar]

  init(_ text: Substring) {
    let decoded =
      text.utf8.starts(with: "xn--".utf8) ? Punycode.decode(Array(text.utf8.dropFirst(4))[...]) : nil
    scalars = decoded ?? Array(text.unicodeScalars)
    isInternational = decoded != nil
    unicode = String(String.UnicodeScalarView(scalars))
  }

  var warning: String? {
    guard isInternational else { return nil }
    let twin = scalars.map { lookAlikes[$0] ?? $0 }
    if twin.allSatisfy(\.isASCII) {
      return "looks like '\(String(String.UnicodeScalarView(twin)))' and is not"
    }
    let hasLatin = scalars.contains { ("a"..."z").contains($0) }
    let odd = scalars.filter { !$0.isASCII && lookAlikes[$0] != nil }
    if hasLatin, !odd.isEmpty { return "mixes letters that look like Latin ones with Latin ones" }
    return nil
  }
}

/// Letters that are drawn like a Latin one in common typefaces.
///
/// - Source: the Unicode Character Database's names of Cyrillic, Greek and Armenian letters; UTS 39 §4 for the idea.
private let lookAlikes: [Unicode.Scalar: Unicode.Scalar] = [
  "\u{430}": "a", "\u{435}": "e", "\u{43e}": "o", "\u{440}": "p", "\u{441}": "c", "\u{443}": "y",
  "\u{445}": "x", "\u{455}": "s", "\u{456}": "i", "\u{458}": "j", "\u{501}": "d",
  "\u{51b}": "q", "\u{51d}": "w", "\u{4bb}": "h", "\u{4cf}": "l", "\u{432}": "b", "\u{43a}": "k",
  "\u{43c}": "m", "\u{43d}": "h", "\u{442}": "t", "\u{433}": "r", "\u{44c}": "b",
  "\u{3b1}": "a", "\u{3bf}": "o", "\u{3bd}": "v", "\u{3c1}": "p", "\u{3c5}": "u", "\u{3b9}": "i",
  "\u{3ba}": "k", "\u{3c7}": "x", "\u{3b3}": "y", "\u{3b7}": "n", "\u{3c4}": "t",
  "\u{3c9}": "w", "\u{585}": "o", "\u{57d}": "u", "\u{570}": "h", "\u{578}": "n", "\u{581}": "g",
  "\u{566}": "q", "\u{251}": "a", "\u{261}": "g", "\u{131}": "i", "\u{217c}": "l",
]

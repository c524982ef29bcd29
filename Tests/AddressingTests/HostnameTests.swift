import Addressing
import Testing

@Suite("Host names")
struct HostnameTests {
  static let below: [(String, String, Bool, String)] = [
    ("api.wild.test", "wild.test", true, "one label below"),
    ("a.b.wild.test", "wild.test", true, "two labels below"),
    ("wild.test", "wild.test", false, "itself"),
    ("evilwild.test", "wild.test", false, "POL-02: the end of a label"),
    ("x.evilallowed.test", "allowed.test", false, "POL-02"),
    ("allowed.test.evil.test", "allowed.test", false, "POL-03: a prefix"),
    ("allowed-test.evil.test", "allowed.test", false, "POL-03"),
    ("allowedxtest", "allowed.test", false, "POL-03: the dot is no wildcard"),
    ("test", "wild.test", false, "an ancestor"),
    (".wild.test".dropFirst().description, "test", true, "the last label"),
  ]

  @Test("POL-02: names are compared by whole labels", arguments: below)
  func isBelow(_ host: String, _ ancestor: String, _ expected: Bool, _ because: String) throws {
    #expect(try Hostname(host).isBelow(Hostname(ancestor)) == expected, "\(because)")
  }

  @Test("POL-03: a name that holds another is another name")
  func otherNames() throws {
    for other in ["allowed.test.evil.test", "allowedxtest", "evilallowed.test"] {
      #expect(try Hostname(other) != Hostname("allowed.test"))
    }
  }

  @Test("Ancestors of a random name are those that a list of labels gives")
  func ancestors() throws {
    var random = SeededRandom(state: 3)
    for _ in 0..<500 {
      let labels = (0..<Int.random(in: 1...6, using: &random)).map { _ in
        ["a", "bb", "a-b", "x_y"].randomElement(using: &random) ?? "a"
      }
      let other = (0..<Int.random(in: 1...3, using: &random)).map { _ in
        ["a", "bb", "a-b", "x_y"].randomElement(using: &random) ?? "a"
      }
      let name = try Hostname(labels.joined(separator: ".")),
        ancestor = try Hostname(other.joined(separator: "."))
      #expect(name.labels.map(String.init) == labels && name.labelCount == labels.count)
      #expect(
        name.isBelow(ancestor)
          == (labels.count > other.count && labels.suffix(other.count).elementsEqual(other)))
      #expect(name.parent?.text == (labels.count == 1 ? nil : labels.dropFirst().joined(separator: ".")))
    }
  }

  static let errors: [(String, HostnameError)] = [
    ("", .emptyLabel), (".", .emptyLabel), ("a..b", .emptyLabel), ("a b", .forbiddenByte(32)),
    ("a-.b", .hyphenAtEdge),
    ("1.2", .numericLastLabel), ("xn--.b", .invalidPunycode),
    (String(repeating: "a", count: 64), .labelTooLong(length: 64)),
    (String(repeating: "a.", count: 127) + "a", .tooLong(length: 255)),
  ]

  @Test("The error says what is wrong", arguments: errors)
  func error(_ text: String, _ error: HostnameError) {
    #expect(throws: error) { try Hostname(text) }
  }

  @Test(
    "A-labels decode as RFC 3492 says",
    arguments: [
      ("bcher-kva", "bücher"), ("egbpdaj6bu4bxfgehfvwxn", "ليهمابتكلموشعربي؟"),
      ("ihqwcrb4cv8a8dqg056pqjye", "他们为什么不说中文"),
      ("3B-ww4c5e180e575a65lsy2b".lowercased(), "3b年b組金八先生".replacing("3b年b", with: "3年b")),
      ("llowed-2nf", "\u{430}llowed"),
    ])
  func decode(_ encoded: String, _ plain: String) {
    #expect(Punycode.decode(Array(encoded.utf8)[...]) == Array(plain.unicodeScalars))
  }

  @Test("DOS-07: no A-label overflows or loops")
  func hostilePunycode() {
    for text in [
      "zzzzzzzzzzzzzzzzzzzz", "99999999999999999999", "-", "--", "a-0", String(repeating: "a", count: 5000),
    ] {
      _ = Punycode.decode(Array(text.utf8)[...])
    }
    #expect(Punycode.decode([]) == nil && Punycode.decode([0xff]) == nil)
  }
}

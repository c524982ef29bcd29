import Addressing
import Policy
import Testing

@testable import PolicyFile

/// What `to` takes; what it refuses is in the fixtures.
@Suite struct HostPatternTests {
  @Test(
    "POL-05, POL-14: patterns are canonical once they are read",
    arguments: [
      ("api.example.com", "api.example.com"), ("API.Example.COM", "api.example.com"),
      ("api.example.com.", "api.example.com"), ("*.Example.com", "*.example.com"),
      ("**.example.com.", "**.example.com"), ("bücher.test", "xn--bcher-kva.test"),
      ("BÜCHER.test", "xn--bcher-kva.test"), ("XN--BCHER-KVA.test", "xn--bcher-kva.test"),
      ("*.straße.test", "*.xn--strae-oqa.test"), ("b\u{75}\u{308}cher.test", "xn--bcher-kva.test"),
      ("例え.テスト", "xn--r8jz45g.xn--zckzah"), ("аllowed.test", "xn--llowed-2nf.test"),
      ("192.0.2.1", "192.0.2.1/32"), ("192.0.2.0/24", "192.0.2.0/24"), ("2001:DB8::/32", "2001:db8::/32"),
      ("0.0.0.0/0", "0.0.0.0/0"), ("_dmarc.example.com", "_dmarc.example.com"),
    ])
  func canonical(_ text: String, _ pattern: String) throws {
    #expect(try parseHostPattern(text).description == pattern)
  }

  @Test(
    "POL-13: Unicode that maps to another name, or to an address, is refused",
    arguments: [
      "１２７.0.0.1", "①②⑦.0.0.1", "ⓟlain.test", "allowed。test", "allo\u{ad}wed.test", "allowed\u{200b}.test",
      "ａllowed.test", "allowed.ｔest", "\u{301}a.test", "a\u{202e}b.test", "☃\u{fe0f}.test", "٣.٣",
      "\u{ff0a}.example.com",
    ])
  func unicodeTricks(_ text: String) {
    #expect(throws: HostPatternError.self) { try parseHostPattern(text) }
  }

  @Test("any text is read or refused, and what is read is read the same again")
  func total() {
    let alphabet = Array("a.*-/:[]@%0129xX ü。\u{ad}\u{200d}".unicodeScalars)
    var random = SystemRandomNumberGenerator()
    for _ in 0..<5000 {
      let length = Int.random(in: 0...12, using: &random)
      let text = String(
        String.UnicodeScalarView((0..<length).map { _ in alphabet.randomElement(using: &random) ?? "a" }))
      guard let pattern = try? parseHostPattern(text) else { continue }
      #expect((try? parseHostPattern(pattern.description)) == pattern, "\(text)")
    }
  }

  @Test(
    "the registered domain is the public suffix and one label, private section included",
    arguments: [
      ("a.b.example.com", "example.com"), ("example.com", "example.com"), ("com", nil),
      ("a.b.example.co.uk", "example.co.uk"),
      ("co.uk", nil), ("someone.github.io", "someone.github.io"),
      ("x.someone.github.io", "someone.github.io"),
      ("github.io", nil), ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ] as [(String, String?)])
  func registered(_ name: String, _ domain: String?) throws {
    #expect(try registeredDomain(of: Hostname(name))?.text == domain)
  }

  @Test("POL-27: a wildcard over a public suffix loads only when it is meant, and is warned of then")
  func wideOnPurpose() throws {
    for pattern in ["*", "*.test", "**.com", "*.github.io", "*.compute.amazonaws.com"] {
      let body = "action: allow, to: [\"\(pattern)\"]"
      #expect(errors(policy(rule: body)).count == 1, "\(pattern)")
      #expect(errors(policy(rule: body + ", allow-public-suffix: false")).count == 1, "\(pattern)")
      #expect(try !warnings(policy(rule: body + ", allow-public-suffix: true")).isEmpty, "\(pattern)")
    }
    #expect(errors(policy(rule: "action: allow, to: [\"*.example.com\", github.io]")).isEmpty)
  }
}

import Addressing
import Testing

/// Bytes of an authority, and why they are none.
struct Refused: Sendable, CustomTestStringConvertible {
  var bytes: [UInt8], because: String

  init(_ text: String, _ because: String) { (bytes, self.because) = (Array(text.utf8), because) }
  init(bytes: [UInt8], _ because: String) { (self.bytes, self.because) = (bytes, because) }

  var testDescription: String { "\(String(decoding: bytes, as: UTF8.self).debugDescription): \(because)" }

  func check() {
    #expect(throws: AuthorityError.self) { try Authority(bytes) }
    #expect(throws: AuthorityError.self) { try Authority(bytes[...], defaultPort: .https) }
  }
}

@Suite("Authorities from the wire")
struct AuthorityTests {
  static let canonical: [(String, String)] = [
    ("allowed.test:443", "allowed.test:443"), ("AlLoWeD.TeSt:443", "allowed.test:443"),
    ("a_b.wild.test:1", "a_b.wild.test:1"),
    ("11.66.0.66:65535", "11.66.0.66:65535"), ("[2A0E:B107:66::66]:443", "[2a0e:b107:66::66]:443"),
    ("[::ffff:169.254.169.254]:80", "[::ffff:a9fe:a9fe]:80"), ("localhost:3128", "localhost:3128"),
    ("1password.test:443", "1password.test:443"), ("127.0.0.1.test:443", "127.0.0.1.test:443"),
    ("a--b.test:1", "a--b.test:1"),
  ]

  @Test("What is taken has one spelling", arguments: canonical)
  func taken(_ written: String, _ canonical: String) throws {
    let authority = try Authority(written.utf8)
    #expect(authority.description == canonical)
    #expect(try Authority(canonical.utf8) == authority, "canonical text reads as itself")
  }

  @Test(
    "POL-03: a path behind the name is not cut off",
    arguments: [
      Refused("evil.test/allowed.test:443", "slash"), Refused("allowed.test:443/x", "path behind the port"),
    ])
  func path(_ c: Refused) { c.check() }

  @Test(
    "POL-04: one trailing dot is dropped, any other odd dot refused",
    arguments: [
      Refused("allowed.test..:443", "two"), Refused(".allowed.test:443", "leading"), Refused(".:443", "lone"),
      Refused("..:443", "two alone"), Refused("1.2.3.4.:443", "an address has none"),
    ])
  func dots(_ c: Refused) throws {
    c.check()
    #expect(try Authority("allowed.test.:443".utf8) == Authority("allowed.test:443".utf8))
  }

  @Test("POL-05: letter case is folded for ASCII, and for nothing else")
  func letterCase() throws {
    #expect(try Hostname("BAD.Wild.TEST") == Hostname("bad.wild.test"))
    #expect(throws: HostnameError.self) { try Hostname("\u{212a}iosk.test") }
  }

  @Test(
    "POL-06: brackets hold an IPv6 literal or nothing goes",
    arguments: [
      Refused("[allowed.test]:443", "name"), Refused("[bad.wild.test]:443", "name"),
      Refused("[[allowed.test]]:443", "twice"),
      Refused("[11.66.0.66]:443", "IPv4"), Refused("[::1", "open"), Refused("[]:443", "empty"),
      Refused("[::1]x:443", "behind"),
      Refused("x[::1]:443", "before"), Refused("[::1]:443]", "late"), Refused("::1:443", "none around IPv6"),
      Refused("[::1]443", "no colon"),
    ])
  func brackets(_ c: Refused) { c.check() }

  @Test(
    "POL-07: NUL anywhere",
    arguments: [
      Refused("evil.test\0.wild.test:443", "inside"), Refused("allowed.test\0:443", "end"),
      Refused("\0allowed.test:443", "start"),
      Refused("allowed.test:443\0", "behind the port"),
      Refused("127.0.0.1\0.allowed.test:443", "behind an address"),
    ])
  func nul(_ c: Refused) { c.check() }

  @Test(
    "POL-08: control bytes and spaces",
    arguments: [
      Refused("allowed.test\r\nX-A: b:443", "CR LF"), Refused("allowed.test\n:443", "LF"),
      Refused("allowed.test\t:443", "tab"),
      Refused("127.0.0.1 .allowed.test:443", "space"),
      Refused("127.0.0.1 evil:443", "junk behind an address"),
      Refused("allowed.test\u{b}:443", "VT"), Refused("allowed.test\u{7f}:443", "DEL"),
      Refused(bytes: Array("allowed.test".utf8) + [0x85] + Array(":443".utf8), "NEL as one byte"),
    ])
  func controls(_ c: Refused) { c.check() }

  @Test(
    "POL-09: percent-encoding is not decoded",
    arguments: [
      Refused("allowed%2etest:443", "dot"), Refused("%61llowed.test:443", "letter"),
      Refused("evil%2ewild.test:443", "dot"),
      Refused("plain.test%00.evil.test:80", "NUL"),
    ])
  func percent(_ c: Refused) { c.check() }

  @Test(
    "POL-10: userinfo, harmless or not",
    arguments: [
      Refused("allowed.test@evil.test:443", "user"),
      Refused("evil.test:443@allowed.test:443", "user and port"),
      Refused("u:p@plain.test:80", "password"), Refused("@allowed.test:443", "empty user"),
    ])
  func userinfo(_ c: Refused) { c.check() }

  @Test(
    "POL-11: delimiters of other parsers",
    arguments: "\\#?;/,|<>\"'`^{}()&$!*+=~".map { Refused("evil.test\($0)plain.test:80", "byte \($0)") })
  func delimiters(_ c: Refused) { c.check() }

  @Test(
    "POL-12: odd IPv4 spellings are neither names nor addresses",
    arguments: [
      "127.1", "0x7f000001", "0x7f.1", "2130706433", "0177.0.0.1", "017700000001", "0", "1", "0xa9fea9fe",
      "169.254.43518",
      "0251.0376.0251.0376", "1.2.3.4.5", "256.1.1.1", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1..3.4",
      "0x1.2.3.4", "0X7F.1",
      "1.2.3.0x4", "1.2.3", "evil.test.0x7f", "evil.test.1", "0x", "a.0x",
    ])
  func oddAddress(_ text: String) {
    Refused("\(text):443", text).check()
    #expect(IPAddress(text) == nil)
    #expect((try? Hostname(text)) == nil)
  }

  @Test(
    "POL-13: digits and letters outside ASCII",
    arguments: [
      "\u{ff11}\u{ff12}\u{ff17}.0.0.1", "\u{24df}lain.test", "allowed\u{3002}test", "allo\u{ad}wed.test",
      "allowed\u{200b}.test",
      "\u{661}.1.1.1", "allowed.test\u{ff0e}",
    ])
  func notASCII(_ text: String) { Refused("\(text):443", "not ASCII").check() }

  @Test("POL-14: A-labels are names, what does not decode is none, and a U-label never is")
  func punycode() throws {
    #expect(try Authority("XN--BCHER-KVA.test:443".utf8).host.description == "xn--bcher-kva.test")
    #expect(throws: Never.self) { try Hostname("xn--llowed-jqf.test") }
    for bad in [
      "bücher.test", "xn--.test", "xn--a-.test", "xn--0.test", "xn--99999999.test", "a.xn--\u{fc}.test",
    ] {
      Refused("\(bad):443", "no A-label").check()
    }
  }

  @Test("POL-15: label and name lengths, hyphens at the edge, wildcards in a request")
  func labels() throws {
    let long = String(repeating: "a", count: 63)
    let name = [long, long, long, String(repeating: "b", count: 61)].joined(separator: ".")
    #expect(name.utf8.count == 253)
    #expect(try Hostname(name).labelCount == 4 && Hostname(name + ".").text == name)
    for bad in [
      "a..allowed.test", "\(long)a.wild.test", name + "c", "a." + name, "-a.wild.test", "a-.wild.test",
      "*.wild.test", "*",
    ] {
      Refused("\(bad):443", "label").check()
    }
  }

  @Test("POL-16: an address literal is an address, never a name")
  func literals() throws {
    for (text, address) in [("11.66.0.66:443", "11.66.0.66"), ("[2a0e:b107:66::66]:443", "2a0e:b107:66::66")]
    {
      guard case .address(let parsed) = try Authority(text.utf8).host else {
        Issue.record("\(text) is a name")
        continue
      }
      #expect(parsed == IPAddress(address))
    }
  }

  @Test(
    "POL-21: names of this host are names like others, and never turn into an address",
    arguments: [
      "localhost", "x.localhost", "host.docker.internal", "metadata.google.internal", "ip6-localhost",
    ])
  func hostAliases(_ name: String) throws {
    #expect(try Authority("\(name):443".utf8).host == .name(Hostname(name)))
  }

  @Test(
    "POL-19: zones are never part of an address",
    arguments: [
      Refused("[fe80::1%25f0]:443", "encoded"), Refused("[fe80::1%f0]:443", "plain"),
      Refused("[::1%25.allowed.test]:443", "name"),
      Refused("[2a0e:b107:11::10%1]:443", "number"), Refused("[::1%]:443", "empty"),
    ])
  func zones(_ c: Refused) {
    c.check()
    #expect(IPAddress("fe80::1%lo") == nil)
  }

  @Test(
    "POL-25: a port is [1-9][0-9]{0,4}, at most 65535",
    arguments: [
      "65979", "65536", "0", "-1", "-0", "+443", "0443", "443x", "4.43e2", "0x1bb", "99999999999999999999",
      "", " 443", "443 ",
      "４４３", "100000",
    ])
  func ports(_ text: String) {
    #expect(throws: AuthorityError.badPort) { try Authority("allowed.test:\(text)".utf8) }
    #expect(throws: AuthorityError.badPort) { try Authority("[::1]:\(text)".utf8) }
    #expect(Port(text.utf8) == nil)
  }

  @Test("POL-25: a missing port is taken only where one is implied; two are none")
  func missingPort() throws {
    #expect(throws: AuthorityError.missingPort) { try Authority("allowed.test".utf8) }
    #expect(throws: AuthorityError.self) { try Authority("allowed.test:443:443".utf8) }
    #expect(try Authority("allowed.test".utf8, defaultPort: .http).port.number == 80)
    #expect(try Authority("[::1]".utf8, defaultPort: .http).description == "[::1]:80")
    #expect([1, 80, 65535].allSatisfy { Port(String($0).utf8)?.number == UInt16($0) })
  }

  @Test("DOS-07: random bytes trap nothing, and what is taken reads as itself")
  func random() throws {
    var random = SeededRandom(state: 2)
    let alphabet = Array("a1.-_:[]xn0F%@\0 \u{80}".utf8)
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...24, using: &random)).map { _ in
        alphabet.randomElement(using: &random) ?? 0
      }
      guard let authority = try? Authority(bytes[...], defaultPort: .https) else { continue }
      #expect(try Authority(authority.description.utf8) == authority, "\(bytes)")
    }
  }
}

import Addressing
import Testing
import Wire

@Suite("Request targets")
struct HTTPTargetTests {
  @Test("A CONNECT to a name or an address literal is taken, and the target is canonical")
  func controls() throws {
    for (written, canonical) in [
      ("allowed.test:443", "allowed.test:443"), ("AlLoWeD.TeSt:443", "allowed.test:443"),
      ("allowed.test.:443", "allowed.test:443"), ("11.66.0.66:443", "11.66.0.66:443"),
      ("[2A0E:b107:66::0066]:8443", "[2a0e:b107:66::66]:8443"),
      ("XN--BCHER-KVA.test:443", "xn--bcher-kva.test:443"),
    ] {
      #expect(try accepted(connect(written)).target.authority.description == canonical)
    }
  }

  static let badAuthorities: [HeadCase] = [
    HeadCase("[allowed.test]:443", "POL-06: brackets hold only IPv6"),
    HeadCase("[[allowed.test]]:443", "POL-06"), HeadCase("[11.66.0.66]:443", "POL-06"),
    HeadCase("[::1", "POL-06"), HeadCase("[]:443", "POL-06"),
    HeadCase("allowed.test..:443", "POL-04: two dots"), HeadCase(".allowed.test:443", "POL-04"),
    HeadCase(".:443", "POL-04"), HeadCase("evil.test/allowed.test:443", "POL-03: a slash in the host"),
    HeadCase("evil.test\0.wild.test:443", "POL-07: NUL"), HeadCase("allowed.test\t:443", "POL-08: tab"),
    HeadCase("127.0.0.1 .allowed.test:443", "POL-08: space"),
    HeadCase("allowed.test\u{0b}:443", "POL-08: VT"),
    HeadCase("allowed.test\u{7f}:443", "POL-08: DEL"),
    HeadCase("allowed.test\r\nX-A: b:443", "POL-08: CR LF"),
    HeadCase("allowed.test\u{85}:443", "POL-08: NEL"), HeadCase("allowed%2etest:443", "POL-09: percent"),
    HeadCase("%61llowed.test:443", "POL-09"), HeadCase("allowed.test@evil.test:443", "POL-10: userinfo"),
    HeadCase("evil.test:443@allowed.test:443", "POL-10"), HeadCase("127.1:443", "POL-12: short IPv4"),
    HeadCase("0x7f000001:443", "POL-12: hex"), HeadCase("2130706433:443", "POL-12: one number"),
    HeadCase("0177.0.0.1:443", "POL-12: octal"), HeadCase("１２７.0.0.1:443", "POL-13: full-width digits"),
    HeadCase("allowed。test:443", "POL-13: ideographic full stop"),
    HeadCase("allo\u{ad}wed.test:443", "POL-13"),
    HeadCase("xn--.test:443", "POL-14: no such A-label"), HeadCase("bücher.test:443", "POL-14: U-label"),
    HeadCase("a..allowed.test:443", "POL-15: empty label"), HeadCase("*.wild.test:443", "POL-15: wildcard"),
    HeadCase("-a.wild.test:443", "POL-15: leading hyphen"), HeadCase("[fe80::1%25f0]:443", "POL-19: zone"),
    HeadCase("[::1%25.allowed.test]:443", "POL-19: zone"),
    HeadCase("::1:443", "POL-06: IPv6 without brackets"),
  ]

  @Test("Authorities that CONNECT refuses (POL-03 to POL-19)", arguments: badAuthorities)
  func badAuthority(_ c: HeadCase) {
    let error = refusal(connect(c.head))
    #expect(error == .authority || error == .requestLine || error == .badVersion, "\(c.because)")
    #expect(error?.status == 400)
  }

  @Test(
    "POL-25: a port is [1-9][0-9]{0,4} up to 65535",
    arguments: [
      "65979", "65536", "0", "-1", "+443", "0443", "443x", "4.43e2", "0x1bb", "99999999999999999999", "",
      " 443",
    ])
  func badPort(_ port: String) {
    let error = refusal(connect("allowed.test:\(port)"))
    #expect(error == .authority || error == .requestLine)
    #expect(refusal("CONNECT allowed.test HTTP/1.1\r\n\r\n") == .authority)
    #expect(refusal(connect("allowed.test:443:443")) == .authority)
    #expect(throws: Never.self) { try accepted(connect("allowed.test:65535")) }
  }

  static let badTargets: [HeadCase] = [
    HeadCase("http://evil.test\\@plain.test/", "backslash reads as a slash elsewhere"),
    HeadCase("http://evil.test#@plain.test/", "fragment"),
    HeadCase("http://evil.test?.plain.test/", "query as the end"),
    HeadCase("http://plain.test;.evil.test/", "semicolon"), HeadCase("http:///plain.test/", "no authority"),
    HeadCase("http:plain.test", "no slashes"), HeadCase("//plain.test/", "no scheme"),
    HeadCase("http:\\\\plain.test/", "backslashes"), HeadCase("http://plain.test/#x", "fragment"),
    HeadCase("http://", "nothing"), HeadCase("://plain.test/", "empty scheme, other colon"),
  ]

  @Test("POL-11: delimiters that parsers read differently", arguments: badTargets)
  func badTarget(_ c: HeadCase) {
    #expect(refusal(get(c.head)) == .target || refusal(get(c.head)) == .scheme, "\(c.because)")
    #expect(outcome(get("http://plain.test/"))?.isSuccess == true)
  }

  @Test(
    "POL-10: userinfo is refused in absolute URIs too, even where it would do no harm",
    arguments: ["plain.test@evil.test", "plain.test:80@evil.test:80", "u:p@plain.test"])
  func userinfo(_ authority: String) {
    #expect(refusal(get("http://\(authority)/")) == .authority)
  }

  @Test(
    "POL-09: percent-encoding in the host of a URI",
    arguments: ["plain%2etest", "evil.test%00.plain.test", "evil.test\0.plain.test"])
  func percent(_ host: String) {
    #expect([.authority, .requestLine].contains(refusal(get("http://\(host)/"))))
  }

  @Test(
    "HTTP-21: schemes other than http",
    arguments: ["ftp", "https", "file", "gopher", "urn", "ws", "wss", "http+unix", "jar", "HTTPS"])
  func scheme(_ scheme: String) {
    #expect(refusal(get("\(scheme)://plain.test/")) == .scheme)
    #expect(outcome(get("HtTp://plain.test/"))?.isSuccess == true)
  }

  static let wrongForms: [HeadCase] = [
    HeadCase("GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n", "origin-form"),
    HeadCase("GET /health HTTP/1.1\r\nHost: 10.66.0.1:3128\r\n\r\n", "origin-form to the gate"),
    HeadCase("CONNECT http://allowed.test:443/ HTTP/1.1\r\n\r\n", "CONNECT with a URL"),
    HeadCase("CONNECT /allowed.test:443 HTTP/1.1\r\n\r\n", "CONNECT with a path"),
    HeadCase("GET allowed.test:443 HTTP/1.1\r\nHost: allowed.test\r\n\r\n", "authority-form without CONNECT"),
    HeadCase("GET * HTTP/1.1\r\nHost: plain.test\r\n\r\n", "asterisk-form"),
    HeadCase("OPTIONS * HTTP/1.1\r\nHost: plain.test\r\n\r\n", "HTTP-19: asterisk-form of OPTIONS"),
  ]

  @Test("HTTP-22: target forms that a proxy does not take", arguments: wrongForms)
  func wrongForm(_ c: HeadCase) {
    #expect(refusal(c.head) == .target || refusal(c.head) == .authority, "\(c.because)")
  }

  @Test("The path is kept byte for byte, an empty one filled in, and the query told apart")
  func paths() throws {
    let kept = "/public/%2e%2e/a;x=y//b?q=1&u=http://x/?"
    let head = try accepted(get("http://plain.test\(kept)"))
    #expect(head.target == .absolute(head.target.authority, pathAndQuery: kept))
    #expect(head.path == "/public/%2e%2e/a;x=y//b")
    #expect(try accepted(get("http://plain.test")).path == "/")
    #expect(try accepted(connect("a.test:1")).path == nil)
    let options = "OPTIONS http://plain.test HTTP/1.1\r\nHost: plain.test\r\n\r\n"
    #expect(text(try accepted(options).upstreamBytes()).hasPrefix("OPTIONS * HTTP/1.1\r\n"))
  }

  @Test("HTTP-30: dot segments and encoded slashes reach the rules unchanged, and nothing else does")
  func dotSegments() throws {
    for path in ["/public/../secret", "/public;/../secret", "/public/%2fsecret", "//secret"] {
      #expect(try accepted(get("http://plain.test\(path)")).path == path)
    }
    #expect(refusal(get("http://plain.test/\u{e9}")) == .requestLine)
    #expect(refusal(get("http://plain.test/\u{01}")) == .requestLine)
  }

  @Test("Random authorities: CONNECT takes exactly what Authority takes")
  func random() {
    var random = SeededRandom(state: 7)
    let seeds = ["allowed.test:443", "[::1]:80", "1.2.3.4:5"].map { Array($0.utf8) }
    for _ in 0..<3000 {
      let candidate = random.mutate(seeds.randomElement(using: &random) ?? [])
      let direct = try? Authority(candidate[...])
      let head = Array("CONNECT ".utf8) + candidate + Array(" HTTP/1.1\r\n\r\n".utf8)
      guard case .success(let request)? = outcome(head) else {
        #expect(direct == nil, "\(candidate)")
        continue
      }
      #expect(request.target.authority == direct)
    }
  }
}

extension Result {
  var isSuccess: Bool {
    if case .success = self { true } else { false }
  }
}

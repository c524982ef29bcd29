import Testing

@testable import Gateway

@Suite("What the log keeps of a malformed request")
struct RawExcerptTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var line: String, kept: String?
    var testDescription: String { line.debugDescription }
  }
  static let cases = [
    Case(line: "GET http://evil.test/a HTTP/1.1\r\n", kept: "evil.test"),
    Case(line: "CONNECT evil.test:0 HTTP/1.1\r\n", kept: "evil.test:0"),
    Case(line: "CONNECT http://evil.test:443/ HTTP/1.1\r\n", kept: "evil.test:443"),
    Case(line: "GET ftp://evil.test/a HTTP/1.1\r\n", kept: "evil.test"),
    Case(line: "GET http://evil.test/a?q=s3cr3t HTTP/9\r\n", kept: "evil.test"),
    Case(line: "GET http://evil.test/services/s3cr3t HTTP/1.1\r\nBad Header\r\n", kept: "evil.test"),
    Case(line: "GET http://u:s3cr3t@evil.test/a HTTP/1.1\r\n", kept: "@evil.test"),
    Case(line: "CONNECT u:s3cr3t@evil.test:443 HTTP/1.1\r\n", kept: "@evil.test:443"),
    Case(line: "GET http://u:s3cr/3t@evil.test/a HTTP/1.1\r\n", kept: nil),
    Case(line: "GET http://u:s3?cr3t@evil.test/a HTTP/1.1\r\n", kept: nil),
    Case(line: "GET http://u:s3#cr3t@evil.test/a HTTP/1.1\r\n", kept: nil),
    Case(line: "GET http://user:s3 cr3t@evil.test/ HTTP/1.1\r\n", kept: nil),
    Case(line: "PASS s3cr3t\r\n", kept: nil),
    Case(line: "AUTH s3cr3t please\r\n", kept: nil),
    Case(line: "GET /health HTTP/1.1\r\n", kept: nil),
    Case(line: "Proxy-Authorization: s3cr3t x\r\n", kept: nil),
    Case(line: "Cookie: s3cr3t\r\n", kept: nil),
    Case(line: "{\"password\": \"s3cr3t\"}\r\n", kept: nil),
    Case(line: "GARBAGE\r\n", kept: nil),
    Case(line: "", kept: nil),
  ]
  @Test(
    "AUD-09: the authority without userinfo, and nothing where it is not sure to be one",
    arguments: cases)
  func excerpt(_ c: Case) {
    let kept = RawExcerpt.of(Array(c.line.utf8)).map { String(decoding: $0, as: UTF8.self) }
    #expect(kept == c.kept)
  }

  @Test("At most 256 bytes are kept")
  func long() {
    let kept = RawExcerpt.of(Array("GET http://\(String(repeating: "a", count: 9000)) HTTP/1.1".utf8))
    #expect(kept?.count == 256)
  }
}

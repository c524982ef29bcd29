import Addressing
import Testing
import Wire

@Suite("Request heads")
struct HTTPRequestTests {
  struct Refused: Sendable, CustomTestStringConvertible {
    var id: String, head: String, error: RequestError
    init(_ id: String, _ head: String, _ error: RequestError) {
      (self.id, self.head, self.error) = (id, head, error)
    }
    var testDescription: String { "\(id) \(head.debugDescription)" }
  }

  static let hosts: [Refused] = [
    Refused("HTTP-01", get("http://plain.test/", host: "evil.test"), .hostMismatch),
    Refused("HTTP-01", get("http://evil.test/", host: "plain.test"), .hostMismatch),
    Refused("HTTP-01", get("http://plain.test/", host: "plain.test:8080"), .hostMismatch),
    Refused("HTTP-13", "GET http://plain.test/ HTTP/1.1\r\n\r\n", .host),
    Refused("HTTP-13", "GET http://plain.test/ HTTP/1.0\r\n\r\n", .host),
    Refused("HTTP-13", get("http://plain.test/", host: "plain.test", "Host: evil.test"), .host),
    Refused("HTTP-13", get("http://plain.test/", host: "plain.test", "hOsT: plain.test"), .host),
    Refused("HTTP-13", get("http://plain.test/", host: ""), .host),
    Refused("HTTP-13", get("http://plain.test/", host: "plain.test, evil.test"), .host),
    Refused("HTTP-13", get("http://plain.test/", host: "plain.test evil.test"), .host),
    Refused("HTTP-13", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", .host),
  ]

  static func cases(_ id: String) -> [Refused] {
    (hosts + framings + lines + requestLines).filter { $0.id == id }
  }

  @Test("HTTP-01: a Host that names another place than the target", arguments: cases("HTTP-01"))
  func otherHost(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-13: Host missing, repeated, empty or a list", arguments: cases("HTTP-13"))
  func badHost(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-01: the default port may stand on either side, case does not matter")
  func hostControl() throws {
    for (target, host) in [
      ("http://plain.test/", "plain.test"), ("http://plain.test:80/", "PLAIN.test"),
      ("http://plain.test/", "plain.test:80"), ("http://plain.test:8080/", "plain.test:8080"),
      ("http://[::1]:81/", "[::1]:81"),
    ] {
      #expect(outcome(get(target, host: host))?.isSuccess == true, "\(target) \(host)")
    }
    #expect(refusal(get("http://plain.test:8080/", host: "plain.test")) == .hostMismatch)
  }

  static let framings: [Refused] = [
    Refused("HTTP-05", post("Content-Length: 4", "Transfer-Encoding: chunked"), .framing),
    Refused("HTTP-05", post("transfer-ENCODING: chunked", "content-length: 4"), .framing),
    Refused("HTTP-06", post("Content-Length: 0", "Content-Length: 44"), .framing),
    Refused("HTTP-06", post("Content-Length: 5", "Content-Length: 5"), .framing),
    Refused("HTTP-06", post("Content-Length: 5, 5"), .framing),
    Refused("HTTP-06", post("Content-Length: 5 5"), .framing),
    Refused("HTTP-06", post("Content-Length: +5"), .framing),
    Refused("HTTP-06", post("Content-Length: -1"), .framing),
    Refused("HTTP-06", post("Content-Length: 0x5"), .framing),
    Refused("HTTP-06", post("Content-Length:"), .framing),
    Refused("HTTP-06", post("Content-Length: 18446744073709551616"), .framing),
    Refused("HTTP-06", post("Content-Length: 9223372036854775808"), .framing),
    Refused("HTTP-06", post("Content-Length: 9999999999999999999"), .framing),
    Refused("HTTP-06", post("Content-Length: 05"), .framing),
    Refused("HTTP-07", post("Transfer-Encoding: chunkedx"), .transferCoding),
    Refused("HTTP-07", post("Transfer-Encoding: xchunked"), .transferCoding),
    Refused("HTTP-07", post("Transfer-Encoding: chunked, identity"), .transferCoding),
    Refused("HTTP-07", post("Transfer-Encoding: identity"), .transferCoding),
    Refused("HTTP-07", post("Transfer-Encoding: gzip, chunked"), .transferCoding),
    Refused("HTTP-07", post("Transfer-Encoding: chunked, chunked"), .transferCoding),
    Refused("HTTP-07", post("Transfer-Encoding: \u{0b}chunked"), .field),
    Refused("HTTP-07", post("Transfer-Encoding: \"chunked\""), .framing),
    Refused("HTTP-07", post("Transfer-Encoding:"), .framing),
    Refused("HTTP-07", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), .framing),
    Refused("HTTP-07", post("Transfer-Encoding: chunked", version: "1.0"), .framing),
    Refused("HTTP-24", "CONNECT a.test:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\n", .framing),
    Refused("HTTP-24", "CONNECT a.test:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", .framing),
  ]

  @Test("HTTP-05: a length beside a transfer coding", arguments: cases("HTTP-05"))
  func twoFramings(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-06: a length that is repeated or no plain number", arguments: cases("HTTP-06"))
  func badLength(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-07: transfer codings other than exactly one chunked", arguments: cases("HTTP-07"))
  func badCoding(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-24: a CONNECT with a body", arguments: cases("HTTP-24"))
  func connectWithBody(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("Framing that is taken")
  func framingControl() throws {
    #expect(try accepted(post("Content-Length: 5")).framing == .length(5))
    #expect(try accepted(post("Content-Length: 0")).framing == .none)
    #expect(try accepted(post("Content-Length: 9223372036854775807")).framing == .length(UInt64(Int64.max)))
    #expect(try accepted(post("Transfer-Encoding:\t CHUNKED \t")).framing == .chunked)
    #expect(try accepted(post()).framing == .none)
  }

  static let lines: [Refused] = [
    Refused("HTTP-09", "GET http://plain.test/ HTTP/1.1\nHost: plain.test\n\n", .lineEnd),
    Refused("HTTP-09", "GET http://plain.test/ HTTP/1.1\rHost: plain.test\r\r", .lineEnd),
    Refused(
      "HTTP-09", "GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\nX: a\rHost: evil.test\r\n\r\n",
      .lineEnd),
    Refused("HTTP-09", "GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\n\r\n", .lineEnd),
    Refused("HTTP-09", "\r\n\r\n" + get("http://plain.test/"), .lineEnd),
    Refused("HTTP-09", "\n" + get("http://plain.test/"), .lineEnd),
    Refused("HTTP-10", get("http://plain.test/", "X-A: b", " Transfer-Encoding: chunked"), .foldedField),
    Refused("HTTP-10", "GET http://plain.test/ HTTP/1.1\r\nHost:\r\n evil.test\r\n\r\n", .foldedField),
    Refused("HTTP-10", get("http://plain.test/", "X-A: b", "\tc"), .foldedField),
    Refused("HTTP-11", post("Content-Length : 5"), .field), Refused("HTTP-11", post(": x"), .field),
    Refused("HTTP-11", post("Ho st: x"), .field), Refused("HTTP-11", post("X\u{e9}: x"), .field),
    Refused("HTTP-11", post("no colon"), .field), Refused("HTTP-11", post("X: a\0b"), .field),
    Refused(
      "HTTP-11", "GET http://plain.test/ HTTP/1.1\r\n Host: evil.test\r\nHost: plain.test\r\n\r\n",
      .foldedField),
    Refused("HTTP-17", post("Connection: close, Content-Length, Host"), .connection),
    Refused("HTTP-17", post("Connection: HOST"), .connection),
    Refused("HTTP-17", post("Connection: a b"), .connection),
    Refused("HTTP-17", post("Connection: transfer-encoding"), .connection),
    Refused("HTTP-16", post("Content-Length: 3", "Expect: y 100-continue"), .expectation),
    Refused(
      "HTTP-16", post("Content-Length: 3", "Expect: 100-continue", "Expect: 100-continue"), .expectation),
    Refused("HTTP-16", get("http://plain.test/", "Expect: 100-continue"), .expectation),
    Refused("HTTP-16", post("Content-Length: 3", "Expect: 200-ok"), .expectation),
    Refused(
      "HTTP-19", "TRACE http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\nMax-Forwards: 0\r\n\r\n", .method),
    Refused("HTTP-19", get("http://plain.test/", "Max-Forwards: 0"), .maxForwards),
  ]

  @Test("HTTP-09: bare LF, bare CR and empty lines", arguments: cases("HTTP-09"))
  func lineEnd(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-10: folded fields", arguments: cases("HTTP-10"))
  func folded(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-11: white space before the colon, no name, odd bytes in it", arguments: cases("HTTP-11"))
  func badField(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-16: expectations other than 100-continue before a body", arguments: cases("HTTP-16"))
  func badExpectation(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-17: Connection that names a field which routes or frames", arguments: cases("HTTP-17"))
  func badConnection(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-19: TRACE and Max-Forwards", arguments: cases("HTTP-19"))
  func trace(_ c: Refused) {
    #expect(refusal(c.head) == c.error)
    #expect(RequestError.method.status == 405)
  }

  @Test("HTTP-09: one empty line before a request is passed over and counted")
  func emptyLine() throws {
    let head = Array(("\r\n" + get("http://plain.test/")).utf8)
    let parsed = try #require(try RequestHead.parse(head[...]))
    #expect(parsed.length == head.count && parsed.head.path == "/")
    #expect(parsed.head.fields.first?.name == "host")
  }

  static let requestLines: [Refused] = [
    Refused("HTTP-20", "connect evil.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n", .requestLine),
    Refused("HTTP-20", " CONNECT evil.test:443 HTTP/1.1\r\n\r\n", .requestLine),
    Refused("HTTP-20", "CONNECT  evil.test:443 HTTP/1.1\r\n\r\n", .requestLine),
    Refused("HTTP-20", "CONNECT\tevil.test:443 HTTP/1.1\r\n\r\n", .requestLine),
    Refused("HTTP-20", "GET\0 http://plain.test/ HTTP/1.1\r\n\r\n", .requestLine),
    Refused("HTTP-20", "get http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n", .requestLine),
    Refused(
      "HTTP-20", String(repeating: "A", count: 33) + " http://plain.test/ HTTP/1.1\r\n\r\n", .requestLine),
    Refused("HTTP-25", "GET http://plain.test/\r\n", .badVersion),
    Refused("HTTP-25", "GET\r\n", .requestLine),
    Refused("HTTP-25", "GET http://plain.test/ HTTP/1.1 \r\nHost: plain.test\r\n\r\n", .badVersion),
    Refused("HTTP-25", "GET http://plain.test/ HTTP/1.2\r\n\r\n", .unsupportedVersion),
    Refused("HTTP-25", "GET http://plain.test/ HTTP/2.0\r\n\r\n", .unsupportedVersion),
    Refused("HTTP-25", "GET http://plain.test/ http/1.1\r\n\r\n", .badVersion),
    Refused("HTTP-25", "GET http://plain.test/ HTTP/11\r\n\r\n", .badVersion),
    Refused("HTTP-15", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion),
  ]

  @Test("HTTP-15: the HTTP/2 preface", arguments: cases("HTTP-15"))
  func preface(_ c: Refused) {
    #expect(refusal(c.head) == c.error)
    #expect(outcome("PRI * H") == nil, "it may be split there")
  }

  @Test("HTTP-20: methods that servers read differently", arguments: cases("HTTP-20"))
  func badMethod(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-25: versions other than 1.0 and 1.1", arguments: cases("HTTP-25"))
  func badVersion(_ c: Refused) { #expect(refusal(c.head) == c.error) }

  @Test("HTTP-25: an HTTP/1.0 request is the only one on its connection, whatever it asks for")
  func oldVersion() throws {
    let head = try accepted(
      "GET http://plain.test/ HTTP/1.0\r\nHost: plain.test\r\nConnection: keep-alive\r\n\r\n")
    #expect(head.version == .http10 && head.wantsClose)
    #expect(try accepted(get("http://plain.test/")).keepAlive)
    #expect(try accepted(get("http://plain.test/", "Connection: x, Close")).wantsClose)
  }

  @Test("HTTP-14: an upgrade is seen, and told apart from a WebSocket; h2c (HTTP-15) is not one")
  func upgrades() throws {
    func upgrade(_ lines: String) throws -> String? {
      try accepted("GET http://plain.test/ws HTTP/1.1\r\nHost: plain.test\r\n\(lines)\r\n\r\n").upgrade
    }
    #expect(try upgrade("Connection: Upgrade\r\nUpgrade: WebSocket") == "websocket")
    #expect(
      try upgrade("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA") == "h2c")
    #expect(try upgrade("Upgrade: websocket") == "improper websocket")
    #expect(try upgrade("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c") == "improper websocket")
    #expect(try upgrade("Connection: upgrade\r\nUpgrade: websocket, h2c") == "websocket, h2c")
    #expect(try upgrade("X: y") == nil)
  }

  @Test("HTTP-16: 100-continue before a body is understood; HTTP/1.0 never waits")
  func expectation() throws {
    #expect(try accepted(post("Content-Length: 3", "Expect: 100-Continue")).expectsContinue)
    #expect(
      try accepted(post("Content-Length: 3", "Expect: 100-continue", version: "1.0")).expectsContinue == false
    )
    #expect(RequestError.expectation.status == 417)
  }

  @Test("HTTP-04: what follows the head is left alone; behind CONNECT (HTTP-23) too")
  func pipelined() throws {
    for first in [get("http://plain.test/1"), connect("evil.test:443")] {
      let bytes = Array((first + get("http://evil.test/2", host: "evil.test")).utf8)
      let parsed = try #require(try RequestHead.parse(bytes[...]))
      #expect(parsed.length == first.utf8.count)
      let second = try #require(try RequestHead.parse(bytes[parsed.length...]))
      #expect(second.head.target.authority.description == "evil.test:80")
      #expect(second.length == bytes.count - parsed.length)
    }
  }
}

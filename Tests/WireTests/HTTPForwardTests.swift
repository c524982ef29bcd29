import Addressing
import Testing
import Wire

@Suite("Heads that are sent on")
struct HTTPForwardTests {
  @Test("HTTP-01: the upstream gets origin-form, and Host from the canonical target")
  func originForm() throws {
    let head = try accepted(get("http://PLAIN.test.:80/a?b=c", host: "plain.TEST", "Accept: */*"))
    #expect(
      text(head.upstreamBytes())
        == "GET /a?b=c HTTP/1.1\r\nHost: plain.test\r\nAccept: */*\r\nVia: 1.1 exitgate\r\nConnection: close\r\n\r\n"
    )
    #expect(
      text(try accepted(get("http://[::1]:81/", host: "[::1]:81")).upstreamBytes()).contains(
        "Host: [::1]:81\r\n"))
    #expect(try accepted(connect("a.test:443")).upstreamBytes().isEmpty)
  }

  @Test("HTTP-18: fields of this hop, what Connection names and credentials stay here")
  func hopByHop() throws {
    let dropped = [
      "Proxy-Authorization: Basic c2VjcmV0", "Proxy-Connection: keep-alive", "TE: trailers",
      "X-Agent-Token: t",
      "Keep-Alive: timeout=5", "Trailer: X-T", "Connection: keep-alive, X-Private", "x-private: p",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMA", "Proxy-Anything: x",
    ]
    let head = try accepted(
      get("http://plain.test/").replacingEnd(with: dropped + ["X-Kept: yes", "cookie: c"]))
    let expected =
      "GET / HTTP/1.1\r\nHost: plain.test\r\nX-Kept: yes\r\ncookie: c\r\nVia: 1.1 exitgate\r\nConnection: close\r\n\r\n"
    #expect(text(head.upstreamBytes()) == expected)
  }

  @Test("HTTP-28: fields that steer other proxies are text to the upstream and nothing to the gate")
  func magicFields() throws {
    let magic = [
      "X-Unix-Socket: /run/x.sock", "X-Upstream-Https-Proxy: http://11.66.0.66:80",
      "X-Forwarded-For: 10.66.0.9",
    ]
    let plain = try accepted(get("http://plain.test/"))
    let head = try accepted(get("http://plain.test/").replacingEnd(with: magic))
    #expect(head.target == plain.target && head.framing == plain.framing && head.proxyAuthorization == nil)
  }

  @Test("Framing is written anew; a POST without body says so")
  func framing() throws {
    #expect(
      text(try accepted(post("Content-Length: 5")).upstreamBytes()).contains("\r\nContent-Length: 5\r\n"))
    #expect(
      text(try accepted(post("transfer-encoding: chunked")).upstreamBytes()).contains(
        "\r\nTransfer-Encoding: chunked\r\n"))
    #expect(text(try accepted(post()).upstreamBytes()).contains("\r\nContent-Length: 0\r\n"))
    #expect(!text(try accepted(get("http://plain.test/")).upstreamBytes()).contains("Content-Length"))
    #expect(
      text(try accepted(post("Content-Length: 5")).upstreamBytes(framing: .chunked)).contains("chunked"))
  }

  @Test("HTTP-14: Upgrade goes on only where it was allowed and is a WebSocket")
  func upgrade() throws {
    let lines = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGVzdA=="]
    let head = try accepted(get("http://plain.test/ws").replacingEnd(with: lines))
    #expect(text(head.upstreamBytes(upgrade: true)).contains("Connection: Upgrade\r\nUpgrade: websocket\r\n"))
    #expect(!text(head.upstreamBytes(upgrade: false)).contains("pgrade"))
    let h2c = try accepted(
      get("http://plain.test/").replacingEnd(with: ["Connection: Upgrade", "Upgrade: h2c"]))
    #expect(!text(h2c.upstreamBytes(upgrade: true)).contains("pgrade"))
  }

  @Test("HTTP-16: Expect goes on for HTTP/1.1 and stays here for HTTP/1.0")
  func expectation() throws {
    let lines = "Expect: 100-continue"
    #expect(text(try accepted(post("Content-Length: 3", lines)).upstreamBytes()).contains(lines))
    #expect(
      !text(try accepted(post("Content-Length: 3", lines, version: "1.0")).upstreamBytes()).contains("Expect")
    )
  }

  @Test("A head that is sent on reads as the same request again")
  func readsAgain() throws {
    for request in [
      get("http://plain.test/a?b"), post("Content-Length: 7", "X: y"), post("Transfer-Encoding: chunked"),
    ] {
      let head = try accepted(request)
      let sent = text(head.upstreamBytes()).replacing(" /", with: " http://plain.test/", maxReplacements: 1)
      let again = try accepted(sent)
      #expect(again.target == head.target && again.framing == head.framing && again.method == head.method)
    }
  }
}

extension String {
  /// A head with more lines before its empty line.
  func replacingEnd(with lines: [String]) -> String {
    String(dropLast(1)) + lines.map { $0 + "\r\n" }.joined() + "\r\n"
  }
}

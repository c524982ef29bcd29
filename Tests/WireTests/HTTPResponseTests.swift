import Testing
import Wire

@Suite("Responses of upstreams")
struct HTTPResponseTests {
  static func parse(
    _ head: String, method: String = "GET", upgradeAsked: Bool = false
  ) throws(ResponseError) -> ResponseHead? {
    try ResponseHead.parse(Array(head.utf8)[...], requestMethod: method, upgradeAsked: upgradeAsked)?.head
  }

  struct Framed: Sendable, CustomTestStringConvertible {
    var head: String, method = "GET", framing: BodyFraming, because: String
    var testDescription: String { because }
  }

  static let framed = [
    Framed(head: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", framing: .length(5), because: "a length"),
    Framed(
      head: "HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n", framing: .chunked,
      because: "chunks, no reason"),
    Framed(head: "HTTP/1.0 200 OK\r\n\r\n", framing: .untilClose, because: "an old server closes"),
    Framed(head: "HTTP/1.1 200 OK\r\n\r\n", framing: .untilClose, because: "neither length nor coding"),
    Framed(
      head: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method: "HEAD", framing: .none, because: "HEAD"),
    Framed(head: "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", framing: .none, because: "204"),
    Framed(head: "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", framing: .none, because: "304"),
    Framed(head: "HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\n", framing: .none, because: "1xx"),
  ]

  @Test("HTTP-26: which responses have a body, and how it ends", arguments: framed)
  func framing(_ c: Framed) throws {
    #expect(try Self.parse(c.head, method: c.method)?.framing == c.framing)
  }

  static let refused: [(String, ResponseError)] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", .framing),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", .framing),
    ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", .framing),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .framing),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .framing),
    ("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", .unexpectedUpgrade),
    ("HTTP/2 200\r\n\r\n", .statusLine), ("HTTP/1.1 20 OK\r\n\r\n", .statusLine),
    ("HTTP/1.1 2000\r\n\r\n", .statusLine),
    ("HTTP/1.1 099 OK\r\n\r\n", .statusLine), ("HTTP/1.1 600 OK\r\n\r\n", .statusLine),
    ("ICY 200 OK\r\n\r\n", .statusLine),
    ("HTTP/1.1  200 OK\r\n\r\n", .statusLine), ("HTTP/1.1 200 O\0K\r\n\r\n", .statusLine),
    ("\r\n\r\n", .statusLine),
    ("SSH-2.0-x\r\n", .statusLine), ("HTTP/1.1 200 OK\nA: b\n\n", .lineEnd),
    ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", .foldedField),
    ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", .field), ("HTTP/1.1 200 OK\r\nA\r\n\r\n", .field),
    ("HTTP/1.1 200 " + String(repeating: "x", count: 8300) + "\r\n\r\n", .headTooLarge),
    ("HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 257) + "\r\n", .headTooLarge),
    ("HTTP/1.1 200 OK\r\nA: " + String(repeating: "x", count: 65536) + "\r\n\r\n", .headTooLarge),
  ]

  @Test("HTTP-26: heads that poison what follows are refused", arguments: refused)
  func refuse(_ head: String, _ error: ResponseError) {
    #expect(throws: error) { try Self.parse(head) }
  }

  @Test("HTTP-14: 101 is taken where it was asked for, and keeps Upgrade")
  func upgrade() throws {
    let head =
      "HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
    let parsed = try #require(try Self.parse(head, upgradeAsked: true))
    #expect(parsed.isUpgrade && !parsed.isInterim)
    #expect(
      text(parsed.downstreamBytes(framing: .none, keepAlive: true))
        == "HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nVia: 1.1 exitgate\r\n\r\n"
    )
  }

  @Test("HTTP-26: framing and persistence are written anew; fields of the hop stay here")
  func downstream() throws {
    let head =
      "HTTP/1.0 200 O\u{e9}K\r\nServer: s\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nProxy-Status: exitgate; error=x\r\nProxy-Authenticate: Basic\r\nContent-Length: 3\r\n\r\n"
    let parsed = try #require(try Self.parse(head))
    #expect(
      text(parsed.downstreamBytes(framing: parsed.framing, keepAlive: true))
        == "HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 3\r\nVia: 1.1 exitgate\r\n\r\n")
    #expect(
      text(parsed.downstreamBytes(framing: .untilClose, keepAlive: true)).contains(
        "\r\nConnection: close\r\n"))
    #expect(
      text(parsed.downstreamBytes(framing: .length(3), keepAlive: false)).contains(
        "\r\nConnection: close\r\n"))
  }

  @Test("A HEAD keeps its length, an interim response gets none, an HTTP/1.0 client no chunks")
  func edges() throws {
    let head = try #require(try Self.parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method: "HEAD"))
    #expect(text(head.downstreamBytes(framing: head.framing, keepAlive: true)).contains("Content-Length: 5"))
    let interim = try #require(try Self.parse("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"))
    #expect(interim.isInterim)
    #expect(
      text(interim.downstreamBytes(framing: .none, keepAlive: false))
        == "HTTP/1.1 100 Continue\r\nVia: 1.1 exitgate\r\n\r\n")
    let chunked = try #require(try Self.parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
    #expect(
      chunked.downstreamFraming(to: .http10) == .untilClose
        && chunked.downstreamFraming(to: .http11) == .chunked)
  }
}

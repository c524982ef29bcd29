import Addressing
import Testing
import Wire

@testable import Pages

/// What the server of the program's own pages takes for a request.
@Suite struct PageRequestTests {
  private static let place = Endpoint(.v4(0x7f00_0001), Port(9464) ?? .http)

  private func parse(_ text: String) throws -> PageRequest? {
    try PageRequest.parse(Array(text.utf8)[...], at: Self.place, resumingAt: 0)?.request
  }

  @Test("a request for a page is its path, its query and its host")
  func whole() throws {
    let request = try #require(try parse("GET /records?since=1h&x HTTP/1.1\r\nHost: localhost:9464\r\n\r\n"))
    #expect(request.method == "GET")
    #expect(request.path == "/records")
    #expect(request.query == "since=1h&x")
    #expect("\(request.host)" == "localhost")
    #expect(request.keepAlive)
    #expect(try parse("GET / HTTP/1.1\r\nHost: 127.0.0.1:9464\r\n\r\n")?.query == nil)
  }

  @Test("nothing is made of a part of a request")
  func part() throws {
    #expect(try parse("GET / HTTP/1.1\r\nHost: 127.0.0.1:9464\r\n") == nil)
    #expect(try parse("") == nil)
  }

  @Test(
    "CTL-05: what names another place, or brings a body, is refused",
    arguments: [
      ("GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n", RequestError.hostMismatch),
      ("GET / HTTP/1.1\r\nHost: 10.0.0.1:9464\r\n\r\n", .hostMismatch),
      ("GET / HTTP/1.1\r\n\r\n", .host),
      ("GET / HTTP/1.1\r\nHost: a:9464\r\nHost: b:9464\r\n\r\n", .host),
      ("GET / HTTP/1.1\r\nHost: a:9464\r\nContent-Length: 1\r\n\r\nx", .framing),
      ("GET / HTTP/1.1\r\nHost: a:9464\r\nTransfer-Encoding: chunked\r\n\r\n", .framing),
      ("OPTIONS * HTTP/1.1\r\nHost: a:9464\r\n\r\n", .target),
      ("CONNECT a:9464 HTTP/1.1\r\nHost: a:9464\r\n\r\n", .method),
      ("GET / HTTP/1.1\nHost: a:9464\n\n", .lineEnd),
    ])
  func refused(_ text: String, _ error: RequestError) {
    #expect(throws: error) { try parse(text) }
  }

  @Test("an answer says its length, and that nobody may keep it or guess what it is")
  func answer() {
    let answer = PageAnswer.text(404, "no")
    let text = String(decoding: answer.bytes(headOnly: false, keepAlive: false), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 404 Not Found\r\n"))
    #expect(text.hasSuffix("Connection: close\r\n\r\nno\n"))
    #expect(
      text.contains("Content-Length: 3\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"))
    #expect(
      String(decoding: answer.bytes(headOnly: true, keepAlive: true), as: UTF8.self).hasSuffix("\r\n\r\n"))
  }
}

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

  private static let terms = PageTerms(
    hosts: ["127.0.0.1:9464", "localhost:9464"], bodyLimit: 8, fields: [("X-Own", "1")])

  @Test("a body is taken whole, up to the limit of the terms")
  func body() throws {
    let head = "POST /apply HTTP/1.1\r\nHost: localhost:9464\r\nContent-Length: 4\r\n\r\n"
    func parse(_ text: String) throws -> (request: PageRequest, length: Int)? {
      try PageRequest.parse(Array(text.utf8)[...], at: Self.place, Self.terms, resumingAt: 3)
    }
    #expect(try parse(head + "abc") == nil)
    let (request, length) = try #require(try parse(head + "abcdGET /"))
    #expect(request.body == Array("abcd".utf8))
    #expect(length == head.utf8.count + 4)
    #expect(throws: PageRefusal.tooLarge) { try parse(head.replacing("th: 4", with: "th: 9")) }
    #expect(throws: PageRefusal.expectation) {
      try parse(head.replacing("Host", with: "Expect: 100-continue\r\nHost"))
    }
    #expect(throws: PageRefusal.request(.framing)) {
      try parse(head.replacing("Content-Length: 4", with: "Transfer-Encoding: chunked"))
    }
  }

  @Test(
    "CTL-05: where the hosts are given, Host is one of them to the byte",
    arguments: [
      ("127.0.0.1:9464", true), ("localhost:9464", true), ("127.0.0.1", false), ("127.0.0.1:80", false),
      ("LOCALHOST:9464", false), ("127.0.0.1.evil.test:9464", false), ("127.evil.test:9464", false),
      ("localhost.evil.test:9464", false), ("user@127.0.0.1:9464", false), ("[::1", false),
      ("[::1]:9464", false),
      ("", false), ("127.0.0.2:9464", false), ("127.1:9464", false), ("localhost.:9464", false),
    ])
  func hosts(_ host: String, _ isTaken: Bool) {
    for version in ["1.0", "1.1"] {
      for line in ["Host: \(host)\r\n", host.isEmpty ? "" : "Host: \(host)\r\nX: y\r\n"] {
        let text = "GET / HTTP/\(version)\r\n\(line)\r\n"
        let request = Result {
          try PageRequest.parse(Array(text.utf8)[...], at: Self.place, Self.terms, resumingAt: 0)
        }
        switch request {
        case .success(let found): #expect(isTaken && found != nil)
        case .failure(let error): #expect(!isTaken && error as? PageRefusal == .host, "\(text): \(error)")
        }
      }
    }
  }

  @Test("CTL-06: a wish for another protocol is seen")
  func upgrade() throws {
    #expect(try parse("GET / HTTP/1.1\r\nHost: a:9464\r\n\r\n")?.isUpgrade == false)
    let wish = "GET / HTTP/1.1\r\nHost: a:9464\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    #expect(try parse(wish)?.isUpgrade == true)
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
    #expect(throws: PageRefusal.request(error)) { try parse(text) }
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

import Addressing
import Testing

@testable import Wire

@Suite("Requests of clients that take the gate for the server")
struct HTTPCapturedTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var place: String, line: String, fields: String, gives: String, because: String
    var testDescription: String { "\(line) \(fields.debugDescription) at \(place): \(because)" }

    init(_ place: String, _ line: String, _ fields: String, _ gives: String, _ because: String) {
      (self.place, self.line, self.fields, self.gives, self.because) = (place, line, fields, gives, because)
    }
  }
  /// `name@endpoint`: the address stood for the name; `=endpoint`: it is judged as itself; else the client may name it.
  static func place(_ text: String) throws -> CapturedPlace {
    let parts = text.split(separator: "@")
    let endpoint = try #require(Endpoint(String(parts[parts.count - 1].drop { $0 == "=" })))
    if parts.count == 2 { return CapturedPlace(endpoint, .name(try Hostname(String(parts[0])))) }
    return CapturedPlace(endpoint, text.hasPrefix("=") ? .address : .byClient)
  }

  static let get = "GET /a?b HTTP/1.1", old = "GET /a?b HTTP/1.0"
  static let named = "a.test@198.18.0.9:80", open = "11.0.0.1:80", fixed = "=11.0.0.1:80",
    odd = "a.test@198.18.0.9:8080"
  static let cases = [
    Case(named, get, "Host: a.test\r\n", "a.test:80 /a?b", "the name that the address stood for"),
    Case(named, get, "Host: A.Test.\r\n", "a.test:80 /a?b", "in another spelling"),
    Case(named, get, "Host: a.test:80\r\n", "a.test:80 /a?b", "with its port"),
    Case(named, get, "Host: 198.18.0.9\r\n", "a.test:80 /a?b", "by the address"),
    Case(named, get, "Host: b.test\r\n", "host-mismatch", "another name"),
    Case(named, get, "Host: sub.a.test\r\n", "host-mismatch", "a name below is another name"),
    Case(named, get, "Host: 11.0.0.1\r\n", "host-mismatch", "another address"),
    Case(named, get, "Host: a.test:81\r\n", "host-mismatch", "another port"),
    Case(named, get, "", "host", "HTTP/1.1 needs Host"),
    Case(named, old, "", "a.test:80 /a?b", "HTTP/1.0 does not"),
    Case(named, get, "Host: a.test\r\nHost: a.test\r\n", "host", "twice"),
    Case(named, get, "Host: a b\r\n", "host", "no authority"),
    Case(named, old, "Host: a.test\r\nHost: b.test\r\n", "host", "twice in HTTP/1.0"),
    Case(named, get, "Host:\r\n", "host", "empty"),
    Case(odd, get, "Host: a.test\r\n", "a.test:8080 /a?b", "clients leave the port out"),
    Case(odd, get, "Host: a.test:8080\r\n", "a.test:8080 /a?b", "or write it"),
    Case(odd, get, "Host: a.test:80\r\n", "host-mismatch", "but not another"),
    Case(open, get, "Host: b.test\r\n", "b.test:80 /a?b", "Host names what an address does not"),
    Case(open, get, "Host: 11.0.0.1\r\n", "11.0.0.1:80 /a?b", "or is the address"),
    Case(open, get, "Host: 11.0.0.2\r\n", "host-mismatch", "but not another address"),
    Case(open, get, "Host: b.test:443\r\n", "host-mismatch", "nor another port"),
    Case(open, old, "", "11.0.0.1:80 /a?b", "without Host the address counts"),
    Case(open, get, "Host: 0x0b000001\r\n", "host", "an odd spelling is never guessed at"),
    Case(fixed, get, "Host: b.test\r\n", "11.0.0.1:80 /a?b", "no name takes the address' place"),
    Case(fixed, get, "Host: @\r\n", "host", "which does not make Host free"),
    Case("[2a0e::1]:80", get, "Host: [2a0e::1]\r\n", "[2a0e::1]:80 /a?b", "IPv6"),
    Case(named, "GET http://a.test/x HTTP/1.1", "Host: a.test\r\n", "a.test:80 /x", "absolute-form"),
    Case(named, "GET http://b.test/x HTTP/1.1", "Host: a.test\r\n", "host-mismatch", "to another place"),
    Case(
      open, "GET http://b.test/x HTTP/1.1", "Host: b.test\r\n", "b.test:80 /x", "absolute-form names it, too"),
    Case(
      open, "GET http://b.test/x HTTP/1.1", "Host: c.test\r\n", "host-mismatch", "and must agree with Host"),
    Case(named, "GET https://a.test/ HTTP/1.1", "Host: a.test\r\n", "scheme", "another scheme"),
    Case(named, "OPTIONS * HTTP/1.1", "Host: a.test\r\n", "a.test:80 *", "asterisk-form"),
    Case(named, "GET * HTTP/1.1", "Host: a.test\r\n", "request-target", "for OPTIONS alone"),
    Case(named, "GET a HTTP/1.1", "Host: a.test\r\n", "request-target", "no path"),
    Case(named, "GET /a#b HTTP/1.1", "Host: a.test\r\n", "request-target", "a fragment"),
    Case(named, "CONNECT a.test:443 HTTP/1.1", "Host: a.test\r\n", "method", "the gate is no proxy here"),
    Case(named, "TRACE / HTTP/1.1", "Host: a.test\r\n", "method", "never carried"),
    Case(
      named, "POST / HTTP/1.1", "Host: a.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
      "framing", "as for a proxy"),
  ]

  @Test("Where a request goes is said by its connection, then by Host, and they agree", arguments: cases)
  func places(_ c: Case) throws {
    let bytes = Array("\(c.line)\r\n\(c.fields)\r\n".utf8)
    let place = try Self.place(c.place)
    let found: String
    do {
      let (head, length) = try #require(try RequestHead.parse(bytes[...], at: place))
      #expect(length == bytes.count)
      guard case .absolute(let authority, let path) = head.target else { throw RequestError.target }
      found = "\(authority) \(path)"
    } catch let error as RequestError { found = error.token }
    #expect(found == c.gives, "\(c.because)")
  }

  @Test("The upstream gets the head anew, with the canonical Host")
  func forwarded() throws {
    let bytes = Array(
      "GET /x HTTP/1.1\r\nhost: A.test\r\nX: y\r\nProxy-Authorization: Basic eDp5\r\n\r\n".utf8)
    let (head, _) = try #require(try RequestHead.parse(bytes[...], at: try Self.place(Self.odd)))
    let text = String(decoding: head.upstreamBytes(), as: UTF8.self)
    #expect(
      text.hasPrefix("GET /x HTTP/1.1\r\nHost: a.test:8080\r\n") && text.contains("X: y\r\n")
        && !text.contains("eDp5"))
  }

  @Test("A head that trickles in is read once it is whole")
  func trickle() throws {
    let bytes = Array("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".utf8)
    for count in 0..<bytes.count {
      let head = try RequestHead.parse(
        bytes[..<count], at: try Self.place(Self.named), resumingAt: max(0, count - 1))
      #expect(head == nil)
    }
  }
}

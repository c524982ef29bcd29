import Testing
import Wire

@Suite("What a connection's first bytes are the beginning of")
struct OpeningTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var text: String, opening: Opening, because: String
    var testDescription: String { "\(text.debugDescription.prefix(40)): \(because)" }

    init(_ text: String, _ opening: Opening, _ because: String) {
      (self.text, self.opening, self.because) = (text, opening, because)
    }
  }
  static let long = String(repeating: "a", count: 9000)
  static let cases = [
    Case("", .undecided, "nothing came"),
    Case("\u{16}", .tls, "a handshake record"), Case("\u{16}\u{3}\u{1}", .tls, "of TLS"),
    Case("\u{15}\u{3}\u{1}", .other, "an alert is no beginning"),
    Case("G", .undecided, "a method, maybe"), Case("GET / HTTP/1.1", .undecided, "the line has no end yet"),
    Case("GET / HTTP/1.1\r\n", .http, "a request line"),
    Case("GET / HTTP/1.1\n", .http, "with a bare LF, to be refused"),
    Case("GET / HTTP/2.0\r\n", .http, "of a version that is not carried, which it is told"),
    Case("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .http, "HTTP/2 without TLS, which it is told"),
    Case("get / HTTP/1.1\r\n", .http, "a method in lower case is malformed, and told so"),
    Case("M-SEARCH * HTTP/1.1\r\n", .http, "a hyphen"),
    Case("CONNECT a.test:443 HTTP/1.1\r\n", .http, "a proxy's client"),
    Case("GET /\r\n", .other, "HTTP/0.9"), Case("GET \(long)", .http, "longer than a line may be"),
    Case("GET key\r\n", .other, "a key-value store's inline command"),
    Case("*1\r\n$4\r\nPING\r\n", .other, "RESP"), Case("PING\r\n", .other, "no space"),
    Case("SSH-2.0-OpenSSH_9.2\r\n", .other, "SSH, whose client may speak first"),
    Case("NICK exit\r\n", .other, "IRC"),
    Case("USER a 0 * :HTTP/1.1 fan\r\n", .other, "the version is not the last word"),
    Case("EHLO a.test\r\n", .other, "SMTP"), Case("GET /\u{1}", .other, "a control byte"),
    Case("GET \0", .other, "NUL"),
    Case(" GET / HTTP/1.1\r\n", .other, "a space first"),
    Case("\r\nGET / HTTP/1.1\r\n", .other, "an empty line first"),
    Case(String(repeating: "A", count: 33), .other, "longer than a method may be"),
    Case("\0\0\0\u{8}\u{4}\u{d2}\u{16}\u{2f}", .other, "PostgreSQL's SSLRequest"),
  ]

  @Test("TLS and HTTP are told from the rest, and from too little", arguments: cases)
  func opening(_ c: Case) {
    #expect(Opening(Array(c.text.utf8)) == c.opening, "\(c.because)")
  }

  @Test("What is decided stays so, however the bytes are cut")
  func prefixes() {
    for c in Self.cases where c.text.utf8.count < 200 {
      let bytes = Array(c.text.utf8)
      var decided: Opening?
      for count in 0...bytes.count {
        let opening = Opening(Array(bytes[..<count]))
        if let decided { #expect(opening == decided, "\(c.text.debugDescription) at \(count)") }
        if opening != .undecided { decided = opening }
      }
    }
  }
}

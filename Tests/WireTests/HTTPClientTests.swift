import Addressing
import Testing
import Wire

/// What clients in wide use send on CONNECT, as they were measured.
@Suite("CONNECT of real clients")
struct HTTPClientTests {
  struct Client: Sendable, CustomTestStringConvertible {
    var name: String, head: String
    var testDescription: String { name }
  }

  static let clients = [
    Client(name: "pip, requests, urllib, openssl, socat", head: "CONNECT allowed.test:443 HTTP/1.0\r\n\r\n"),
    Client(name: "nc", head: "CONNECT allowed.test:443 HTTP/1.0\r\n\r\n"),
    Client(
      name: "curl",
      head:
        "CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test:443\r\nUser-Agent: curl/7.88.1\r\nProxy-Connection: Keep-Alive\r\n\r\n"
    ),
    Client(
      name: "aiohttp, websockets, Node 24",
      head: "CONNECT allowed.test:443 HTTP/1.1\r\nHost: allowed.test\r\nConnection: close\r\n\r\n"),
    Client(
      name: "undici 5",
      head: "CONNECT allowed.test:443 HTTP/1.1\r\nhost: 10.66.0.1:3128\r\nconnection: close\r\n\r\n"),
    Client(
      name: "the gate's name without its port",
      head: "CONNECT allowed.test:443 HTTP/1.1\r\nHost: gate.test\r\n\r\n"),
    Client(
      name: "npm 10",
      head:
        "CONNECT allowed.test:443 HTTP/1.1\r\nuser-agent: npm/10.8.2 node/v20.20.2 linux x64 workspaces/false\r\npacote-version: 18.0.6\r\npacote-req-type: packument\r\npacote-pkg-id: registry:npm\r\naccept: application/vnd.npm.install-v1+json; q=1.0, */*\r\nnpm-auth-type: web\r\nnpm-command: audit\r\nauthorization: Bearer abc\r\ncontent-type: application/json\r\nHost: allowed.test:443\r\nProxy-Connection: Keep-Alive\r\n\r\n"
    ),
  ]

  static let gate = ["10.66.0.1:3128", "gate.test:3128"].compactMap { try? Authority($0.utf8) }

  @Test("HTTP-02: their Host is missing, equal, without port, or the gate's", arguments: clients)
  func works(_ client: Client) throws {
    let head = try accepted(client.head)
    #expect(head.target.authority.description == "allowed.test:443")
    #expect(throws: Never.self) { try head.checkHost(gate: Self.gate) }
    #expect(head.upgrade == nil && head.framing == .none && !head.keepAlive)
  }

  @Test(
    "HTTP-02: a Host that names a third place is a mismatch, one that is no host an error",
    arguments: [
      ("evil.test:443", RequestError.hostMismatch), ("evil.test", .hostMismatch),
      ("allowed.test:80", .hostMismatch),
      ("10.66.0.1:3129", .hostMismatch), ("", .host), ("allowed.test@evil.test", .host), ("a b", .host),
    ])
  func thirdPlace(_ host: String, _ error: RequestError) throws {
    let head = try accepted("CONNECT allowed.test:443 HTTP/1.1\r\nHost: \(host)\r\n\r\n")
    #expect(throws: error) { try head.checkHost(gate: Self.gate) }
    #expect(throws: (host.isEmpty ? RequestError.host : error)) { try head.checkHost(gate: []) }
    #expect(head.hostField == Array(host.utf8))
  }

  @Test("apt: absolute-form, keep-alive, several requests in one segment")
  func apt() throws {
    let one =
      "GET http://plain.test/debian/a HTTP/1.1\r\nHost: plain.test\r\nUser-Agent: Debian APT-HTTP/1.3 (2.6.1)\r\n\r\n"
    var rest = Array(String(repeating: one, count: 5).utf8)[...], count = 0
    while let (head, length) = try RequestHead.parse(rest) {
      #expect(head.keepAlive && head.path == "/debian/a")
      rest = rest.dropFirst(length)
      count += 1
    }
    #expect(count == 5)
  }

  static let credentials: [(String, String?)] = [
    ("Basic YWdlbnQ6czNjcjN0", "s3cr3t"), ("basic YWdlbnQ6czNjcjN0", "s3cr3t"), ("Basic YTpiOmM=", "b:c"),
    ("Bearer s3cr3t", "s3cr3t"), ("BEARER   s3cr3t", "s3cr3t"), ("Basic YWdlbnQ=", nil),
    ("Basic YWdlbnQ6", nil),
    ("Basic YTpi=", nil), ("Basic YTpiOmM", nil), ("Basic YTp iOmM=", nil), ("Basic YTpiOmN=", nil),
    ("Basic YTpi_w==", nil), ("Bearer a b", nil), ("Bearer ", nil), ("Bearer", nil), ("Digest x", nil),
    ("", nil),
  ]

  @Test("The token is Basic's password or Bearer's token; anything unclear is none", arguments: credentials)
  func token(_ value: String, _ token: String?) throws {
    let head = try accepted("CONNECT a.test:1 HTTP/1.1\r\nProxy-Authorization: \(value)\r\n\r\n")
    #expect(head.proxyAuthorization.map(text) == token)
    let twice = try accepted(
      "CONNECT a.test:1 HTTP/1.1\r\nProxy-Authorization: \(value)\r\nProxy-Authorization: \(value)\r\n\r\n")
    #expect(twice.proxyAuthorization == nil)
  }
}

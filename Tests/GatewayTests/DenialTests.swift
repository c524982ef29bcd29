import Addressing
import Audit
import Policy
import Testing

@testable import Gateway

@Suite("What a client reads that is told no")
struct DenialTests {
  static func denial(_ reason: Reason, status: Int? = nil, to host: String? = "evil.test:8443") throws
    -> Denial
  {
    let authority = try host.map(Bench.authority)
    return Denial(
      reason, status: status, destination: authority.map { Destination($0.host, $0.port, .https) },
      rule: RuleID("pastebins"), generation: 7, agent: Bench.agent, nearMiss: .port)
  }

  @Test("The bytes of a denial")
  func golden() throws {
    let bytes = try Self.denial(.noRule).httpBytes()
    let body = """
      {"error":"denied","destination":"https://evil.test:8443","reason":"no-rule",\
      "explanation":"No rule allows it","rule":"pastebins","near_miss":"port","policy_generation":7,\
      "suggested_rule":"\(try Self.suggestion())"}

      """
    #expect(
      String(decoding: bytes, as: UTF8.self) == """
        HTTP/1.1 403 Forbidden\r
        Proxy-Status: exitgate; error=http_request_denied; details="no-rule"\r
        Content-Type: application/json\r
        X-Content-Type-Options: nosniff\r
        Cache-Control: no-store\r
        Content-Length: \(body.utf8.count)\r
        Connection: close\r
        \r
        \(body)
        """)
  }

  private static func suggestion() throws -> String {
    let authority = try Bench.authority("evil.test:8443")
    let rule = SuggestedRule(
      for: Destination(authority.host, authority.port, .https), agent: Bench.agent, denied: .noRule)
    return try #require(rule).yaml.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
  }

  static func parts(_ bytes: [UInt8]) throws -> (head: [String], body: [UInt8]) {
    let end = try #require(
      (0..<bytes.count - 3).first { bytes[$0..<($0 + 4)].elementsEqual("\r\n\r\n".utf8) })
    return (
      String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n").map(String.init),
      Array(bytes[(end + 4)...])
    )
  }

  static let words: [Int: String] = [
    400: "malformed_request", 403: "denied", 405: "malformed_request", 407: "token_required",
    408: "malformed_request", 414: "malformed_request", 417: "malformed_request", 431: "malformed_request",
    500: "internal_error", 501: "malformed_request", 502: "upstream_failed", 503: "unavailable",
    504: "upstream_failed", 505: "malformed_request",
  ]

  @Test(
    "Every reason gives one well-formed response: a line, a length that is right, JSON that parses",
    arguments: Reason.allCases)
  func wellFormed(_ reason: Reason) throws {
    guard reason != .allowed, reason != .approved else { return }
    let denial = try Self.denial(reason)
    let (head, body) = try Self.parts(denial.httpBytes())
    #expect(head[0].hasPrefix("HTTP/1.1 \(reason.status) ") && head[0] != "HTTP/1.1 \(reason.status) Error")
    #expect(head.contains("Content-Length: \(body.count)") && head.contains("Connection: close"))
    #expect(
      head.contains {
        $0.hasPrefix("Proxy-Status: exitgate; error=") && $0.hasSuffix("\"\(reason.rawValue)\"")
      })
    #expect(head.contains { $0.hasPrefix("Proxy-Authenticate: ") } == (reason.status == 407))
    let json = try JSONValue(parsing: body.dropLast(), limit: 65536)
    let word = reason == .pendingApproval ? "pending_approval" : Self.words[reason.status]
    #expect(json["reason"]?.text == reason.rawValue && json["error"]?.text == word)
    #expect(head.contains("Retry-After: 5") == (reason == .pendingApproval))
    #expect(json["policy_generation"]?.integer == 7)
  }

  @Test(
    "Every status that a head can be refused with has its phrase and its word", arguments: words.keys.sorted()
  )
  func statuses(_ status: Int) throws {
    let (head, body) = try Self.parts(try Self.denial(.malformed, status: status, to: nil).httpBytes())
    #expect(head[0].hasPrefix("HTTP/1.1 \(status) ") && head[0] != "HTTP/1.1 \(status) Error")
    let json = try JSONValue(parsing: body.dropLast(), limit: 65536)
    #expect(json["error"]?.text == Self.words[status])
    #expect(json["destination"]?.text == nil && json["suggested_rule"]?.text == nil)
  }

  @Test("A denial of HEAD has the head alone, with the length that its body would have")
  func head() throws {
    let denial = try Self.denial(.denyRule)
    let whole = try Self.parts(denial.httpBytes()), bare = try Self.parts(denial.httpBytes(headOnly: true))
    #expect(whole.head == bare.head && bare.body.isEmpty && !whole.body.isEmpty)
  }

  @Test(
    "HTTP-27: nothing of a request but its canonical destination is in the answer",
    arguments: [
      "evil.test:8443", "EVIL.test:8443", "evil.test.:8443", "[2001:DB8::1]:443", "11.66.0.66:22",
    ])
  func reflects(_ host: String) throws {
    let text = String(decoding: try Self.denial(.noRule, to: host).httpBytes(), as: UTF8.self)
    #expect(!text.contains("EVIL") && !text.contains("test.:") && !text.contains("DB8"))
    #expect(text.utf8.allSatisfy { $0 == 10 || $0 == 13 || (0x20..<0x7f).contains($0) })
    #expect(!text.contains("127.0.0.1") && !text.contains("/tmp") && !text.contains(".yaml"))
  }

  @Test("Only what a rule can open comes with a rule to open it")
  func suggestions() throws {
    for reason in Reason.allCases where reason != .allowed {
      let (_, body) = try Self.parts(try Self.denial(reason, to: "11.66.0.66:443").httpBytes())
      let json = try JSONValue(parsing: body.dropLast(), limit: 65536)
      if reason == .noRule { #expect(json["suggested_rule"]?.text != nil) }
      if [.specialAddress, .selfAddress, .denyRule, .badUpstream].contains(reason) {
        #expect(json["suggested_rule"]?.text == nil, "\(reason)")
      }
    }
  }
}

import Policy
import Testing

@Suite("Reasons")
struct ReasonTests {
  @Test("every reason is one sentence, and no two are the same")
  func sentences() {
    let sentences = Reason.allCases.map(\.explanation)
    #expect(Set(sentences).count == Reason.allCases.count)
    for sentence in sentences {
      #expect(sentence.first?.isUppercase == true && !sentence.hasSuffix(".") && !sentence.contains("\n"))
    }
  }

  /// RFC 9209 §2.3.
  static let registered: Set<String> = [
    "dns_timeout", "dns_error", "destination_not_found", "destination_unavailable",
    "destination_ip_prohibited",
    "destination_ip_unroutable", "connection_refused", "connection_terminated", "connection_timeout",
    "connection_read_timeout", "connection_write_timeout", "connection_limit_reached", "tls_protocol_error",
    "tls_certificate_error", "tls_alert_received", "http_request_error", "http_request_denied",
    "http_response_incomplete", "http_response_header_section_size", "http_response_header_size",
    "http_response_body_size", "http_response_trailer_section_size", "http_response_trailer_size",
    "http_response_transfer_coding", "http_response_content_coding", "http_response_timeout",
    "http_upgrade_failed", "http_protocol_error", "proxy_internal_response", "proxy_internal_error",
    "proxy_configuration_error", "proxy_loop_detected",
  ]

  /// What stands in records of what passed, and is no error.
  static let passing: Set<Reason> = [.allowed, .approved]

  @Test("every denial has a registered error type and an error status", arguments: Reason.allCases)
  func http(_ reason: Reason) {
    #expect(reason.proxyError.map(Self.registered.contains) ?? Self.passing.contains(reason))
    #expect((reason.status >= 400 && reason.status < 600) == !Self.passing.contains(reason))
  }

  @Test(
    "what the rules and the floor deny is 403",
    arguments: [
      Reason.denyRule, .askRule, .noRule, .specialAddress, .selfAddress, .privateAddress, .cnameDenied,
      .rebinding, .dnsBudget, .searchSuffix, .recordType, .syntheticUnnamed,
    ])
  func denials(_ reason: Reason) {
    #expect(reason.status == 403)
  }

  @Test("what may pass a minute later is 503")
  func laterAgain() {
    #expect(Reason.syntheticExhausted.status == 503)
    #expect(Reason.syntheticExhausted.proxyError == "connection_limit_reached")
    #expect(Reason.rebinding.proxyError == "destination_ip_prohibited")
  }

  @Test("raw values are what records hold")
  func rawValues() {
    let words = [
      "rebinding", "dns-budget", "search-suffix", "record-type", "synthetic-exhausted", "synthetic-unnamed",
      "fence-unavailable",
    ]
    #expect(
      words.map { Reason(rawValue: $0) } == [
        .rebinding, .dnsBudget, .searchSuffix, .recordType, .syntheticExhausted,
        .syntheticUnnamed, .fenceUnavailable,
      ])
    #expect(Reason(rawValue: "rule") == .allowed && Reason(rawValue: "no-rule") == .noRule)
    #expect(NearMiss(rawValue: "protocol") == .traffic && NearMiss(rawValue: "http") == .request)
  }
}

@Suite("Names of agents and rules")
struct NameTests {
  @Test(
    "agents",
    arguments: [
      ("ci", true), ("a_b-c9", true), ("9", true), ("", false), ("CI", false), ("-a", false), ("_a", false),
      ("a b", false), ("a.b", false), ("\u{e9}", false), ("a\n", false),
      (String(repeating: "a", count: 63), true), (String(repeating: "a", count: 64), false),
    ])
  func agents(_ text: String, _ isValid: Bool) {
    #expect((AgentName(text)?.text == text) == isValid)
  }

  @Test(
    "rules",
    arguments: [
      ("github-api", true), ("builtin:npm/registry.0_1", true), ("", false), (":a", false), ("-a", false),
      ("a b", false), ("a\"", false), ("a\u{301}", false), (String(repeating: "a", count: 128), true),
      (String(repeating: "a", count: 129), false),
    ])
  func rules(_ text: String, _ isValid: Bool) {
    #expect((RuleID(text)?.text == text) == isValid)
  }

  @Test(
    "listeners",
    arguments: [
      ("127.0.0.1:3128", "127.0.0.1:3128"), ("[::1]:3128", "[::1]:3128"),
      ("unix:/run/gate.sock", "unix:/run/gate.sock"),
      ("localhost:3128", nil), ("127.0.0.1", nil), ("::1:3128", nil), ("unix:gate.sock", nil), ("unix:", nil),
      ("unix:/", nil), ("unix:/a\n", nil), ("unix:/" + String(repeating: "a", count: 107), nil), ("", nil),
    ] as [(String, String?)])
  func listeners(_ text: String, _ description: String?) {
    #expect(ListenAddress(text)?.description == description)
  }
}

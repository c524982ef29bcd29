import Addressing
import Policy
import Testing

@Suite("Suggested rules")
struct SuggestedRuleTests {
  static let cases = [
    (
      "https://api.test:443", "a1",
      #"{ id: "allow-api.test-443", action: allow, agents: ["a1"], to: ["api.test"] }"#
    ),
    ("https://api.test:443", "default", #"{ id: "allow-api.test-443", action: allow, to: ["api.test"] }"#),
    (
      "https://api.test:8443", "default",
      #"{ id: "allow-api.test-8443", action: allow, to: ["api.test"], ports: [8443] }"#
    ),
    (
      "http://api.test:80", "default",
      #"{ id: "allow-api.test-80-http", action: allow, to: ["api.test"], protocol: http }"#
    ),
    (
      "tcp://git.test:22", "default",
      #"{ id: "allow-git.test-22-tcp", action: allow, to: ["git.test"], protocol: tcp, ports: [22] }"#
    ),
    ("https://11.0.0.5:443", "default", #"{ id: "allow-11.0.0.5-443", action: allow, to: ["11.0.0.5/32"] }"#),
    (
      "https://[fd12::5]:443", "default",
      #"{ id: "allow-fd12::5-443", action: allow, to: ["fd12::5/128"], allow-private: true }"#
    ),
    (
      "http://127.0.0.1:8080", "default",
      #"{ id: "allow-127.0.0.1-8080-http", action: allow, to: ["127.0.0.1/32"], protocol: http, ports: [8080], allow-loopback: true }"#
    ),
  ]

  @Test("one line, the narrowest, without what the language fills in", arguments: cases)
  func yaml(_ target: String, _ who: String, _ expected: String) throws {
    #expect(SuggestedRule.yaml(for: try destination(target), agent: try agent(who)) == expected)
  }

  static let help: [(String, Reason, Bool)] = [
    ("https://a.test:443", .noRule, true), ("https://a.test:443", .noApprover, true),
    ("https://a.test:443", .denyRule, false), ("https://a.test:443", .specialAddress, false),
    ("https://a.test:443", .dnsFailure, false), ("https://10.0.0.5:443", .privateAddress, true),
    ("https://[::ffff:11.0.0.5]:443", .specialAddress, true),
    ("https://169.254.169.254:443", .specialAddress, false), ("https://127.0.0.1:443", .specialAddress, true),
    ("https://11.11.0.1:443", .selfAddress, false),
  ]

  @Test("nothing is suggested where no rule can help", arguments: help)
  func onlyWhereItHelps(_ target: String, _ reason: Reason, _ isHelped: Bool) throws {
    let suggestion = SuggestedRule(for: try destination(target), agent: .default, denied: reason)
    #expect((suggestion != nil) == isHelped)
  }

  @Test("a name that resolved to private addresses needs the leave")
  func privateName() throws {
    let suggestion = SuggestedRule(
      for: try destination("https://a.test:443"), agent: .default, denied: .privateAddress)
    #expect(suggestion?.yaml.contains("allow-private: true") == true)
  }

  static let questions: [(reason: Reason, asked: [String], rule: String?)] = [
    (.noRule, ["A", "AAAA"], #"{ id: "allow-a.test-443", action: allow, to: ["a.test"] }"#),
    (.noApprover, [], #"{ id: "allow-a.test-443", action: allow, to: ["a.test"] }"#),
    (.noRule, ["A", "TXT"], #"{ id: "allow-a.test-443", action: allow, to: ["a.test"] }"#),
    (.noRule, ["HTTPS"], #"{ id: "allow-a.test-443", action: allow, to: ["a.test"] }"#),
    (
      .noRule, ["MX", "TXT"],
      #"{ id: "allow-a.test-dns", action: allow, to: ["a.test"], protocol: dns, types: [MX, TXT] }"#
    ),
    (
      .recordType, ["A", "TXT"],
      #"{ id: "allow-a.test-dns", action: allow, to: ["a.test"], protocol: dns, types: [TXT] }"#
    ),
    (.recordType, ["HTTPS"], nil), (.recordType, [], nil), (.recordType, ["AXFR", "TYPE65280"], nil),
    (.denyRule, ["A"], nil), (.rebinding, ["A"], nil), (.dnsBudget, ["A"], nil), (.searchSuffix, ["A"], nil),
  ]

  @Test("a question is answered by a rule for what its asker is after", arguments: questions)
  func question(_ reason: Reason, _ asked: [String], _ rule: String?) throws {
    let question = try destination("dns://a.test:53")
    #expect(SuggestedRule(for: question, agent: .default, denied: reason, asked: asked)?.yaml == rule)
    let literal = try destination("dns://11.0.0.5:53")
    #expect(SuggestedRule(for: literal, agent: .default, denied: reason, asked: asked) == nil)
  }

  @Test("the longest names make ids that hold, and still differ")
  func longNames() throws {
    let long = (0..<126).map { _ in "a" }.joined(separator: ".")
    let first = SuggestedRule(for: try destination("https://\(long).a:443"), agent: .default, denied: .noRule)
    let second = SuggestedRule(
      for: try destination("https://\(long).b:443"), agent: .default, denied: .noRule)
    #expect(try #require(first).id != #require(second).id)
  }
}

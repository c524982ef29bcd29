import Addressing
import Policy
import PolicyFile
import Testing

/// What is read is what is decided.
@Suite struct DecisionTests {
  private func decide(_ text: String, _ authority: String, _ traffic: TrafficProtocol = .https) throws
    -> Decision
  {
    let loaded = try loader(.sidecar).load(text: text, named: "p")
    let parsed = try Authority(authority.utf8)
    return loaded.policy.decide(
      Destination(parsed.host, parsed.port, traffic), agent: .default, floor: Floor(), at: testNow)
  }

  @Test(
    "POL-01: no rules are no way out",
    arguments: [
      "version: 1\nrules: []\n", "version: 1\n", "version: 1\ninclude: []\n", "version: 1\nagents: {}\n",
    ])
  func empty(_ text: String) throws {
    let decision = try decide(text, "allowed.test:443")
    #expect(decision.answer == .deny && decision.reason == .noRule)
  }

  @Test(
    "POL-01: an empty file and {} are errors, never a policy",
    arguments: ["", "{}", "# comment\n", "---\n", "~\n", "rules: []\n"])
  func refused(_ text: String) {
    #expect(errors(text).count == 1)
  }

  @Test(
    "POL-05, POL-14, POL-27: the whole way from the file to the answer",
    arguments: [
      ("ALLOWED.Test", "allowed.test:443", Action.allow), ("ALLOWED.Test", "other.test:443", .deny),
      ("bücher.test", "XN--BCHER-KVA.test:443", .allow), ("bücher.test", "xn--llowed-jqf.test:443", .deny),
      ("*.wild.test", "a.wild.test:443", .allow), ("*.wild.test", "a.b.wild.test:443", .allow),
      ("*.wild.test", "wild.test:443", .deny), ("*.wild.test", "evilwild.test:443", .deny),
      ("**.wild.test", "wild.test:443", .allow), ("**.wild.test", "a.wild.test:443", .allow),
      ("11.66.0.0/16", "11.66.0.1:443", .allow), ("11.66.0.0/16", "name.test:443", .deny),
      ("allowed.test", "allowed.test:8443", .deny),
    ])
  func patterns(_ pattern: String, _ authority: String, _ answer: Action) throws {
    #expect(try decide(policy(rule: "action: allow, to: [\"\(pattern)\"]"), authority).answer == answer)
  }

  @Test("every key reaches the rule")
  func everyKey() throws {
    let text = try Repository.text("Tests/Fixtures/policies/good/everything.yaml")
    let loaded = try loader(.sidecar).load(text: text, named: "p")
    let policy = loaded.policy
    #expect(policy.mode == .audit && policy.defaultAction == .ask && policy.hold == .seconds(25))
    #expect(policy.agents.map(\.name.text) == ["ci", "v6", "socket", "review", "1st"])
    #expect(policy.agents.map { $0.dns?.description } == [nil, "[::1]:5301", nil, nil, nil])
    #expect(policy.agents[3].tokenSHA256?.first == 0x9f && policy.agents[3].tokenSHA256?.count == 32)
    let api = try #require(policy.rules.first { $0.id.text == "api" })
    #expect(api.agents.map { Set($0.map(\.text)) } == ["ci", "default"])
    #expect(api.to.map(\.description) == ["api.example.com", "*.files.example.com", "**.pkg.example.com"])
    #expect(api.ports.map(\.description) == ["443", "8443", "9000-9003"])
    #expect(
      api.limits
        == Limits(
          connections: 32, bytesOut: 50 << 20, bytesIn: 2 << 30, duration: .seconds(3600),
          dnsLabels: .bytes(4096)))
    #expect(api.note == "clone and review" && api.owner == "infra@example.com" && api.source == "p:13")
    #expect(api.expires == Timestamp("2099-01-31T00:00:00Z"))
    let artifacts = try #require(policy.rules.first { $0.id.text == "artifacts" })
    #expect(artifacts.traffic == .http && artifacts.allowPrivate && !artifacts.allowLoopback)
    #expect(artifacts.requests.map(\.methods) == [["GET", "HEAD"], ["POST"], []])
    #expect(artifacts.requests.map { $0.path?.text } == ["/repository/**", nil, "/health"])
    let txt = try #require(policy.rules.first { $0.id.text == "txt" })
    #expect(txt.recordTypes == ["TXT", "MX"])
    #expect(policy.rules.contains { $0.id.text == "npm/npm-registry" })
  }

  @Test("`none` takes a limit away")
  func limitsNone() throws {
    let text = try Repository.text("Tests/Fixtures/policies/good/limits-none.yaml")
    let limits = try loader().load(text: text, named: "p").policy.rules.first?.limits
    #expect(limits == Limits(duration: Limits.longestDuration, dnsLabels: .unlimited))
  }
}

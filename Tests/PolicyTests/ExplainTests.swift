import Addressing
import Policy
import Testing

@Suite("Explain")
struct ExplainTests {
  @Test("every rule is named, with the fields that failed")
  func fields() throws {
    let policy = Policy(rules: [
      try rule("match", to: ["*.test", "a.test"]), try rule("host", to: ["b.test"]),
      try rule("agent", to: ["a.test"], agents: ["a2"]),
      try rule("protocol", to: ["a.test"], .http, ports: ["443"]),
      try rule("port", to: ["a.test"], ports: ["444"]),
      try rule("expired", .deny, to: ["a.test"], expires: now),
      try rule("all", to: ["a.test"], .tcp, ports: ["1"], agents: ["a2"], expires: now),
    ])
    let explanation = policy.explain(
      try destination("https://a.test:443"), agent: try agent("a1"), floor: try benchFloor(), at: now)
    let failed = Dictionary(uniqueKeysWithValues: explanation.considered.map { ($0.rule.id.text, $0.failed) })
    #expect(
      failed == [
        "match": [], "host": [.host], "agent": [.agent], "protocol": [.traffic], "port": [.port],
        "expired": [.expired],
        "all": [.agent, .traffic, .port, .expired],
      ])
    #expect(explanation.considered.map(\.rule.id.text) == policy.rules.map(\.id.text), "in the file's order")
    #expect(explanation.considered[0].pattern == .exact(try name("a.test")), "the best of its patterns")
    #expect(explanation.winner?.id.text == "match" && explanation.addressClass == nil)
  }

  @Test("http is looked at where all else matches")
  func requests() throws {
    let policy = Policy(rules: [
      try rule("get", to: ["a.test"], .http, requests: [RequestPattern(methods: ["GET"])])
    ])
    let explanation = policy.explain(
      try destination("http://a.test:80"), agent: .default, request: RequestFacts(method: "PUT", path: "/"),
      floor: Floor(), at: now)
    #expect(explanation.considered[0].failed == [.request] && explanation.decision.nearMiss == .request)
  }

  @Test("the near miss is the rule with the fewest fields amiss, and never a deny rule")
  func nearest() throws {
    let far = try rule("far", to: ["a.test"], .tcp, ports: ["1"]),
      near = try rule("near", to: ["*.test"], ports: ["1"])
    let deny = try rule("deny", .deny, to: ["a.test"], agents: ["a2"])
    #expect(try Policy(rules: [far, near, deny]).decide("https://a.test:443").nearMiss == .port)
    #expect(try Policy(rules: [far, deny]).decide("https://a.test:443").nearMiss == .traffic)
    #expect(try Policy(rules: [deny]).decide("https://a.test:443").nearMiss == nil)
  }

  @Test("a literal's class is shown")
  func literals() throws {
    let explanation = Policy().explain(
      try destination("https://10.0.0.5:443"), agent: .default, floor: Floor(), at: now)
    #expect(explanation.addressClass == .privateUse && explanation.decision.reason == .privateAddress)
  }
}

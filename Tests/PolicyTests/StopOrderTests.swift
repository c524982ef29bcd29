import Addressing
import Policy
import Testing

@Suite("An order to stop stands above all rules")
struct StopOrderTests {
  private func policy(_ mode: Mode, stopping agents: Set<AgentName>, everybody: Bool = false) throws -> Policy
  {
    let rules = [
      try rule("web", to: ["*.open.test"]),
      try rule("ntp", to: ["time.test", "11.11.0.0/24"], .udp, ports: ["123"]),
      try rule("text", to: ["text.test"], .dns), try rule("asks", .ask, to: ["ask.test"]),
    ]
    return Policy(mode: mode, rules: rules).under(StopOrder(everybody: everybody, agents: agents))
  }

  @Test(
    "a stopped agent gets nothing, in audit mode neither, and everybody else what the rules say",
    arguments: [Mode.enforce, .audit])
  func decides(in mode: Mode) throws {
    let ci = try agent("ci"), policy = try policy(mode, stopping: [ci])
    let names = ["a.open.test", "ask.test", "none.test", "11.11.0.10", "8.8.8.8"]
    for name in names {
      for traffic in TrafficProtocol.allCases {
        let destination = Destination(try host(name), try port(443), traffic)
        let stopped = policy.decide(destination, agent: ci, floor: Floor(), at: now)
        #expect(stopped.reason == .stopped && stopped.rule == nil && stopped.verdict(in: mode) == .deny)
        let other = policy.decide(destination, agent: .default, floor: Floor(), at: now)
        #expect(other.reason != .stopped)
      }
    }
    let open = Destination(try host("a.open.test"), try port(443), .https)
    #expect(policy.decide(open, agent: .default, floor: Floor(), at: now).answer == .allow)
  }

  @Test("nor does it get answers about names, or datagrams")
  func names() throws {
    let ci = try agent("ci"), policy = try policy(.audit, stopping: [ci]), time = try name("time.test")
    for decision in [
      policy.mayResolve(time, agent: ci, at: now), policy.mayQuery("TXT", of: time, agent: ci, at: now),
      policy.mayQuery("A", of: time, agent: ci, at: now),
    ] {
      #expect(decision.reason == .stopped && decision.verdict(in: .audit) == .deny)
    }
    #expect(
      policy.datagramGrants(agent: ci, at: now).isEmpty
        && !policy.opensDatagrams(to: time, agent: ci, at: now))
    let addresses = [try address("11.11.0.10")]
    #expect(policy.datagramOpenings(of: time, at: addresses, agent: ci, floor: Floor(), now: now).isEmpty)
    #expect(policy.mayResolve(time, agent: .default, at: now).answer == .allow)
    #expect(policy.datagramGrants(agent: .default, at: now).count == 1)
    #expect(policy.opensDatagrams(to: time, agent: .default, at: now))
  }

  @Test("what flows ends with the order, under whatever rule, and under none in audit mode")
  func flows() throws {
    let ci = try agent("ci"), destination = Destination(try host("a.open.test"), try port(443), .https)
    for mode in [Mode.enforce, .audit] {
      let policy = try policy(mode, stopping: [ci]), rule = try #require(policy.rules.first)
      for rule in [rule, nil] {
        #expect(!policy.stillStands(rule, for: destination, agent: ci, floor: Floor(), at: now))
      }
      #expect(policy.stillStands(rule, for: destination, agent: .default, floor: Floor(), at: now))
    }
  }

  @Test("flows of a rule that several agents share lose their mark when one of them is stopped")
  func marks() throws {
    let ci = try agent("ci"), agents = [AgentName.default, ci]
    var marks = RuleMarks()
    _ = try #require(marks.adopt(try policy(.enforce, stopping: []), agents: agents, at: now))
    let before = marks.live
    let stopped = try #require(marks.adopt(try policy(.enforce, stopping: [ci]), agents: agents, at: now))
    #expect(stopped.revoked == before && stopped.granted == marks.live && marks.live.isDisjoint(with: before))
    let kept = marks.live
    let resumed = try #require(marks.adopt(try policy(.enforce, stopping: []), agents: agents, at: now))
    #expect(resumed.isEmpty && marks.live == kept)
    _ = try #require(
      marks.adopt(try policy(.enforce, stopping: [], everybody: true), agents: agents, at: now))
    #expect(marks.live.isEmpty)
    _ = try #require(marks.adopt(try policy(.enforce, stopping: []), agents: agents, at: now))
    #expect(marks.live.count == before.count && marks.live.isDisjoint(with: before.union(kept)))
  }
}

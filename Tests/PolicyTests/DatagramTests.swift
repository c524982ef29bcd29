import Addressing
import Policy
import Testing

/// What a packet filter is told must say what `decide` says.
@Suite struct DatagramTests {
  @Test("the first line that speaks of a literal says what decide says", arguments: 0..<400 as Range<UInt64>)
  func grantsDecideLikeDecide(seed: UInt64) throws {
    var world = World(seed: seed)
    let policy = try world.datagramPolicy()
    let grants = policy.datagramGrants(agent: .default, at: now)
    for _ in 0..<60 {
      let address = try world.literal(),
        port = try PolicyTests.port(try world.pick([438, 442, 443, 444, 450]))
      let expected = policy.decide(
        Destination(.address(address), port, .udp), agent: .default, floor: Floor(), at: now)
      let line = grants.first { $0.matches(address, port) }
      #expect((line?.opens ?? false) == (expected.answer == .allow), "\(address) \(port) in seed \(seed)")
      if expected.answer == .allow { #expect(line?.rule.id == expected.rule?.id) }
    }
  }

  @Test("what a name opens is what decide opens, port by port", arguments: 0..<400 as Range<UInt64>)
  func openingsDecideLikeDecide(seed: UInt64) throws {
    var world = World(seed: seed)
    let policy = try world.datagramPolicy()
    let address = IPAddress.v4(0x0b0b_000a)
    for _ in 0..<20 {
      let name = try PolicyTests.name(try world.name())
      let openings = policy.datagramOpenings(
        of: name, at: [address], agent: .default, floor: Floor(), now: now)
      for number in 437...451 as ClosedRange<UInt16> {
        let port = try PolicyTests.port(number)
        let expected = policy.decide(
          Destination(.name(name), port, .udp), agent: .default, floor: Floor(), at: now)
        let found = openings.filter { $0.ports.contains(port) }
        #expect(found.count == (expected.answer == .allow ? 1 : 0), "\(name) \(port) in seed \(seed)")
        #expect(found.first?.rule.id == (expected.answer == .allow ? expected.rule?.id : nil))
      }
      #expect(!openings.isEmpty ? policy.opensDatagrams(to: name, agent: .default, at: now) : true)
    }
  }

  @Test("a name opens only the addresses that the floor admits")
  func floorHolds() throws {
    let policy = Policy(rules: [try rule("stun", to: ["stun.test"], .udp, ports: ["3478"])])
    let found = policy.datagramOpenings(
      of: try name("stun.test"), at: try ["10.0.0.5", "169.254.169.254", "11.11.0.10"].map(address),
      agent: .default, floor: Floor(), now: now)
    #expect(try found.map(\.address) == [address("11.11.0.10")])
  }

  @Test("a rule that asks, that has run out or that is another agent's opens nothing")
  func closedRules() throws {
    let block = ["11.11.0.0/16"]
    let policy = Policy(rules: [
      try rule("asks", .ask, to: block, .udp), try rule("gone", to: block, .udp, expires: now),
      try rule("others", to: block, .udp, agents: ["b"]), try rule("opaque", to: block, .tcp),
    ])
    let grants = policy.datagramGrants(agent: .default, at: now)
    #expect(grants.map(\.rule.id.text) == ["asks"])
    #expect(grants.allSatisfy { !$0.opens })
    #expect(policy.datagramGrants(agent: try agent("b"), at: now).contains { $0.opens })
  }
}

extension World {
  /// A policy in which most rules speak of datagrams, to everybody.
  mutating func datagramPolicy() throws -> Policy {
    var rules: [Rule] = []
    for number in 0..<Int.random(in: 1...12, using: &numbers) {
      let action = try pick([Action.allow, .allow, .allow, .ask, .deny])
      var patterns = [try pattern()]
      if chance(40) { patterns.append(try pattern()) }
      var ports = [try portRange()]
      if chance(40) { ports.append(try portRange()) }
      rules.append(
        Rule(
          id: try #require(RuleID("r\(number)")), action: action, to: patterns, ports: ports,
          traffic: chance(80) ? .udp : .tcp,
          allowPrivate: chance(20)))
    }
    return Policy(rules: rules)
  }
}

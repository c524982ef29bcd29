import Addressing
import Policy
import Testing

/// Draws policies and destinations from a world so small that they often meet.
struct World {
  var numbers: SeededNumbers

  init(seed: UInt64) { numbers = SeededNumbers(seed: seed) }

  mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &numbers) < percent }

  mutating func pick<T>(_ choices: [T]) throws -> T { try #require(choices.randomElement(using: &numbers)) }

  mutating func name() throws -> String {
    var labels = ["test"]
    for _ in 0..<Int.random(in: 0...3, using: &numbers) {
      labels.insert(try pick(["a", "b", "aa", "ba"]), at: 0)
    }
    return labels.joined(separator: ".")
  }

  mutating func literal() throws -> IPAddress {
    if chance(60) { return .v4(0x0b00_0000 | UInt32.random(in: 0..<1024, using: &numbers) << 8) }
    return .v6(high: 0x2a0e_b107 << 32 | UInt64.random(in: 0..<64, using: &numbers) << 20, low: 0)
  }

  mutating func pattern() throws -> HostPattern {
    switch Int.random(in: 0..<10, using: &numbers) {
    case 0...2: return .exact(try Hostname(name()))
    case 3...4: return .subdomains(of: try Hostname(name()))
    case 5...6: return .domain(try Hostname(name()))
    case 7: return .anyName
    default:
      let address = try literal()
      return .prefix(
        try block(
          around: address, length: pick(address.isV4 ? [0, 8, 14, 20, 24, 32] : [0, 32, 40, 44, 64, 128])))
    }
  }

  /// The block of `length` that holds `address`.
  private func block(around address: IPAddress, length: Int) throws -> IPPrefix {
    let bits = address.bytes.enumerated().map { index, byte in
      let kept = min(max(length - index * 8, 0), 8)
      return UInt8(truncatingIfNeeded: UInt16(byte) & (0xff00 >> UInt16(kept)))
    }
    let first = try #require(IPAddress(networkOrder: bits))
    return try #require(IPPrefix(first, length: length))
  }

  mutating func portRange() throws -> PortRange {
    let choices: [UInt16] = [438, 442, 443, 444, 450]
    let first = try #require(Port(pick(choices))), second = try #require(Port(pick(choices)))
    return chance(70) ? PortRange(first) : PortRange(first, second)
  }

  mutating func rule(_ number: Int) throws -> Rule {
    let traffic = try pick([TrafficProtocol.https, .https, .http, .tcp, .udp])
    let requests =
      traffic == .http && chance(50)
      ? [RequestPattern(methods: chance(50) ? ["GET"] : [], path: PathPattern("/p/**"))] : []
    return Rule(
      id: try #require(RuleID("r\(number)")), action: try pick([.allow, .allow, .allow, .ask, .deny]),
      agents: chance(30) ? [try agent(pick(["a1", "a2"]))] : nil,
      to: try (0..<Int.random(in: 1...3, using: &numbers)).map { _ in try pattern() },
      ports: try (0..<Int.random(in: 1...2, using: &numbers)).map { _ in try portRange() }, traffic: traffic,
      requests: requests,
      expires: chance(20) ? Timestamp(milliseconds: now.milliseconds + Int64(try pick([-1, 0, 1]))) : nil)
  }

  mutating func destination() throws -> Destination {
    let host: Host = chance(70) ? .name(try Hostname(name())) : .address(try literal())
    return Destination(
      host, try #require(Port(pick([440, 443, 444, 450]))), try pick([.https, .https, .http, .tcp, .udp]))
  }

  mutating func request() throws -> RequestFacts? {
    chance(80) ? RequestFacts(method: try pick(["GET", "PUT"]), path: try pick(["/p/x", "/q"])) : nil
  }
}

@Suite("Properties")
struct PropertyTests {
  @Test("decide, decideTunnel and explain agree with the naive twin, whatever the order", arguments: 0..<24)
  func oracle(_ seed: Int) throws {
    var world = World(seed: UInt64(seed))
    for _ in 0..<25 {
      let rules = try (0..<Int.random(in: 0...24, using: &world.numbers)).map { try world.rule($0) }
      let policy = Policy(defaultAction: try world.pick([.deny, .ask]), rules: rules)
      let shuffled = Policy(defaultAction: policy.defaultAction, rules: rules.shuffled(using: &world.numbers))
      for _ in 0..<12 { try compare(policy, shuffled, &world) }
    }
  }

  private func compare(_ policy: Policy, _ shuffled: Policy, _ world: inout World) throws {
    let target = try world.destination(), who = try agent(world.pick(["a1", "a2", "a3"])),
      request = try world.request()
    let naive = NaivePolicy(rules: policy.rules, defaultAction: policy.defaultAction)
    let expected = naive.decide(target, as: [target.traffic], agent: who, request: request, at: now)
    let decision = policy.decide(target, agent: who, request: request, floor: Floor(), at: now)
    #expect(decision.answer == expected.answer && decision.reason == expected.reason, "\(target)")
    #expect(decision.rule === expected.rule, "\(target)")
    #expect(shuffled.decide(target, agent: who, request: request, floor: Floor(), at: now) == decision)
    try compareExplanation(
      policy.explain(target, agent: who, request: request, floor: Floor(), at: now), decision)
    let tunnel = policy.decideTunnel(
      host: target.host, port: target.port, agent: who, floor: Floor(), at: now)
    let both = naive.decide(target, as: [.https, .tcp], agent: who, request: nil, at: now)
    #expect(
      tunnel.decision.rule === both.rule && tunnel.decision.answer == both.answer, "tunnel to \(target)")
  }

  /// There is no second evaluator: what explain shows is what decide went by.
  private func compareExplanation(_ explanation: Explanation, _ decision: Decision) throws {
    #expect(explanation.decision == decision)
    #expect(explanation.winner === decision.rule)
    for entry in explanation.considered {
      #expect((entry.pattern != nil) == entry.rule.to.contains { $0.matches(explanation.destination.host) })
      #expect(entry.failed.contains(.host) == (entry.pattern == nil))
    }
    let matching = explanation.considered.filter { $0.failed.isEmpty }
    #expect(matching.contains { $0.rule === decision.rule } == (decision.rule != nil))
    #expect(matching.isEmpty == (decision.reason == .noRule))
  }

  @Test("the floor comes out the same for explain, and never allows what decide does not", arguments: 0..<10)
  func floor(_ seed: Int) throws {
    var world = World(seed: 1000 + UInt64(seed))
    for _ in 0..<200 {
      let policy = Policy(rules: try (0..<8).map { try world.rule($0) })
      let address = IPAddress.v4(UInt32.random(in: 0 ... .max, using: &world.numbers))
      let target = Destination(.address(address), .https, .https), who = try agent("a1"),
        floor = try benchFloor()
      let decision = policy.decide(target, agent: who, floor: floor, at: now)
      #expect(policy.explain(target, agent: who, floor: floor, at: now).decision == decision)
      #expect(address.addressClass == .global || decision.isFloor && decision.answer == .deny, "\(address)")
    }
  }

  @Test("POL-02: no name is matched by a neighbour's wildcard, for thousands of drawn names")
  func wholeLabels() throws {
    var world = World(seed: 99)
    for _ in 0..<5000 {
      let parent = try world.name(), child = try world.name()
      let policy = Policy(rules: [try rule("r", to: ["*.\(parent)"])])
      let labels = child.split(separator: "."), suffix = parent.split(separator: ".")
      let isBelow = labels.count > suffix.count && Array(labels.suffix(suffix.count)) == suffix
      let decision = policy.decide(
        try destination("https://\(child):443"), agent: .default, floor: Floor(), at: now)
      #expect((decision.answer == .allow) == isBelow, "*.\(parent) and \(child)")
    }
  }

  @Test("DOS-07: the longest name against 10,000 patterns stays far below a millisecond")
  func longNames() throws {
    let long = (0..<126).map { _ in "a" }.joined(separator: ".") + ".a"
    var rules = try (0..<5000).map { try rule("w\($0)", to: ["*.w\($0).a.a"]) }
    rules += try (0..<5000).map { try rule("e\($0)", to: ["e\($0).a.a.a"]) }
    rules += try [rule("deep", to: ["*.\(long.suffix(200).drop { $0 == "." })"])]
    let policy = Policy(rules: rules), target = Destination(try host(long), .https, .https)
    #expect(long.utf8.count == Hostname.maximumLength)
    #expect(policy.decide(target, agent: .default, floor: Floor(), at: now).rule?.id.text == "deep")
    let clock = ContinuousClock()
    let fastest = (0..<20).map { _ in
      clock.measure { _ = policy.decide(target, agent: .default, floor: Floor(), at: now) }
    }.min()
    #expect(try #require(fastest) < .milliseconds(1))
  }
}

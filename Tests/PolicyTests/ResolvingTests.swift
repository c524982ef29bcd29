import Addressing
import Policy
import Testing

@Suite("Names and DNS")
struct ResolvingTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String, answer: Action, reason: Reason, rule: String?, because: String
    var testDescription: String { "\(name): \(because)" }

    init(_ name: String, _ answer: Action, _ reason: Reason, _ rule: String?, _ because: String) {
      (self.name, self.answer, self.reason, self.rule, self.because) = (name, answer, reason, rule, because)
    }
  }

  static func rules() throws -> [Rule] {
    [
      try rule("wild", to: ["*.wild.test"]), try rule("bad", .deny, to: ["bad.wild.test"]),
      try rule("ssh-off", .deny, to: ["git.wild.test"], .tcp, ports: ["22"]),
      try rule("ssh", to: ["shut.test"], .tcp, ports: ["22-24"]),
      try rule("off1", .deny, to: ["shut.test"], .tcp, ports: ["20-22"]),
      try rule("off2", .deny, to: ["shut.test"], .tcp, ports: ["23", "24"]),
      try rule("ask", .ask, to: ["ask.test"]),
      try rule("ntp", to: ["time.test"], .udp, ports: ["123"]),
      try rule("other", to: ["other.test"], agents: ["a2"]),
      try rule("old", to: ["old.test"], expires: now),
      try rule("gone", .deny, to: ["gone.wild.test"], expires: now),
      try rule(
        "path", .deny, to: ["path.wild.test"], ports: ["443"], requests: [RequestPattern(methods: ["PUT"])]),
      try rule("mixed-ask", .ask, to: ["mixed.test"]),
      try rule("mixed", to: ["**.mixed.test"], .tcp, ports: ["22"]),
    ]
  }

  static let cases = [
    Case("a.wild.test", .allow, .allowed, "wild", "row 11: some rule could match it"),
    Case("wild.test", .deny, .noRule, nil, "no rule could"),
    Case("evilwild.test", .deny, .noRule, nil, "POL-02: no label boundary"),
    Case("bad.wild.test", .deny, .denyRule, "bad", "all that the wildcard opens is denied"),
    Case("git.wild.test", .allow, .allowed, "wild", "a deny of another port leaves something open"),
    Case(
      "shut.test", .deny, .denyRule, "off2",
      "two deny rules take all ports together; the one with fewer is named"),
    Case("ask.test", .ask, .askRule, "ask", "row 11: ask is enough"),
    Case("time.test", .allow, .allowed, "ntp", "any protocol, any port"),
    Case("other.test", .deny, .noRule, nil, "a rule for another agent"),
    Case("old.test", .deny, .noRule, nil, "row 8: an expired rule is absent"),
    Case("gone.wild.test", .allow, .allowed, "wild", "row 8: an expired deny too"),
    Case("path.wild.test", .allow, .allowed, "wild", "a deny of single requests leaves the rest"),
    Case("mixed.test", .allow, .allowed, "mixed", "nobody is asked for a name that some rule allows"),
  ]

  @Test("which names may be resolved", arguments: cases)
  func mayResolve(_ c: Case) throws {
    let policy = Policy(rules: try Self.rules())
    let decision = policy.mayResolve(try name(c.name), agent: try agent("a1"), at: now)
    #expect(decision.answer == c.answer && decision.reason == c.reason, "\(c.because)")
    #expect(decision.rule?.id.text == c.rule, "\(c.because)")
  }

  @Test("the default is ask: so is an unknown name")
  func askByDefault() throws {
    let policy = Policy(defaultAction: .ask, rules: try Self.rules())
    #expect(policy.mayResolve(try name("any.test"), agent: .default, at: now).answer == .ask)
    #expect(policy.mayResolve(try name("bad.wild.test"), agent: .default, at: now).answer == .deny)
  }

  @Test("what decide allows may be resolved, for drawn policies", arguments: 0..<10)
  func consistent(_ seed: Int) throws {
    var world = World(seed: 500 + UInt64(seed)), allowed = 0
    for _ in 0..<400 {
      let policy = Policy(rules: try (0..<6).map { try world.rule($0) })
      let target = try world.destination(), who = try agent(world.pick(["a1", "a2"]))
      guard case .name(let name) = target.host,
        policy.decide(target, agent: who, request: try world.request(), floor: Floor(), at: now).answer
          != .deny
      else { continue }
      allowed += 1
      #expect(policy.mayResolve(name, agent: who, at: now).answer != .deny, "\(target)")
    }
    #expect(allowed > 5, "the draw must meet")
  }

  @Test(
    "row 11: types beyond the addresses' take a dns rule that names them",
    arguments: [
      ("TXT", "mail.test", Action.allow), ("MX", "mail.test", .allow), ("SRV", "mail.test", .deny),
      ("A", "mail.test", .allow), ("TXT", "a.wild.test", .deny), ("A", "a.wild.test", .allow),
      ("MX", "no-mx.mail.test", .deny), ("TXT", "no-mx.mail.test", .allow), ("TXT", "none.test", .deny),
      ("A", "no-mx.mail.test", .allow),
    ])
  func mayQuery(_ type: String, _ text: String, _ answer: Action) throws {
    let dns = { (id: String, action: Action, to: String, types: [String]) in
      Rule(
        id: try #require(RuleID(id)), action: action, to: [try pattern(to)], ports: [PortRange(.domain)],
        traffic: .dns,
        recordTypes: types)
    }
    let policy = Policy(
      rules: try Self.rules() + [
        try dns("mail", .allow, "**.mail.test", ["TXT", "MX"]),
        try dns("no-mx", .deny, "no-mx.mail.test", ["MX"]),
      ])
    #expect(policy.mayQuery(type, of: try name(text), agent: .default, at: now).answer == answer)
    #expect(policy.deniesName(try name(text), agent: .default, at: now) == nil, "a type is not the name")
  }

  @Test(
    "DNS-19: a chain through a denied name is denied",
    arguments: [
      ("bad.wild.test", "bad"), ("BAD.wild.test.", "bad"), ("x.bad.wild.test", nil),
      ("git.wild.test", "ssh-off"),
      ("gone.wild.test", nil), ("path.wild.test", nil), ("evil.test", nil), ("allowed.test", nil),
    ] as [(String, String?)])
  func deniesName(_ text: String, _ id: String?) throws {
    let policy = Policy(rules: try Self.rules())
    #expect(policy.deniesName(try name(text), agent: try agent("a1"), at: now)?.id.text == id)
  }
}

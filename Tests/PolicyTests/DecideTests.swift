import Addressing
import Policy
import Testing

@Suite("Decide")
struct DecideTests {
  /// Judged as `destination` for agent a1.
  struct Case: Sendable, CustomTestStringConvertible {
    var destination: String, answer: Action, reason: Reason, rule: String?, nearMiss: NearMiss?,
      because: String
    var testDescription: String { "\(destination): \(because)" }

    init(
      _ destination: String, _ answer: Action, _ reason: Reason, _ rule: String? = nil, near: NearMiss? = nil,
      _ because: String
    ) {
      (self.destination, self.answer, self.reason) = (destination, answer, reason)
      (self.rule, self.nearMiss, self.because) = (rule, near, because)
    }
  }

  static func bench() throws -> [Rule] {
    [
      try rule("tunnel", to: ["allowed.test", "*.wild.test"], agents: ["a1"]),
      try rule("plain", to: ["plain.test"], .http, agents: ["a1"]),
      try rule("bad", .deny, to: ["bad.wild.test"]),
      try rule("ssh", to: ["git.test"], .tcp, ports: ["22"]),
      try rule("ranges", to: ["ranges.test"], ports: ["443", "8081-8083"]),
      try rule("person", .ask, to: ["ask.test"]),
      try rule("other", to: ["other.test"], agents: ["a2"]),
      try rule("old", to: ["old.test"], expires: now),
      try rule("young", to: ["young.test"], expires: Timestamp(milliseconds: now.milliseconds + 1)),
      try rule("block", to: ["11.66.0.0/16"]),
      try rule("ntp", to: ["time.test"], .udp, ports: ["123"]),
    ]
  }

  static let cases = [
    Case("https://allowed.test:443", .allow, .allowed, "tunnel", "everything matches"),
    Case("https://a.b.wild.test:443", .allow, .allowed, "tunnel", "below the wildcard"),
    Case("https://wild.test:443", .deny, .noRule, nil, "POL-27: the apex is not below itself"),
    Case("https://bad.wild.test:443", .deny, .denyRule, "bad", "POL-28: deny wins over the wildcard"),
    Case(
      "https://BAD.wild.test.:443", .deny, .denyRule, "bad",
      "POL-04, POL-05: other spellings of the same name"),
    Case("https://evilwild.test:443", .deny, .noRule, nil, "POL-02: no label boundary"),
    Case("https://allowed.test.evil.test:443", .deny, .noRule, nil, "POL-03: a prefix"),
    Case("https://allowed.test:22", .deny, .noRule, near: .port, "POL-24: another port"),
    Case("https://allowed.test:53", .deny, .noRule, near: .port, "POL-24: DNS"),
    Case("https://allowed.test:8443", .deny, .noRule, near: .port, "POL-24: the other https port"),
    Case("http://allowed.test:80", .deny, .noRule, near: .traffic, "POL-26: https does not open http"),
    Case("http://allowed.test:443", .deny, .noRule, near: .traffic, "POL-26: not on its port either"),
    Case("https://plain.test:80", .deny, .noRule, near: .traffic, "POL-26: http opens no tunnel"),
    Case("tcp://plain.test:80", .deny, .noRule, near: .traffic, "POL-26: no opaque one either"),
    Case("http://plain.test:80", .allow, .allowed, "plain", "plain HTTP where a rule says so"),
    Case("http://plain.test:8080", .deny, .noRule, near: .port, "POL-24: plain HTTP on another port"),
    Case("tcp://git.test:22", .allow, .allowed, "ssh", "opaque bytes where a rule says so"),
    Case("https://git.test:22", .deny, .noRule, near: .traffic, "tcp is not https"),
    Case("udp://git.test:22", .deny, .noRule, near: .traffic, "tcp is not udp"),
    Case("udp://time.test:123", .allow, .allowed, "ntp", "datagrams where a rule says so"),
    Case("tcp://time.test:123", .deny, .noRule, near: .traffic, "udp is not tcp"),
    Case("https://ranges.test:8081", .allow, .allowed, "ranges", "the first port of a range"),
    Case("https://ranges.test:8083", .allow, .allowed, "ranges", "the last port of a range"),
    Case("https://ranges.test:8080", .deny, .noRule, near: .port, "one port before a range"),
    Case("https://ranges.test:8084", .deny, .noRule, near: .port, "one port behind a range"),
    Case("https://ask.test:443", .ask, .askRule, "person", "a person decides"),
    Case("https://other.test:443", .deny, .noRule, near: .agent, "POL-31: a rule for another agent"),
    Case(
      "https://old.test:443", .deny, .noRule, near: .expired,
      "row 8: the very millisecond of expiry is too late"),
    Case("https://young.test:443", .allow, .allowed, "young", "row 8: one millisecond before it is not"),
    Case("https://11.66.0.66:443", .allow, .allowed, "block", "a literal in a block"),
    Case("https://11.67.0.66:443", .deny, .noRule, nil, "POL-16: a literal in none"),
    Case("https://[2a0e:b107:66::66]:443", .deny, .noRule, nil, "POL-16: IPv6 too"),
    Case("https://nowhere.test:443", .deny, .noRule, nil, "no rule, and none is near"),
  ]

  @Test("one table of destinations", arguments: cases)
  func table(_ c: Case) throws {
    let decision = try Policy(rules: try Self.bench()).decide(c.destination)
    #expect(decision.answer == c.answer, "\(c.because)")
    #expect(decision.reason == c.reason, "\(c.because)")
    #expect(decision.rule?.id.text == c.rule, "\(c.because)")
    #expect(decision.nearMiss == c.nearMiss, "\(c.because)")
  }

  @Test(
    "POL-01: a policy without rules allows nothing",
    arguments: ["https://allowed.test:443", "http://plain.test:80"])
  func empty(_ text: String) throws {
    #expect(try Policy().decide(text).answer == .deny)
    #expect(try Policy(defaultAction: .allow).decide(text).answer == .deny, "allow is no default")
    #expect(try Policy(defaultAction: .ask).decide(text) == Decision(answer: .ask, reason: .noRule))
    #expect(try Policy(rules: Self.bench()).decide(text).answer == .allow, "the control")
  }

  @Test("OPS-06: odd rules match nothing, and trap nowhere")
  func oddRules() throws {
    let odd = [
      try rule("no-hosts", to: []), try rule("no-ports", to: ["odd.test"], ports: []),
      try rule("nobody", to: ["odd.test"], agents: []),
      try rule("reversed", to: ["odd.test"], ports: ["500-400"]),
      try rule("twice", to: ["even.test", "even.test"]), try rule("twice", to: ["even.test"]),
    ]
    #expect(try Policy(rules: odd).decide("https://odd.test:443").answer == .deny)
    #expect(try Policy(rules: odd).decide("https://even.test:443").answer == .allow)
  }

  @Test("OPS-06: a clock that is off opens nothing that has expired by it")
  func clocks() throws {
    let policy = Policy(rules: [try rule("old", to: ["old.test"], expires: now)])
    let target = try destination("https://old.test:443")
    for (time, answer) in [
      (Int64.min, Action.allow), (now.milliseconds - 1, .allow), (now.milliseconds, .deny), (.max, .deny),
    ] {
      let decision = policy.decide(
        target, agent: .default, floor: Floor(), at: Timestamp(milliseconds: time))
      #expect(decision.answer == answer, "\(time)")
    }
  }
}

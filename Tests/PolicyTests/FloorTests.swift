import Addressing
import Policy
import Testing

/// A policy that opens all that a policy can, so that only the floor is left.
private func openPolicy(mode: Mode = .enforce) throws -> Policy {
  Policy(
    mode: mode,
    rules: [
      try rule(
        "open", to: ["0.0.0.0/0", "::/0", "*"], ports: ["1-65535"], allowPrivate: true, allowLoopback: true)
    ])
}

@Suite("Floor")
struct FloorTests {
  static let never = [
    "169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]", "[fe80::1]",
    "0.0.0.0",
    "0.1.2.3", "[::]", "224.0.0.1", "239.255.255.255", "[ff02::1]", "255.255.255.255",
  ]

  @Test("POL-22: no rule opens what is never reached, in either mode", arguments: never)
  func neverOpened(_ host: String) throws {
    for mode in [Mode.enforce, .audit] {
      let decision = try openPolicy(mode: mode).decide("https://\(host):443")
      #expect(decision == Decision(answer: .deny, reason: .specialAddress, isFloor: true))
      #expect(decision.verdict(in: mode) == .deny && !decision.wouldDeny(in: mode))
    }
    #expect(try openPolicy().decide("https://11.66.0.66:443").answer == .allow, "the control")
  }

  static let embedded = [
    "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:5601:5601", "::ffff:0:a9fe:a9fe", "::a9fe:a9fe",
    "2a0e:b107:11:0:0:5efe:a9fe:a9fe",
  ]

  @Test("POL-17, POL-18: an IPv4 address embedded in IPv6 is judged as itself", arguments: embedded)
  func embeddedMetadata(_ literal: String) throws {
    let decision = try openPolicy().decide("https://[\(literal)]:443")
    #expect(decision.reason == .specialAddress && decision.isFloor)
    let resolved = try openPolicy().admit(
      [try address(literal), try address("11.11.0.10")], to: destination("https://priv.test:443"),
      under: openPolicy().decide("https://priv.test:443"), floor: benchFloor())
    #expect(resolved.admitted == [try address("11.11.0.10")], "POL-18: also as an answer")
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var target: String, plain: Reason, withPrivate: Reason, withLoopback: Reason, withBoth: Reason,
      because: String
    var testDescription: String { "\(target): \(because)" }

    init(
      _ target: String, _ plain: Reason, _ withPrivate: Reason, _ withLoopback: Reason, _ withBoth: Reason,
      _ because: String
    ) {
      (self.target, self.plain, self.withPrivate) = (target, plain, withPrivate)
      (self.withLoopback, self.withBoth, self.because) = (withLoopback, withBoth, because)
    }
  }

  static let cases = [
    Case("11.66.0.66:443", .allowed, .allowed, .allowed, .allowed, "a public address takes no leave"),
    Case("10.0.0.5:443", .privateAddress, .allowed, .privateAddress, .allowed, "RFC 1918"),
    Case("172.31.255.255:443", .privateAddress, .allowed, .privateAddress, .allowed, "RFC 1918"),
    Case("100.64.0.1:443", .privateAddress, .allowed, .privateAddress, .allowed, "RFC 6598"),
    Case("[fd12::1]:443", .privateAddress, .allowed, .privateAddress, .allowed, "unique local"),
    Case("198.18.0.1:443", .privateAddress, .allowed, .privateAddress, .allowed, "benchmarking"),
    Case("[2001:db8::1]:443", .privateAddress, .allowed, .privateAddress, .allowed, "documentation"),
    Case(
      "[::ffff:11.0.0.1]:443", .specialAddress, .allowed, .specialAddress, .allowed,
      "POL-17: a public address in disguise"),
    Case("[64:ff9b::b0b:a]:443", .specialAddress, .allowed, .specialAddress, .allowed, "the same by NAT64"),
    Case("[::ffff:10.0.0.5]:443", .privateAddress, .allowed, .privateAddress, .allowed, "RFC 1918, mapped"),
    Case(
      "[::ffff:192.0.2.1]:443", .privateAddress, .allowed, .privateAddress, .allowed, "documentation, mapped"),
    Case("127.0.0.1:443", .specialAddress, .specialAddress, .allowed, .allowed, "loopback"),
    Case("127.9.9.9:443", .specialAddress, .specialAddress, .allowed, .allowed, "all of 127.0.0.0/8"),
    Case("[::1]:443", .specialAddress, .specialAddress, .allowed, .allowed, "loopback"),
    Case("[::ffff:127.0.0.1]:443", .specialAddress, .specialAddress, .allowed, .allowed, "loopback, mapped"),
    Case(
      "11.11.0.1:443", .selfAddress, .selfAddress, .allowed, .allowed, "POL-23: an interface's public address"
    ),
    Case("[2a0e:b107:11::1]:443", .selfAddress, .selfAddress, .allowed, .allowed, "POL-23: IPv6"),
    Case(
      "10.66.0.1:443", .selfAddress, .selfAddress, .privateAddress, .allowed, "an interface's private address"
    ),
    Case(
      "[64:ff9b::b0b:1]:443", .selfAddress, .selfAddress, .specialAddress, .allowed, "an interface by NAT64"),
    Case(
      "10.66.0.1:3128", .selfAddress, .selfAddress, .selfAddress, .selfAddress,
      "POL-23: the gate's own listener"),
    Case(
      "[::ffff:10.66.0.1]:3128", .selfAddress, .selfAddress, .selfAddress, .selfAddress,
      "the listener, mapped"),
    Case(
      "127.0.0.1:3129", .selfAddress, .selfAddress, .selfAddress, .selfAddress, "a listener on every address"),
    Case(
      "11.11.0.1:3129", .selfAddress, .selfAddress, .selfAddress, .selfAddress, "by its public address too"),
    Case("11.66.0.66:3129", .allowed, .allowed, .allowed, .allowed, "another machine's port is its own"),
    Case("11.11.0.53:5353", .selfAddress, .selfAddress, .selfAddress, .selfAddress, "the resolver's port"),
    Case("11.11.0.53:53", .selfAddress, .selfAddress, .selfAddress, .selfAddress, "DNS at the resolver"),
    Case(
      "11.11.0.53:853", .selfAddress, .selfAddress, .selfAddress, .selfAddress, "DNS over TLS at the resolver"
    ),
    Case("11.11.0.53:443", .allowed, .allowed, .allowed, .allowed, "what else the resolver serves"),
    Case("9.255.255.255:443", .allowed, .allowed, .allowed, .allowed, "POL-22: one below 10/8"),
    Case("11.0.0.0:443", .allowed, .allowed, .allowed, .allowed, "POL-22: one above 10/8"),
  ]

  @Test("what each leave opens, for literals and for what names resolve to", arguments: cases)
  func leaves(_ c: Case) throws {
    let leaves = [
      (c.plain, false, false), (c.withPrivate, true, false), (c.withLoopback, false, true),
      (c.withBoth, true, true),
    ]
    for (reason, allowPrivate, allowLoopback) in leaves {
      let policy = Policy(rules: [
        try rule(
          "r", to: ["0.0.0.0/0", "::/0", "exact.test"], ports: ["1-65535"], allowPrivate: allowPrivate,
          allowLoopback: allowLoopback)
      ])
      let decision = try policy.decide("https://\(c.target)")
      #expect(decision.reason == reason, "\(c.because)")
      #expect(decision.isFloor == (reason != .allowed))
      let authority = try Authority(c.target.utf8)
      guard case .address(let literal) = authority.host else { continue }
      let named = Destination(try host("exact.test"), authority.port, .https)
      let admission = policy.admit(
        [literal], to: named, under: try policy.decide("\(named)"), floor: try benchFloor())
      #expect(admission.denial == (reason == .allowed ? nil : reason), "\(c.because)")
      #expect(admission.admitted == (reason == .allowed ? [literal] : []))
    }
  }

  @Test("no rule, no leave: the floor speaks before no-rule")
  func withoutRule() throws {
    for action in [Action.deny, .ask] {
      let decision = try Policy(mode: .audit, defaultAction: action).decide("https://10.0.0.5:443")
      #expect(decision == Decision(answer: .deny, reason: .privateAddress, isFloor: true))
    }
    #expect(try Policy().decide("https://11.0.0.5:443").reason == .noRule)
  }

  @Test("POL-28: a deny rule stays the reason, and audit mode still denies what the floor would")
  func denyRuleOnPrivate() throws {
    let policy = Policy(
      mode: .audit, rules: [try rule("d", .deny, to: ["10.0.0.0/8", "11.0.0.0/8"], allowPrivate: true)])
    let inside = try policy.decide("https://10.0.0.5:443"),
      outside = try policy.decide("https://11.0.0.5:443")
    #expect(inside.reason == .denyRule && inside.isFloor && inside.verdict(in: .audit) == .deny)
    #expect(outside.reason == .denyRule && !outside.isFloor && outside.verdict(in: .audit) == .allow)
  }

  @Test("a deny rule for IPv4 holds for IPv6 addresses that lead there; an allow rule does not")
  func embeddedRules() throws {
    let deny = try rule("d", .deny, to: ["11.66.0.0/16"])
    let open = try rule("o", to: ["::/0"], allowPrivate: true)
    #expect(try Policy(rules: [deny, open]).decide("https://[64:ff9b::b42:42]:443").reason == .denyRule)
    #expect(
      try Policy(rules: [open]).decide("https://[64:ff9b::b42:42]:443").reason == .allowed, "the control")
    let v4 = try rule("v4", to: ["11.66.0.0/16"], allowPrivate: true)
    let unopened = try Policy(rules: [v4]).decide("https://[64:ff9b::b42:42]:443")
    #expect(unopened == Decision(answer: .deny, reason: .specialAddress, isFloor: true))
    #expect(Reason.specialAddress.explanation.contains("IPv4 inside IPv6"))
  }
}

@Suite("Admit")
struct AdmitTests {
  @Test("DNS-22: each address is judged alone, in either order")
  func mixed() throws {
    let policy = Policy(rules: [try rule("r", to: ["mixed.test"])])
    let target = try destination("https://mixed.test:443")
    let good = try address("11.11.99.99"), bad = try address("169.254.169.254"), loopback = try address("::1")
    for addresses in [[good, bad, loopback], [loopback, bad, good]] {
      let admission = policy.admit(
        addresses, to: target, under: try policy.decide("\(target)"), floor: try benchFloor())
      #expect(admission.admitted == [good] && admission.denial == nil)
      #expect(Set(admission.refused.map(\.addressClass)) == [.metadata, .loopback])
    }
  }

  @Test("DNS-20: an allowed name does not open private addresses; its rule can", arguments: [false, true])
  func privateAnswers(_ allowPrivate: Bool) throws {
    let policy = Policy(rules: [try rule("r", to: ["priv.test"], allowPrivate: allowPrivate)])
    let target = try destination("https://priv.test:443")
    let admission = policy.admit(
      [try address("10.0.0.5"), try address("fd66::5")], to: target, under: try policy.decide("\(target)"),
      floor: try benchFloor())
    #expect(admission.admitted.count == (allowPrivate ? 2 : 0))
    #expect(admission.denial == (allowPrivate ? nil : .privateAddress))
  }

  @Test("row 3: a CIDR rule never counts for what a name resolves to")
  func blocks() throws {
    let policy = Policy(rules: [
      try rule("block", to: ["10.0.0.0/8"], allowPrivate: true), try rule("r", to: ["priv.test"]),
    ])
    let target = try destination("https://priv.test:443")
    let admission = policy.admit(
      [try address("10.0.0.5")], to: target, under: try policy.decide("\(target)"), floor: try benchFloor())
    #expect(admission.admitted.isEmpty)
    #expect(try policy.decide("https://10.0.0.5:443").answer == .allow, "the control")
  }

  @Test(
    "row 5: allow-loopback counts only where an exact name matched",
    arguments: [
      (["self.wild.test"], true), (["*.wild.test"], false), (["**.self.wild.test"], false), (["*"], false),
      (["*.wild.test", "self.wild.test"], true), (["other.test", "*.wild.test"], false),
    ])
  func loopback(_ to: [String], _ isOpen: Bool) throws {
    let policy = Policy(rules: [try rule("r", to: to, allowPrivate: true, allowLoopback: true)])
    let target = try destination("https://self.wild.test:443")
    let admission = policy.admit(
      [try address("127.0.0.1"), try address("10.66.0.1"), try address("11.11.0.1")], to: target,
      under: try policy.decide("\(target)"), floor: try benchFloor())
    #expect(admission.admitted.count == (isOpen ? 3 : 0), "\(to)")
  }

  @Test("CTL-14: neither audit mode nor an approval lifts the floor")
  func audit() throws {
    let policy = Policy(
      mode: .audit,
      rules: [try rule("d", .deny, to: ["d.test"], allowPrivate: true), try rule("a", .ask, to: ["a.test"])])
    for text in ["https://d.test:443", "https://none.test:443", "https://a.test:443"] {
      let decision = try policy.decide(text)
      #expect(decision.verdict(in: .audit) == .allow && decision.wouldDeny(in: .audit))
      let admission = policy.admit(
        [try address("10.0.0.5"), try address("11.0.0.5")], to: try destination(text), under: decision,
        floor: try benchFloor())
      #expect(admission.admitted == [try address("11.0.0.5")])
    }
    #expect(try policy.decide("https://d.test:443").answer == .deny, "CTL-14: a deny rule never asks")
  }
}

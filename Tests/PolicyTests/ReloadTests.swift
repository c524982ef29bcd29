import Addressing
import Policy
import Testing

@Suite("Reload: which flows stay")
struct ReloadTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var flow: String, rules: @Sendable () throws -> [Rule], stands: Bool, because: String
    var testDescription: String { because }

    init(
      _ stands: Bool, _ because: String, flow: String = "https://a.test:443",
      _ rules: @escaping @Sendable () throws -> [Rule]
    ) {
      (self.flow, self.stands, self.because, self.rules) = (flow, stands, because, rules)
    }
  }

  static func old() throws -> Rule { try rule("r", to: ["a.test", "11.0.0.0/8"]) }

  static let cases = [
    Case(true, "nothing changed") { [try old()] },
    Case(true, "the rule moved in its file and got a note") {
      [
        try rule("first", to: ["b.test"]),
        try rule("r", to: ["a.test", "11.0.0.0/8"], note: "why", source: "x.yaml:9"),
      ]
    },
    Case(false, "the rule is gone") { [] },
    Case(false, "the rule is gone, though another allows the same") { [try rule("s", to: ["a.test"])] },
    Case(false, "its ports changed") {
      [try rule("r", to: ["a.test", "11.0.0.0/8"], ports: ["443", "444"])]
    },
    Case(false, "its limits changed") {
      [try rule("r", to: ["a.test", "11.0.0.0/8"], limits: Limits(bytesOut: 1))]
    },
    Case(false, "its action changed") { [try rule("r", .ask, to: ["a.test", "11.0.0.0/8"])] },
    Case(false, "it expires now") { [try rule("r", to: ["a.test", "11.0.0.0/8"], expires: now)] },
    Case(false, "a deny rule matches now") { [try old(), try rule("d", .deny, to: ["**.test"])] },
    Case(false, "a deny rule for tcp matches the tunnel now") {
      [try old(), try rule("d", .deny, to: ["a.test"], .tcp)]
    },
    Case(true, "a deny rule for another port matches not") {
      [try old(), try rule("d", .deny, to: ["a.test"], ports: ["22"])]
    },
    Case(false, "another rule wins with ask") { [try old(), try rule("k", .ask, to: ["a.test"])] },
    Case(true, "another rule loses with ask") { [try old(), try rule("k", .ask, to: ["**.test"])] },
    Case(true, "another rule wins with allow") { [try old(), try rule("b", to: ["a.test"])] },
    Case(true, "a literal under an unchanged rule", flow: "https://11.0.0.5:443") { [try old()] },
    Case(false, "the floor takes it now", flow: "https://11.11.0.1:443") { [try old()] },
  ]

  @Test("a flow in enforce mode", arguments: cases)
  func enforce(_ c: Case) throws {
    let stands = Policy(rules: try c.rules()).stillStands(
      try Self.old(), for: try destination(c.flow), agent: try agent("a1"), floor: try benchFloor(), at: now)
    #expect(stands == c.stands, "\(c.because)")
  }

  @Test("an approved flow stays while its ask rule wins")
  func approved() throws {
    let ask = try rule("k", .ask, to: ["a.test"]), target = try destination("https://a.test:443")
    let stands = { (rules: [Rule]) in
      Policy(rules: rules).stillStands(ask, for: target, agent: .default, floor: Floor(), at: now)
    }
    #expect(stands([ask]))
    #expect(!stands([ask, try rule("d", .deny, to: ["a.test"])]))
    #expect(!stands([ask, try rule("a", .ask, to: ["a.test"])]), "another person's question")
  }

  @Test("a flow that only audit mode let through stays while that mode does and the floor agrees")
  func audit() throws {
    let stands = { (policy: Policy, text: String) in
      policy.stillStands(nil, for: try destination(text), agent: .default, floor: try benchFloor(), at: now)
    }
    #expect(try stands(Policy(mode: .audit), "https://a.test:443"))
    #expect(
      try stands(Policy(mode: .audit, rules: [try rule("d", .deny, to: ["a.test"])]), "https://a.test:443"))
    #expect(try !stands(Policy(mode: .audit), "https://10.0.0.5:443"))
    #expect(try !stands(Policy(mode: .enforce), "https://a.test:443"))
    #expect(try stands(Policy(mode: .enforce, rules: [try rule("n", to: ["a.test"])]), "https://a.test:443"))
  }

  @Test("a rule about single requests stands, since each request is judged anew")
  func requests() throws {
    let get = try rule("g", to: ["a.test"], .http, requests: [RequestPattern(methods: ["GET"])])
    let target = try destination("http://a.test:80"), deny = try rule("d", .deny, to: ["a.test"], .http)
    let stands = { (rules: [Rule], request: RequestFacts?) in
      Policy(rules: rules).stillStands(
        get, for: target, agent: .default, request: request, floor: Floor(), at: now)
    }
    #expect(stands([get], nil))
    #expect(!stands([get, deny], nil))
    #expect(stands([get], RequestFacts(method: "GET", path: "/")))
    #expect(!stands([get], RequestFacts(method: "PUT", path: "/")))
  }

  @Test("changed names the rules that are gone or decide otherwise")
  func changed() throws {
    let before = Policy(rules: [
      try rule("a", to: ["a.test"]), try rule("b", to: ["b.test"]), try rule("c", to: ["c.test"]),
    ])
    let after = Policy(rules: [
      try rule("a", to: ["a.test"], note: "new note"), try rule("b", .ask, to: ["b.test"]),
      try rule("d", to: ["d.test"]),
    ])
    #expect(Set(after.changed(from: before).map(\.text)) == ["b", "c"])
    #expect(before.changed(from: before).isEmpty)
  }

  @Test("rules are equal by what they say, wherever they stand")
  func equality() throws {
    #expect(try rule("a", to: ["a.test"], source: "x:1") == rule("a", to: ["a.test"], source: "y:2"))
    #expect(try rule("a", to: ["a.test"], note: "x") != rule("a", to: ["a.test"], note: "y"))
    #expect(try rule("a", to: ["a.test"]) != rule("a", to: ["b.test"]))
  }
}

import Addressing
import Policy
import Testing

@Suite("What a client's first bytes may yet open")
struct ProspectTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var target: String, agent = "a1", mayOpen: Bool, because: String
    var testDescription: String { "\(target) for \(agent): \(because)" }
  }

  static func policy() throws -> Policy {
    Policy(rules: [
      try rule("web", to: ["a.test", "*.b.test"]),
      try rule("ask", .ask, to: ["q.test"], .http, ports: ["8000-8010"]),
      try rule("path", to: ["p.test"], .http, requests: [RequestPattern(methods: ["GET"])]),
      try rule("raw", to: ["t.test"], .tcp, ports: ["22"]),
      try rule("ofTwo", to: ["two.test"], ports: ["8443"], agents: ["a2"]),
      try rule("over", to: ["e.test"], ports: ["9443"], expires: now),
      try rule("net", to: ["11.0.0.0/24"], ports: ["444"]),
      try rule("no", .deny, to: ["d.test"], ports: ["7443"]),
    ])
  }

  static let cases = [
    Case(target: "a.test:443", mayOpen: true, because: "https"),
    Case(target: "x.b.test:443", mayOpen: true, because: "a wildcard"),
    Case(target: "a.test:22", mayOpen: false, because: "another port"),
    Case(target: "q.test:8005", mayOpen: true, because: "ask may become allow"),
    Case(target: "p.test:80", mayOpen: true, because: "some request may match"),
    Case(target: "t.test:22", mayOpen: false, because: "tcp asks for no first bytes"),
    Case(target: "two.test:8443", mayOpen: false, because: "another agent's"),
    Case(target: "two.test:8443", agent: "a2", mayOpen: true, because: "its own"),
    Case(target: "e.test:9443", mayOpen: false, because: "its time is over"),
    Case(target: "d.test:7443", mayOpen: false, because: "a deny rule opens nothing"),
    Case(target: "c.test:443", mayOpen: false, because: "no rule names it"),
    Case(target: "11.0.0.1:444", mayOpen: true, because: "a rule names the address"),
    Case(
      target: "11.9.0.1:444", mayOpen: false, because: "no rule names it, and none opens a name at the port"),
    Case(target: "11.9.0.1:443", mayOpen: true, because: "a name may come with the first bytes"),
    Case(target: "11.9.0.1:8010", mayOpen: true, because: "that may be asked about"),
    Case(target: "11.9.0.1:22", mayOpen: false, because: "tcp tells no name"),
    Case(target: "11.9.0.1:7443", mayOpen: false, because: "only a deny rule speaks of the port"),
    Case(target: "[2a0e::1]:443", mayOpen: true, because: "IPv6 alike"),
  ]

  @Test("only rules of https and http that could let the agent through count", arguments: cases)
  func mayOpen(_ c: Case) throws {
    let target = try destination("https://\(c.target)")
    let mayOpen = try Self.policy().mayOpenByContent(
      target.host, target.port, agent: try agent(c.agent), at: now)
    #expect(mayOpen == c.mayOpen, "\(c.because)")
  }

  static let held: [(String, Bool, Bool, String)] = [
    ("11.66.0.66:443", false, false, "a public address"),
    ("10.9.9.9:443", false, false, "a private one, which a name may stand for"),
    ("10.66.0.1:443", true, false, "an address of this machine"),
    ("10.66.0.1:3128", true, true, "a listener"),
    ("11.11.0.1:3129", true, true, "a listener on every address"),
    ("11.66.0.66:3129", false, false, "the same port elsewhere"),
    ("11.11.0.53:53", true, true, "a resolver"), ("127.0.0.1:80", true, false, "loopback"),
    ("[::1]:80", true, false, "loopback"),
    ("169.254.169.254:80", true, false, "metadata"),
    ("198.18.0.5:443", true, false, "stands for a name, but for none now"),
    ("198.20.0.5:443", false, false, "outside that block"),
  ]

  @Test(
    "no name takes the place of this machine's addresses, nor of those that nothing opens", arguments: held)
  func holdsFast(_ target: String, _ holds: Bool, _ isGate: Bool, _ because: String) throws {
    var floor = try benchFloor()
    floor.synthetic = [try #require(IPPrefix("198.18.0.0/15"))]
    let endpoint = try #require(Endpoint(target))
    #expect(floor.holdsFast(endpoint.address, endpoint.port) == holds, "\(because)")
    #expect(floor.isGate(endpoint.address, endpoint.port) == isGate, "\(because)")
  }

  @Test("an address that stands for no name is denied as such, whatever the rules and the mode say")
  func unnamed() throws {
    var floor = try benchFloor()
    floor.synthetic = [try #require(IPPrefix("198.18.0.0/15"))]
    let open = Policy(
      mode: .audit,
      rules: [try rule("all", to: ["198.18.0.0/15"], .tcp, ports: ["1-65535"], allowPrivate: true)])
    let decision = try open.decide("tcp://198.18.0.5:22", floor: floor)
    #expect(decision.reason == .syntheticUnnamed && decision.verdict(in: .audit) == .deny)
  }
}

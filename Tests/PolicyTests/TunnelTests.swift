import Addressing
import Policy
import Testing

@Suite("Tunnels are judged as https and as tcp at once")
struct TunnelTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var target: String, answer: Action, rule: String?, traffic: TrafficProtocol, because: String
    var testDescription: String { "\(target): \(because)" }
  }

  static func rules() throws -> [Rule] {
    [
      try rule("web", to: ["web.test", "*.both.test", "tie.test", "block.test"]),
      try rule("opaque", to: ["git.test", "x.both.test"], .tcp, ports: ["22", "443"]),
      try rule("tie", to: ["tie.test"], .tcp), try rule("hard", .deny, to: ["block.test"], .tcp),
      try rule("careful", .ask, to: ["web.test"], .tcp, ports: ["443", "444"]),
      try rule("plain", to: ["plain.test"], .http),
    ]
  }

  static let cases = [
    Case(
      target: "web.test:443", answer: .allow, rule: "web", traffic: .https, because: "fewer ports come first"),
    Case(
      target: "web.test:444", answer: .ask, rule: "careful", traffic: .tcp,
      because: "only tcp covers the port"),
    Case(
      target: "git.test:22", answer: .allow, rule: "opaque", traffic: .tcp, because: "only a tcp rule matches"
    ),
    Case(
      target: "x.both.test:443", answer: .allow, rule: "opaque", traffic: .tcp,
      because: "exact before wildcard"),
    Case(
      target: "y.both.test:443", answer: .allow, rule: "web", traffic: .https, because: "only https matches"),
    Case(
      target: "tie.test:443", answer: .allow, rule: "web", traffic: .https,
      because: "on a tie https constrains more"),
    Case(
      target: "block.test:443", answer: .deny, rule: "hard", traffic: .tcp,
      because: "a deny of either protocol wins"),
    Case(
      target: "plain.test:80", answer: .deny, rule: nil, traffic: .https,
      because: "POL-26: http opens no tunnel"),
  ]

  @Test("the foremost rule of both protocols", arguments: cases)
  func table(_ c: Case) throws {
    let authority = try Authority(c.target.utf8), policy = Policy(rules: try Self.rules())
    let (decision, traffic) = policy.decideTunnel(
      host: authority.host, port: authority.port, agent: .default, floor: Floor(), at: now)
    #expect(
      decision.answer == c.answer && decision.rule?.id.text == c.rule && traffic == c.traffic, "\(c.because)")
    let explanation = policy.explainTunnel(
      host: authority.host, port: authority.port, agent: .default, floor: Floor(), at: now)
    #expect(explanation.decision == decision && explanation.destination.traffic == traffic)
  }
}

import Addressing
import Policy
import Testing

@Suite("Precedence")
struct PrecedenceTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var rules: @Sendable () throws -> [Rule]
    var destination: String, winner: String, because: String
    var testDescription: String { because }
  }

  static let get = RequestPattern(methods: ["GET"])

  static let cases = [
    Case(
      rules: {
        [
          try rule("all", to: ["*"]), try rule("d", .deny, to: ["**.a.test"]),
          try rule("x", to: ["x.a.test"]),
        ]
      },
      destination: "https://x.a.test:443", winner: "d",
      because: "POL-28: any deny wins, even a less specific one"),
    Case(
      rules: { [try rule("exact", to: ["x.a.test"]), try rule("wild", .ask, to: ["*.a.test"])] },
      destination: "https://x.a.test:443", winner: "exact", because: "exact before a wildcard"),
    Case(
      rules: { [try rule("two", to: ["**.a.test"]), try rule("three", .ask, to: ["*.b.a.test"])] },
      destination: "https://x.b.a.test:443", winner: "three", because: "more labels before fewer"),
    Case(
      rules: { [try rule("any", to: ["*"]), try rule("one", .ask, to: ["**.test"])] },
      destination: "https://x.a.test:443", winner: "one", because: "any label before none"),
    Case(
      rules: { [try rule("wide", to: ["11.0.0.0/8"]), try rule("long", .ask, to: ["11.2.0.0/16"])] },
      destination: "https://11.2.3.4:443", winner: "long", because: "the longer prefix"),
    Case(
      rules: { [try rule("all", to: ["0.0.0.0/0"]), try rule("wide", .ask, to: ["11.0.0.0/8"])] },
      destination: "https://11.2.3.4:443", winner: "wide", because: "any prefix before none"),
    Case(
      rules: {
        [
          try rule("path", to: ["a.test"], .http, ports: ["80", "8080"], requests: [Self.get]),
          try rule("ports", .ask, to: ["a.test"], .http),
        ]
      },
      destination: "http://a.test:80", winner: "path",
      because: "a rule that looks at requests before fewer ports"),
    Case(
      rules: {
        [try rule("few", to: ["a.test"]), try rule("many", .ask, to: ["a.test"], ports: ["443-444"])]
      },
      destination: "https://a.test:443", winner: "few", because: "fewer ports before more"),
    Case(
      rules: {
        [
          try rule("same", to: ["a.test"], ports: ["443", "443"]),
          try rule("two", .ask, to: ["a.test"], ports: ["443-444"]),
        ]
      },
      destination: "https://a.test:443", winner: "same", because: "a port said twice is one port"),
    Case(
      rules: { [try rule("a", to: ["a.test"]), try rule("z", .ask, to: ["a.test"])] },
      destination: "https://a.test:443", winner: "z", because: "ask over allow where all is equal"),
    Case(
      rules: { [try rule("star", to: ["*.a.test"]), try rule("stars", .ask, to: ["**.a.test"])] },
      destination: "https://x.a.test:443", winner: "stars",
      because: "both wildcards name two labels: ask over allow"),
    Case(
      rules: {
        [try rule("exact", to: ["x.a.test"], ports: ["1-60000"]), try rule("wild", .ask, to: ["*.a.test"])]
      },
      destination: "https://x.a.test:443", winner: "exact", because: "the host counts before the ports"),
    Case(
      rules: { [try rule("loose", to: ["a.test"], allowPrivate: true), try rule("strict", to: ["a.test"])] },
      destination: "https://a.test:443", winner: "strict",
      because: "of two like rules the one that opens less"),
    Case(
      rules: { [try rule("b", to: ["a.test"]), try rule("a", to: ["a.test"])] },
      destination: "https://a.test:443", winner: "a",
      because: "of two rules that say the same the first by id"),
    Case(
      rules: { [try rule("w", .deny, to: ["*.a.test"]), try rule("e", .deny, to: ["x.a.test"])] },
      destination: "https://x.a.test:443", winner: "e", because: "of two deny rules the foremost is named"),
    Case(
      rules: { [try rule("one", to: ["**.a.test", "x.a.test"]), try rule("two", .ask, to: ["*.a.test"])] },
      destination: "https://x.a.test:443", winner: "one", because: "a rule counts by its best pattern"),
    Case(
      rules: { [try rule("late", .deny, to: ["a.test"], expires: now), try rule("allow", to: ["a.test"])] },
      destination: "https://a.test:443", winner: "allow", because: "an expired deny is absent"),
  ]

  @Test("the winner never depends on the order in the file", arguments: cases)
  func winners(_ c: Case) throws {
    var numbers = SeededNumbers(seed: 3)
    for _ in 0..<12 {
      let policy = Policy(rules: try c.rules().shuffled(using: &numbers))
      let decision = try policy.decide(c.destination, request: RequestFacts(method: "GET", path: "/"))
      #expect(decision.rule?.id.text == c.winner, "\(c.because)")
    }
  }
}

import Addressing
import Audit
import Policy
import PolicyFile

/// A policy, and the verdicts that it must give.
struct PolicyTrial {
  /// How many verdicts were asked for.
  let count: Int
  /// Those that came out otherwise.
  let failures: [Disagreement]

  init(of policy: Policy, _ expectations: [Expectation], at now: Timestamp) {
    count = expectations.count
    failures = expectations.compactMap { Disagreement($0, under: policy, at: now) }
  }
}

/// A verdict that is another than the one expected.
struct Disagreement {
  let expectation: Expectation
  let decision: Decision

  /// Nil when the policy says what it must.
  init?(_ expectation: Expectation, under policy: Policy, at now: Timestamp) {
    self.expectation = expectation
    decision = policy.decide(
      expectation.destination, agent: expectation.agent, request: expectation.request, floor: Floor(), at: now
    )
    if decision.answer == expectation.answer { return nil }
  }

  /// `tests.yaml:3: https://api.example.com:443: allow expected, deny found: no-rule. No rule allows it.`
  var line: Text {
    let request = expectation.request.map { " \($0.method) \($0.path)" } ?? ""
    let agent = expectation.agent == .default ? "" : " for agent \(expectation.agent)"
    let rule = decision.rule.map { " (\($0.id), \($0.source))" } ?? ""
    return
      "\(expectation.place): \(Text("\(expectation.destination)\(request)\(agent)", .strong)): \(expectation.answer.rawValue) expected, \(Text(decision.answer.rawValue, .bad)) found: \(decision.reason.rawValue)\(rule). \(decision.reason.explanation)."
  }

  var json: JSONValue {
    .object([
      .init("place", .string(expectation.place)), .init("destination", .string("\(expectation.destination)")),
      .init("agent", .string(expectation.agent.text)),
      .init("method", expectation.request.map { .string($0.method) } ?? .null),
      .init("path", expectation.request.map { .string($0.path) } ?? .null),
      .init("expected", .string(expectation.answer.rawValue)),
      .init("answer", .string(decision.answer.rawValue)),
      .init("reason", .string(decision.reason.rawValue)),
      .init("rule", decision.rule.map { .string($0.id.text) } ?? .null),
    ])
  }
}

import Addressing
import Audit
import Gateway
import Policy

/// What is asked of a policy.
struct Question {
  var host: Host
  var port: Port
  /// nil: what CONNECT would get.
  var traffic: TrafficProtocol?
  var agent: AgentName
  var request: RequestFacts?
  /// For a question over DNS, the type that is asked for.
  var recordType: UInt16?
}

/// What the policy answers, ready to be shown.
struct Answer {
  let explanation: Explanation
  let mode: Mode
  let request: RequestFacts?
  /// What would become of a name's addresses, by a sample of each class; empty
  /// for literals and for names that are not let through.
  let samples: [(sample: IPAddress, refused: Reason?)]
  let suggestion: SuggestedRule?
  /// What the DNS listener would answer; nil for addresses.
  let outlook: NameOutlook?

  init(_ question: Question, under policy: Policy, floor: Floor, at now: Timestamp) {
    var explanation = Self.explain(question, under: policy, floor: floor, at: now)
    outlook = Self.outlook(question, under: policy, at: now)
    if explanation.destination.traffic == .dns, let answer = outlook?.entries.first {
      explanation.decision = answer.decision
    }
    self.explanation = explanation
    mode = policy.mode
    request = question.request
    let decision = explanation.decision
    suggestion =
      decision.answer == .allow
      ? nil
      : SuggestedRule(
        for: explanation.destination, agent: question.agent, denied: decision.reason,
        asked: question.recordType.map { [RecordTypes.name(of: $0)] } ?? [])
    guard case .name = question.host, decision.verdict(in: mode) != .deny else {
      samples = []
      return
    }
    let destination = explanation.destination
    samples = Self.classes.map { sample in
      // Without this machine's own addresses: a sample stands for its class, not for itself.
      let admission = policy.admit([sample], to: destination, under: decision, floor: Floor())
      return (sample, admission.refused.first?.reason)
    }
  }

  private static func explain(
    _ question: Question, under policy: Policy, floor: Floor, at now: Timestamp
  ) -> Explanation {
    let asked = question.recordType ?? (question.traffic == .dns ? RecordTypes.number(of: "A") : nil)
    if let type = asked, case .name(let name) = question.host {
      return policy.explainQuestion(RecordTypes.name(of: type), of: name, agent: question.agent, at: now)
    }
    if let traffic = question.traffic {
      return policy.explain(
        Destination(question.host, question.port, traffic), agent: question.agent, request: question.request,
        floor: floor, at: now)
    }
    return policy.explainTunnel(
      host: question.host, port: question.port, agent: question.agent, floor: floor, at: now)
  }

  private static func outlook(_ question: Question, under policy: Policy, at now: Timestamp) -> NameOutlook? {
    guard case .name(let name) = question.host else { return nil }
    guard let type = question.recordType else {
      return NameOutlook(of: name, agent: question.agent, under: policy, at: now)
    }
    return NameOutlook(type, of: name, agent: question.agent, under: policy, at: now)
  }

  /// One address of each class that a name may resolve to.
  private static let classes: [IPAddress] = [
    .v4(0x0808_0808), .v4(0x0a00_0001), .v4(0x7f00_0001), .v4(0xa9fe_a9fe),
  ]

  /// What the gate would do.
  var verdict: Action { explanation.decision.verdict(in: mode) }

  /// 0 allow, 1 deny, 2 ask.
  var exitStatus: Int32 {
    switch verdict {
    case .allow: 0
    case .deny: 1
    case .ask: 2
    }
  }
}

// MARK: - For people

extension Answer {
  /// The answer as lines; the verdict comes last, where the eye is.
  func page(policyPath: String) -> [Text] {
    let facts = request.map { ", \($0.method) \($0.path)" } ?? ""
    let enforcing: Text = mode == .enforce ? "" : "\(Text(", NOT ENFORCING (mode audit)", .bad))"
    var lines = table(
      [
        ["destination", "\(Text("\(explanation.destination)", .strong))\(facts)"],
        ["agent", "\(explanation.agent)"],
        ["policy", "\(policyPath), \(count(explanation.considered.count, "rule"))\(enforcing)"],
        ["floor", floor],
      ] + (outlook.map { [["dns", Text($0.line)]] } ?? []))
    if !explanation.considered.isEmpty { lines.append("rules") }
    lines += table(explanation.considered.map(row), indent: "  ")
    return lines + conclusion
  }

  private var floor: Text {
    let decision = explanation.decision
    if let addressClass = explanation.addressClass {
      let kind = addressClass.rawValue + disguise
      guard decision.isFloor else { return "a literal address, \(kind): left to the rules" }
      return "a literal address, \(kind): \(Text("denied", .bad)), whatever the mode"
    }
    guard !samples.isEmpty else { return "a name; it is not let through, so it would not be resolved" }
    let refused = samples.filter { $0.refused != nil }.map(\.sample.addressClass.rawValue)
    let admitted = samples.filter { $0.refused == nil }.map(\.sample.addressClass.rawValue)
    return """
      a name, not resolved here; its addresses may be \(admitted.joined(separator: ", ")), never \
      \(refused.joined(separator: ", "))
      """
  }

  /// The IPv4 address that an IPv6 one leads to, which is what is judged.
  private var disguise: String {
    guard case .address(let address) = explanation.destination.host, let inner = address.embeddedIPv4 else {
      return ""
    }
    return " (\(IPAddress.v4(inner)) inside IPv6)"
  }

  private func row(_ considered: Explanation.Consideration) -> [Text] {
    let rule = considered.rule
    let isWinner = rule === explanation.winner
    let outcome: Text =
      considered.failed.isEmpty
      ? Text(isWinner ? "wins" : "matches", .good)
      : Text("not: " + considered.failed.map(\.rawValue).joined(separator: ", "), .faint)
    let pattern = considered.pattern.map { "to \($0)" } ?? ""
    return ["\(rule.id)", "\(rule.action.rawValue)", outcome, "\(pattern)", Text(rule.source, .faint)]
  }

  private var conclusion: [Text] {
    let decision = explanation.decision
    let style: Text.Style = verdict == .allow ? .good : verdict == .ask ? .doubtful : .bad
    let rule = decision.rule.map { " \($0.id)" + ($0.note.map { " (\($0))" } ?? "") } ?? ""
    var lines: [Text] = [
      "\(Text(verdict.rawValue, style)): \(decision.reason.rawValue)\(rule). \(decision.reason.explanation)."
    ]
    if decision.wouldDeny(in: mode) {
      lines.append(Text("NOT ENFORCING: in mode enforce the answer is \(decision.answer.rawValue).", .bad))
    }
    if let near = decision.nearMiss {
      lines.append("closest: a rule for this host does not match in '\(near.rawValue)'.")
    }
    if let suggestion { lines.append("would allow it: - \(suggestion.yaml)") }
    return lines
  }
}

// MARK: - For programs

extension Answer {
  var json: JSONValue {
    let decision = explanation.decision, destination = explanation.destination
    return .object([
      .init("destination", .string("\(destination)")), .init("host", .string("\(destination.host)")),
      .init("port", .integer(Int64(destination.port.number))),
      .init("protocol", .string(destination.traffic.rawValue)),
      .init("agent", .string("\(explanation.agent)")),
      .init("mode", .string(mode.rawValue)), .init("verdict", .string(verdict.rawValue)),
      .init("answer", .string(decision.answer.rawValue)),
      .init("would_deny", .bool(decision.wouldDeny(in: mode))),
      .init("reason", .string(decision.reason.rawValue)), .init("rule", text(decision.rule?.id.text)),
      .init("floor", .bool(decision.isFloor)),
      .init("address_class", text(explanation.addressClass?.rawValue)),
      .init("near_miss", text(decision.nearMiss?.rawValue)), .init("suggested_rule", text(suggestion?.yaml)),
      .init("addresses", .object(samples.map(entry))),
      .init("dns", outlook.map { .array($0.entries.map(\.json)) } ?? .null),
      .init("considered", .array(explanation.considered.map(entry))),
    ])
  }

  private func entry(_ sample: (sample: IPAddress, refused: Reason?)) -> JSONValue.Member {
    .init(sample.sample.addressClass.rawValue, .string(sample.refused?.rawValue ?? "allow"))
  }

  private func entry(_ considered: Explanation.Consideration) -> JSONValue {
    .object([
      .init("rule", .string(considered.rule.id.text)),
      .init("action", .string(considered.rule.action.rawValue)),
      .init("source", .string(considered.rule.source)),
      .init("pattern", text(considered.pattern?.description)),
      .init("failed", .array(considered.failed.map { .string($0.rawValue) })),
    ])
  }

  private func text(_ value: String?) -> JSONValue {
    value.map { .string($0) } ?? .null
  }
}

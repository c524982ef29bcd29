import Addressing
import Audit
import EventLoop
import Policy
import PolicyFile

/// The budget for names that a wildcard lets through: each tells the upstream
/// something that an agent chose.
extension Shard {
  /// Charges a name that is about to be asked upstream.
  ///
  /// A name that a rule spells out is one of few, so it tells nothing. Crossing
  /// the budget is recorded; when it goes on, the domain is turned to `ask`, and
  /// names that were never asked before are denied.
  ///
  /// - Returns: What denies the name; nil when it may be asked.
  func spendLabels(
    of name: Hostname, as agent: AgentName, under decision: Decision, layer: Layer
  ) -> QuestionVerdict? {
    guard let budget = labelBudget(for: name, under: decision.rule) else { return nil }
    let domain = registeredDomain(of: name) ?? name
    switch commons.labels.note(name, agent: agent, domain: domain, budget: budget, at: loop.now) {
    case .within: return nil
    case .alert(let bytes):
      record(alert(name, agent, decision, layer, Self.detail(domain, bytes, budget)))
      return nil
    case .suspended(let first, let bytes):
      // Audit mode lets pass what it would deny, and says so once.
      guard snapshot.policy.mode == .enforce else {
        if first { record(alert(name, agent, decision, layer, Self.detail(domain, bytes, budget))) }
        return nil
      }
      return QuestionVerdict(
        action: .deny, reason: .dnsBudget, rule: decision.rule?.id,
        detail: Self.detail(domain, bytes, budget) + "; new names have to be approved")
    }
  }

  /// In bytes a minute; nil: none is kept.
  private func labelBudget(for name: Hostname, under rule: Rule?) -> UInt64? {
    if let rule, rule.to.contains(.exact(name)) { return nil }
    switch rule?.limits.dnsLabels {
    case .unlimited: return nil
    case .bytes(let bytes): return bytes
    case nil: return LabelLedger.budget
    }
  }

  private static func detail(_ domain: Hostname, _ bytes: UInt64, _ budget: UInt64) -> String {
    "\(domain): \(bytes) bytes of new labels in a minute, budget \(budget)"
  }

  private func alert(
    _ name: Hostname, _ agent: AgentName, _ decision: Decision, _ layer: Layer, _ detail: String
  ) -> Record {
    .decision(
      DecisionRecord(
        time: .now(), flow: nextFlowID(), agent: agent, client: "",
        destination: Destination(.name(name), .domain, .dns), layer: layer, verdict: .allow,
        reason: .dnsBudget, rule: decision.rule?.id, generation: snapshot.generation, detail: detail))
  }
}

import Addressing

extension Policy {
  /// Whether a flow that an earlier policy let through may go on under this one.
  ///
  /// In enforce mode the rule must still be there with the same effect and its
  /// time not over, no deny rule and no floor may match now, and no other rule
  /// may win with ask. A flow under an ask rule, which a person approved, stays
  /// while that rule wins. In audit mode a flow stays unless the floor denies it.
  ///
  /// - Parameters:
  ///   - rule: The rule that let it through; nil for one that only audit mode did.
  ///   - isApproved: Whether a person let it through where the policy asked.
  ///   - request: For `http`. Without it, a rule about single requests counts as
  ///     matching, since each request is decided anew anyway.
  public func stillStands(
    _ rule: Rule?, isApproved: Bool = false, for destination: Destination, agent: AgentName,
    request: RequestFacts? = nil, floor: Floor, at now: Timestamp
  ) -> Bool {
    let decision = decideAgain(destination, agent: agent, request: request, floor: floor, at: now)
    guard mode == .enforce, let rule else {
      let isAsked = isApproved && decision.answer == .ask && decision.rule == nil
      return isAsked || decision.verdict(in: mode) == .allow
    }
    guard let current = self.rule(rule.id), current.hasSameEffect(as: rule), !current.hasExpired(at: now)
    else {
      return false
    }
    switch decision.answer {
    case .allow: return true
    case .ask: return decision.rule?.id == rule.id || isUnknown(decision, rule, request)
    case .deny: return isUnknown(decision, rule, request)
    }
  }

  /// The rules of `old` that are gone or would decide otherwise.
  public func changed(from old: Policy) -> Set<RuleID> {
    Set(old.rules.lazy.filter { self.rule($0.id)?.hasSameEffect(as: $0) != true }.map(\.id))
  }

  /// A tunnel is judged as one, whichever protocol it turned out to carry.
  private func decideAgain(
    _ destination: Destination, agent: AgentName, request: RequestFacts?, floor: Floor, at now: Timestamp
  ) -> Decision {
    switch destination.traffic {
    case .https, .tcp:
      decideTunnel(host: destination.host, port: destination.port, agent: agent, floor: floor, at: now)
        .decision
    case .http, .udp, .dns: decide(destination, agent: agent, request: request, floor: floor, at: now)
    }
  }

  /// Whether no rule matched only because the request was not given.
  private func isUnknown(_ decision: Decision, _ rule: Rule, _ request: RequestFacts?) -> Bool {
    request == nil && !rule.requests.isEmpty && decision.reason == .noRule && decision.nearMiss == .request
  }
}

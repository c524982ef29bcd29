import Addressing

extension Policy {
  /// Judges one destination.
  ///
  /// 0. An agent that is stopped gets nothing.
  /// 1. What the floor never opens is denied, whatever the rules say.
  /// 2. Any deny rule that matches wins, the foremost is named.
  /// 3. Else the foremost allow or ask rule: the more specific pattern first,
  ///    then as `Precedence` says. Never the order in the file.
  /// 4. Else the default.
  /// 5. A literal that is private, reserved or of this machine is denied unless
  ///    the rule that won says otherwise. Where a deny rule won, it stays the
  ///    reason, and `isFloor` says that audit mode denies too.
  ///
  /// - Parameter request: For `http`; a rule with `http` patterns matches only
  ///   when it is given.
  public func decide(
    _ destination: Destination, agent: AgentName, request: RequestFacts? = nil, floor: Floor,
    at now: Timestamp
  ) -> Decision {
    let query = Query(
      host: destination.host, port: destination.port, traffic: TrafficSet(destination.traffic), agent: agent,
      request: request, now: now)
    return judge(query, floor: floor) { _, _ in }
  }

  /// Judges a tunnel (CONNECT, SOCKS, captured TCP), whose protocol is not
  /// known yet: as https and as tcp at once.
  ///
  /// One walk over the rules of both protocols, so a deny rule of either wins,
  /// and the foremost rule of both is the answer; where all else is equal,
  /// https, which constrains more.
  ///
  /// - Returns: The decision, and the protocol of the rule behind it: what the
  ///   gate must hold the tunnel to. https when there is no rule.
  public func decideTunnel(
    host: Host, port: Port, agent: AgentName, floor: Floor, at now: Timestamp
  ) -> (decision: Decision, traffic: TrafficProtocol) {
    let query = Query(host: host, port: port, traffic: .tunnel, agent: agent, now: now)
    let decision = judge(query, floor: floor) { _, _ in }
    return (decision, decision.rule?.traffic ?? .https)
  }

  /// Walks the rules and concludes; `witness` sees what the walk saw.
  @inline(__always)
  func judge(_ query: Query, floor: Floor, witness: (Candidate, Failures) -> Void) -> Decision {
    var tally = Tally()
    walk(query) { candidate, failures in
      tally.take(candidate, failures, index.facts[Int(candidate.rule)])
      witness(candidate, failures)
    }
    guard !stop.covers(query.agent) else { return .stopped }
    let decision = conclude(tally, query)
    guard case .address(let address) = query.host else { return decision }
    return hold(decision, to: floor, address: address, port: query.port)
  }

  /// Rows 6 and 7 of the semantics: what the rules say, the floor apart.
  private func conclude(_ tally: Tally, _ query: Query) -> Decision {
    if tally.deny.isFound {
      return Decision(answer: .deny, reason: .denyRule, rule: rules[Int(tally.deny.rule)])
    }
    guard tally.leave.isFound else {
      return Decision(answer: defaultAction, reason: .noRule, nearMiss: tally.nearestFailures.nearMiss)
    }
    let rule = rules[Int(tally.leave.rule)]
    if rule.action == .allow { return Decision(answer: .allow, reason: .allowed, rule: rule) }
    // Nobody is asked about a path that means one thing to him and another to the upstream.
    if rule.isDodged(by: query.request) { return Decision(answer: .deny, reason: .malformed, rule: rule) }
    return Decision(answer: .ask, reason: .askRule, rule: rule)
  }

  /// Row 5: takes back what the floor denies.
  private func hold(_ decision: Decision, to floor: Floor, address: IPAddress, port: Port) -> Decision {
    if let reason = floor.denial(of: address, port) {
      return Decision(answer: .deny, reason: reason, isFloor: true)
    }
    let leave = Leave(decision, for: .address(address))
    guard let reason = floor.denial(of: address, without: leave) else { return decision }
    var held = decision
    held.isFloor = true
    if decision.reason != .denyRule { (held.answer, held.reason) = (.deny, reason) }
    return held
  }
}

import Addressing

extension Policy {
  public func decide(
    _ destination: Destination, agent: AgentName, request: RequestFacts? = nil, floor: Floor,
    at now: Timestamp
  ) -> Decision {
    Decision(answer: .deny, reason: .internalError)
  }

  public func decideTunnel(
    host: Host, port: Port, agent: AgentName, floor: Floor, at now: Timestamp
  ) -> (decision: Decision, traffic: TrafficProtocol) {
    (Decision(answer: .deny, reason: .internalError), .https)
  }

  public func explain(
    _ destination: Destination, agent: AgentName, request: RequestFacts? = nil, floor: Floor,
    at now: Timestamp
  ) -> Explanation {
    Explanation(
      destination: destination, agent: agent, considered: [],
      decision: Decision(answer: .deny, reason: .internalError))
  }

  public func explainTunnel(
    host: Host, port: Port, agent: AgentName, floor: Floor, at now: Timestamp
  ) -> Explanation {
    explain(Destination(host, port, .https), agent: agent, floor: floor, at: now)
  }

  public func admit(
    _ addresses: [IPAddress], to destination: Destination, under decision: Decision, floor: Floor
  ) -> Admission {
    Admission(admitted: [], refused: [])
  }

  public func deniesName(_ host: Hostname, agent: AgentName, at now: Timestamp) -> Rule? { nil }

  public func mayResolve(_ host: Hostname, agent: AgentName, at now: Timestamp) -> Decision {
    Decision(answer: .deny, reason: .internalError)
  }

  public func stillStands(
    _ rule: Rule?, for destination: Destination, agent: AgentName, request: RequestFacts? = nil, floor: Floor,
    at now: Timestamp
  ) -> Bool { false }

  public func changed(from old: Policy) -> Set<RuleID> { [] }
}

extension SuggestedRule {
  public static func yaml(for destination: Destination, agent: AgentName) -> String { "" }
  public static func yaml(for destination: Destination, agent: AgentName, denied reason: Reason) -> String? {
    nil
  }
}

extension Reason {
  public var explanation: String { "" }
  public var proxyError: String? { nil }
  public var status: Int { 403 }
}

extension PathPattern {
  public static func isCanonical(_ path: String) -> Bool { false }
  public func matches(_ path: String) -> Bool { false }
}

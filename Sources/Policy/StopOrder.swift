/// To whom everything is denied by order of a person, whatever the rules and
/// the mode say, until it is taken back.
public struct StopOrder: Hashable, Sendable {
  /// Whether it is everybody.
  public var everybody: Bool
  /// Else these agents.
  public var agents: Set<AgentName>

  /// Makes an order; by itself it stops nobody.
  public init(everybody: Bool = false, agents: Set<AgentName> = []) {
    (self.everybody, self.agents) = (everybody, agents)
  }

  /// Both at once.
  public func and(_ other: StopOrder) -> StopOrder {
    StopOrder(everybody: everybody || other.everybody, agents: agents.union(other.agents))
  }

  /// Whether anybody is stopped.
  public var isGiven: Bool { everybody || !agents.isEmpty }

  /// Whether this agent is stopped.
  @inline(__always)
  public func covers(_ agent: AgentName) -> Bool { everybody || !agents.isEmpty && agents.contains(agent) }
}

extension Decision {
  /// What a stopped agent gets; audit mode lets none of it pass.
  static let stopped = Decision(answer: .deny, reason: .stopped, isFloor: true)
}

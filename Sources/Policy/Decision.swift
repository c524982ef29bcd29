/// What the policy says about one destination, and why.
public struct Decision: Hashable, Sendable {
  /// The answer in enforce mode.
  public var answer: Action
  /// Why.
  public var reason: Reason
  /// The rule behind it, if one matched.
  public var rule: Rule?
  /// When no rule matched: where the closest rule for this host falls short.
  public var nearMiss: NearMiss?
  /// Whether the floor denies it, so that audit mode denies it too.
  public var isFloor: Bool

  /// Makes a decision.
  public init(
    answer: Action, reason: Reason, rule: Rule? = nil, nearMiss: NearMiss? = nil, isFloor: Bool = false
  ) {
    self.answer = answer
    self.reason = reason
    self.rule = rule
    self.nearMiss = nearMiss
    self.isFloor = isFloor
  }

  /// What happens in `mode`: audit lets everything pass but what the floor denies.
  public func verdict(in mode: Mode) -> Action {
    mode == .audit && !isFloor ? .allow : answer
  }

  /// Whether `mode` lets pass what enforce mode would not.
  public func wouldDeny(in mode: Mode) -> Bool {
    answer != .allow && verdict(in: mode) == .allow
  }
}

/// The field on which the closest rule for a host failed.
public enum NearMiss: String, Hashable, Sendable, CaseIterable {
  /// Another port.
  case port
  /// Another protocol.
  case traffic = "protocol"
  /// Another agent.
  case agent
  /// Another method or path.
  case request = "http"
  /// Its time is over.
  case expired
}

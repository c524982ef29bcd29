import Policy

/// What a rule opens beside public addresses, and with it each approval under it.
public enum Leave: String, Hashable, Sendable, CaseIterable {
  /// Private, shared and reserved addresses (`allow-private`).
  case privateAddresses = "private addresses"
  /// This machine (`allow-loopback`).
  case thisMachine = "this machine"

  /// The leave of a rule; the policy's default gives none.
  static func of(_ rule: Rule?) -> Set<Leave> {
    var leave: Set<Leave> = []
    if rule?.allowPrivate == true { leave.insert(.privateAddresses) }
    if rule?.allowLoopback == true { leave.insert(.thisMachine) }
    return leave
  }
}

/// What was asked for, and the rule that asked: an approval counts only where the same is asked under a rule
/// of the same effect.
public struct Asked: Hashable, Sendable {
  /// What was asked for.
  public let key: ApprovalKey
  /// The rule; nil where the policy's default asks.
  public let rule: Rule?

  /// Makes it.
  public init(_ key: ApprovalKey, under rule: Rule?) {
    (self.key, self.rule) = (key, rule)
  }

  /// Whether what a policy says now is the same question.
  func stands(under decision: Decision) -> Bool {
    decision.answer == .ask && Rule.haveSameEffect(rule, decision.rule)
  }
}

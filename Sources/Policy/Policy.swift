/// A complete policy: rules, defaults and the agents it knows. Pure: asking it
/// does no I/O, and time is an argument.
public struct Policy: Sendable {
  /// Whether denials are carried out.
  public var mode: Mode
  /// When denials begin to be carried out although the mode was audit; nil: not before somebody says so.
  public var auditUntil: Timestamp?
  /// What happens when no rule matches: deny or ask.
  public let defaultAction: Action
  /// How long a connection waits for a person.
  public var hold: Duration
  /// The agents.
  public let agents: [Agent]
  /// The rules, in the order of the file, which never matters.
  public let rules: [Rule]
  /// Counts the policies of one process; each record carries it.
  public var generation: UInt64
  /// Who may review beside root and the gate's own user.
  public var reviewers = Reviewers()
  /// Whom a person has stopped, above all rules.
  public var stop = StopOrder()
  /// The rules as `walk` reads them.
  let index: RuleIndex

  /// How long a connection waits for a person unless the policy says otherwise.
  public static let defaultHold: Duration = .seconds(8)

  /// Whether anything is asked about.
  public var asks: Bool { defaultAction == .ask || rules.contains { $0.action == .ask } }

  /// Makes a policy and builds its index. `defaultAction` allow is taken as
  /// deny: an empty policy must never let anything through.
  public init(
    mode: Mode = .enforce, defaultAction: Action = .deny, hold: Duration = Policy.defaultHold,
    agents: [Agent] = [], rules: [Rule] = [], generation: UInt64 = 0
  ) {
    self.mode = mode
    self.defaultAction = defaultAction == .allow ? .deny : defaultAction
    self.hold = hold
    self.agents = agents
    self.rules = rules
    self.generation = generation
    index = RuleIndex(rules)
  }

  /// Carries denials out from now on, where the time of watching is over.
  ///
  /// - Returns: Whether it was, and just ended.
  public mutating func endAudit(at now: Timestamp) -> Bool {
    guard mode == .audit, let auditUntil, auditUntil <= now else { return false }
    mode = .enforce
    return true
  }

  /// The same policy under another order to stop.
  public func under(_ order: StopOrder) -> Policy {
    var policy = self
    policy.stop = order
    return policy
  }

  /// The rule with this id.
  public func rule(_ id: RuleID) -> Rule? { index.placeOfRule[id].map { rules[$0] } }
}

import Addressing
import Audit
import Policy

/// Which recorded decisions another policy would make otherwise.
public struct ReplayReport: Sendable {
  /// Which way a decision would change.
  public enum Change: String, Sendable, CaseIterable {
    /// A rule allowed it, and none would.
    case newlyDenied = "newly-denied"
    /// It was denied, or would have been in enforce mode, and a rule would allow it.
    case newlyAllowed = "newly-allowed"
    /// The answer depends on a path, which no record holds.
    case undecidable
  }

  /// Records that change alike.
  public struct Group: Sendable {
    /// Which way.
    public var change: Change
    /// What was asked.
    public var question: PolicyQuestion
    /// Why it was decided as it was, as in the log.
    public var oldReason: String
    /// The rule behind that.
    public var oldRule: String?
    /// What would be decided.
    public var decision: Decision
    /// How many.
    public var count: UInt64
    /// The first of them.
    public var first: Timestamp
    /// The last of them.
    public var last: Timestamp
  }

  /// What changes: what would be denied first, then by how often.
  public private(set) var groups: [Group] = []
  /// How many decisions stay as they were.
  public private(set) var unchanged: UInt64 = 0
  /// How many were not the rules' to make: malformed requests, the floor, limits, handshakes, failures.
  public private(set) var others: UInt64 = 0
  /// How many were allowed at places that are too many to be told apart: nobody can say what becomes of them.
  public private(set) var unknown: UInt64 = 0
  /// How many were denied at such places.
  public private(set) var unknownDenials: UInt64 = 0

  /// Asks `policy` again what is in a log.
  public init(_ summary: LogSummary, under policy: Policy, at now: Timestamp) {
    var found: [Key: Group] = [:]
    for tally in summary.totals where tally.kind.event == .decision {
      guard let wasAllowed = tally.kind.wasAllowedByRules else {
        others &+= tally.count
        continue
      }
      guard let question = PolicyQuestion(tally.kind) else {
        addUnknown(tally, wasAllowed)
        continue
      }
      let decision = question.decision(under: policy, at: now)
      guard let change = Self.change(question, tally.kind, wasAllowed, decision, under: policy) else {
        unchanged &+= tally.count
        continue
      }
      let key = Key(
        change: change, question: question, reason: tally.kind.reason ?? "", rule: tally.kind.rule)
      found[key, default: Group(key, decision, tally)].add(tally)
    }
    groups = found.values.sorted(by: Self.isBefore)
  }

  private mutating func addUnknown(_ tally: Tally, _ wasAllowed: Bool) {
    if wasAllowed {
      unknown &+= tally.count
    } else if tally.kind.fold != nil || tally.kind.isOverflow {
      unknownDenials &+= tally.count
    } else {
      others &+= tally.count
    }
  }

  fileprivate struct Key: Hashable {
    var change: Change
    var question: PolicyQuestion
    var reason: String
    var rule: String?
  }

  private static func change(
    _ question: PolicyQuestion, _ kind: RecordKind, _ wasAllowed: Bool, _ decision: Decision,
    under policy: Policy
  ) -> Change? {
    // What a person allowed stays as it was where a person is still asked.
    let isAllowed =
      decision.answer == .allow || decision.answer == .ask && kind.reason == Reason.approved.rawValue
    if question.destination.traffic == .http, question.dependsOnPath(under: policy, decision) {
      return .undecidable
    }
    guard wasAllowed != isAllowed else { return nil }
    return isAllowed ? .newlyAllowed : .newlyDenied
  }

  private static func isBefore(_ left: Group, _ right: Group) -> Bool {
    let order = Change.allCases
    let (own, other) = (order.firstIndex(of: left.change) ?? 0, order.firstIndex(of: right.change) ?? 0)
    if own != other { return own < other }
    if left.count != right.count { return left.count > right.count }
    return "\(left.question)" < "\(right.question)"
  }

  /// Whether something that a rule allowed would be denied.
  public var hasNewDenials: Bool { groups.contains { $0.change == .newlyDenied } }
}

extension ReplayReport.Group {
  fileprivate init(_ key: ReplayReport.Key, _ decision: Decision, _ tally: Tally) {
    self.init(
      change: key.change, question: key.question, oldReason: key.reason, oldRule: key.rule,
      decision: decision,
      count: 0, first: tally.first, last: tally.last)
  }

  fileprivate mutating func add(_ tally: Tally) {
    count &+= tally.count
    first = min(first, tally.first)
    last = max(last, tally.last)
  }
}

extension RecordKind {
  /// Whether the rules allowed it; nil where it was not theirs to say.
  fileprivate var wasAllowedByRules: Bool? {
    switch reason.flatMap({ Reason(rawValue: $0) }) {
    case .allowed: verdict == .allow && !wouldDeny
    case .approved: verdict == .allow
    case .noRule, .denyRule, .askRule, .noApprover, .refused, .pendingApproval, .approvalQueueFull,
      .approvalRate, .approvalTooLarge, .askingEnded, .privateAddress:
      false
    case .recordType where layer == .dns: false
    default: nil
    }
  }
}

extension PolicyQuestion {
  /// Whether rules about paths speak of the request, so that without its path nobody can say what becomes of it.
  fileprivate func dependsOnPath(under policy: Policy, _ decision: Decision) -> Bool {
    policy.rules.contains { rule in
      rule.traffic == .http
        && rule.requests.contains {
          $0.path != nil && ($0.methods.isEmpty || method.map($0.methods.contains) ?? true)
        }
        && rule.to.contains { $0.matches(destination.host) }
        && rule.ports.contains { $0.contains(destination.port) }
        && (rule.agents.map { $0.contains(agent) } ?? true)
        && (decision.reason == .noRule || decision.rule == rule || rule.action == .deny)
    }
  }
}

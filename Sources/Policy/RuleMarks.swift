import Addressing

/// The numbers that stand for rules of `protocol: udp` in the kernel: each flow
/// carries its rule's as connection mark, and passes as long as that is granted.
///
/// A number is never given twice, so a flow of a rule that is gone can never
/// pass as another's. A rule keeps its number for as long as it says the same.
/// Pure: it knows neither the kernel nor the time.
public struct RuleMarks: Sendable {
  /// The number of the gate's own flows; none of a rule's is below or equal.
  public static let own: UInt32 = 1
  /// The numbers from here on are no rule's: of what others began, and of what audit mode lets pass.
  public static let end = UInt32.max - 1

  /// What is different from before.
  public struct Change: Hashable, Sendable {
    /// Numbers that were not granted before.
    public var granted: Set<UInt32>
    /// Numbers whose flows are to end.
    public var revoked: Set<UInt32>

    /// Makes a change.
    public init(granted: Set<UInt32> = [], revoked: Set<UInt32> = []) {
      (self.granted, self.revoked) = (granted, revoked)
    }

    /// Whether nothing is.
    public var isEmpty: Bool { granted.isEmpty && revoked.isEmpty }
  }

  private var entries: [RuleID: (rule: Rule, mark: UInt32)] = [:]
  /// Whose flows carry them now: none of an agent that is stopped.
  private var bearers: Set<AgentName> = []
  private var last: UInt32

  /// Makes an empty table.
  ///
  /// - Parameter number: The numbers begin behind it. A gate draws it anew at each start, so that no flow
  ///   of the one before, which the kernel still knows, passes as one of its own rules'.
  public init(after number: UInt32 = own) { last = max(number, Self.own) }

  /// Every number that is granted now.
  public var live: Set<UInt32> { Set(entries.values.map(\.mark)) }

  /// The number of a rule; nil when it has none, or says something else by now.
  public func mark(of rule: Rule) -> UInt32? {
    guard let entry = entries[rule.id], entry.rule.hasSameEffect(as: rule) else { return nil }
    return entry.mark
  }

  /// The same, past every number that `other` has given.
  public func passing(_ other: RuleMarks) -> RuleMarks {
    var marks = self
    marks.last = max(last, other.last)
    return marks
  }

  /// The rule behind a number that a packet carried.
  public func rule(of mark: UInt32) -> RuleID? {
    entries.first { $0.value.mark == mark }?.key
  }

  /// Takes in the rules that are in force: those that let datagrams of any of
  /// `agents` pass and have not run out. When one of the agents is stopped, every
  /// number is given anew: its flows carry the same ones as the others'.
  ///
  /// - Returns: nil when the numbers are used up, after some two thousand million rules; then
  ///   nothing has changed, and nothing new may be granted.
  public mutating func adopt(_ policy: Policy, agents: [AgentName], at now: Timestamp) -> Change? {
    let agents = agents.filter { !policy.stop.covers($0) }
    let old = entries, before = live
    if !bearers.isSubset(of: agents) { entries = [:] }
    let rules = policy.rules.filter { rule in
      rule.traffic == .udp && rule.action == .allow
        && rule.agents.map { named in agents.contains { named.contains($0) } } ?? !agents.isEmpty
        && !rule.hasExpired(at: now)
    }
    let fresh = rules.filter { mark(of: $0) == nil }
    guard UInt32(clamping: fresh.count) < Self.end - last else {
      entries = old
      return nil
    }
    var next: [RuleID: (rule: Rule, mark: UInt32)] = [:]
    for rule in rules {
      if let mark = mark(of: rule) {
        next[rule.id] = (rule, mark)
      } else {
        last += 1
        next[rule.id] = (rule, last)
      }
    }
    (entries, bearers) = (next, Set(agents))
    return Change(granted: live.subtracting(before), revoked: before.subtracting(live))
  }
}

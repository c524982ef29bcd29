import Audit
import Policy

/// Which rules of a policy a log shows no use of, so that allowlists can shrink.
public struct RuleUse: Sendable {
  /// A rule, and how long nothing needed it.
  public struct Entry: Sendable {
    /// The rule.
    public var rule: Rule
    /// When it last stood behind a decision; nil: never in this log.
    public var last: Timestamp?
    /// For how long nothing has needed it: since it last was, or since what was read begins. No record says when
    /// a rule came, so one that is newer than that has been idle for less.
    public var idle: Duration
  }

  /// Those of which the log shows no use, the first in the policy first.
  public let unused: [Entry]
  /// Those that run out within `notice`, the earliest first.
  public let expiring: [Entry]
  /// Those that are not needed for the longest time, though they were once.
  public let stale: [Entry]

  /// How early a rule's end is announced.
  public static let notice: Duration = .seconds(30 * 86_400)
  /// From when on a rule that was used once counts as stale.
  public static let staleness: Duration = .seconds(30 * 86_400)

  /// Looks at every rule of `policy`.
  ///
  /// A deny rule that nothing ran into does its work all the same, so it is never called unused.
  public init(of policy: Policy, in report: StatsReport, at now: Timestamp) {
    let entries = policy.rules.map { rule in
      let last = report.rules[rule.id.text]?.last
      return Entry(rule: rule, last: last, idle: now - (last ?? report.first ?? now))
    }
    let open = entries.filter { $0.rule.action != .deny && !$0.rule.hasExpired(at: now) }
    unused = open.filter { $0.last == nil }
    stale = open.filter { $0.last != nil && $0.idle >= Self.staleness }.sorted { $0.idle > $1.idle }
    expiring = entries.filter { entry in
      entry.rule.expires.map { $0 > now && $0 <= now + Self.notice } ?? false
    }.sorted { ($0.rule.expires ?? now) < ($1.rule.expires ?? now) }
  }
}

extension Timestamp {
  /// How long `earlier` is before `later`; never less than nothing.
  public static func - (later: Timestamp, earlier: Timestamp) -> Duration {
    let (difference, isBeyond) = later.milliseconds.subtractingReportingOverflow(earlier.milliseconds)
    return isBeyond ? .zero : .milliseconds(max(0, difference))
  }
}

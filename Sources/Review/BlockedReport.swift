import Addressing
import Audit
import Policy
import PolicyFile

/// What was denied, or would be in enforce mode, by destination and agent: the list that a person goes through to
/// see which rules are missing.
public struct BlockedReport: Sendable {
  /// The most groups that are told apart; the rest are only counted.
  public static let groupLimit = 10_000

  /// One agent and one destination.
  public struct Group: Sendable {
    /// Who asked.
    public var agent: String
    /// Where to; nil when the request named no place that can be read.
    public var destination: Destination?
    /// What was registered, as in `example.com` for `a.b.example.com`; an address itself.
    public var domain: String
    /// How many, those that roll-ups stand for among them.
    public var count: UInt64 = 0
    /// How many of them passed because the gate was in audit mode.
    public var passed: UInt64 = 0
    /// The first of them.
    public var first: Timestamp
    /// The last of them.
    public var last: Timestamp
    /// Where they were decided.
    public var layers: Set<Layer> = []
    /// Which programs asked, where the gate could know.
    public var processes: Set<String> = []
    /// Why, as in the log, with how often.
    public var reasons: [String: UInt64] = [:]
    /// For questions to the DNS listener, the types that were asked for.
    public var recordTypes: Set<String> = []
    /// The rule that denied the last of them.
    public var rule: String?
    /// When that rule denied.
    private var ruleTime = Timestamp(milliseconds: .min)

    init(agent: String, destination: Destination?, first: Timestamp, last: Timestamp) {
      (self.agent, self.destination, self.first, self.last) = (agent, destination, first, last)
      domain = destination.map { Self.domain(of: $0.host) } ?? ""
    }
  }

  private struct Key: Hashable {
    var agent: String
    var destination: Destination?
  }

  private var found: [Key: Group] = [:]
  /// How many denials are in no group, because there were too many groups or the
  /// gate itself had counted several places together.
  public private(set) var others: UInt64 = 0
  /// How many questions are in no group, because the agent's resolver had put its
  /// search suffix behind a name that may be resolved: no rule is missing.
  public private(set) var suffixed: UInt64 = 0
  /// How many denied packets are in no group, because the kernel counted them without saying whose they were.
  public private(set) var lostEvents: UInt64 = 0

  /// Makes an empty report.
  public init() {}

  /// Makes the report of a summary.
  public init(_ summary: LogSummary) {
    // The most frequent first, so that a flood of single names does not crowd out what was asked for again and again.
    let own = summary.totals.filter { $0.kind.isBlocked || $0.lostEvents > 0 }
    for tally in own.sorted(by: { $0.count > $1.count }) { add(tally) }
  }

  /// Counts a tally if it tells of denials.
  public mutating func add(_ tally: Tally) {
    let kind = tally.kind
    guard kind.isBlocked || tally.lostEvents > 0 else { return }
    guard let agent = kind.agent else {
      lostEvents &+= tally.lostEvents
      return
    }
    guard kind.reason != Reason.searchSuffix.rawValue else {
      suffixed &+= tally.count
      return
    }
    let key = Key(agent: agent, destination: kind.destination)
    guard found[key] != nil || found.count < Self.groupLimit, !kind.isOverflow else {
      others &+= tally.count
      return
    }
    found[
      key, default: Group(agent: agent, destination: key.destination, first: tally.first, last: tally.last)
    ]
    .add(tally)
  }

  /// The groups, in no order.
  public var groups: [Group] { Array(found.values) }
}

extension BlockedReport.Group {
  /// The most types, reasons and programs that are told apart.
  private static let detailLimit = 128

  /// The reason that came most often.
  public var reason: String {
    reasons.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? ""
  }

  /// The narrowest rule, by host, port and protocol, that would allow it, as a YAML flow mapping; nil where
  /// no rule can help against one of the reasons: a deny rule, the floor, or
  /// bytes that are no request.
  public var suggestedRule: String? {
    guard let destination, let agent = AgentName(agent) else { return nil }
    let asked = recordTypes.sorted()
    let rules = reasons.keys.map { word in
      Reason(rawValue: word).flatMap {
        SuggestedRule(for: destination, agent: agent, denied: $0, asked: asked)
      }
    }
    guard !rules.contains(nil) else { return nil }
    return rules.compactMap(\.self).max { $0.reach < $1.reach }?.yaml
  }

  fileprivate mutating func add(_ tally: Tally) {
    let kind = tally.kind, number = kind.isBlocked ? tally.count : tally.lostEvents
    count &+= number
    // Only the kernel counts without a record for each kind.
    if !kind.isBlocked { layers.insert(.kernel) }
    if kind.verdict == .allow { passed &+= tally.count }
    first = min(first, tally.first)
    last = max(last, tally.last)
    if let layer = kind.layer { layers.insert(layer) }
    if let type = kind.recordType, recordTypes.count < Self.detailLimit { recordTypes.insert(type) }
    if let process = kind.process, processes.count < Self.detailLimit { processes.insert(process) }
    if let reason = kind.reason, reasons.count < Self.detailLimit || reasons[reason] != nil {
      reasons[reason, default: 0] &+= number
    }
    guard let rule = kind.rule, tally.last >= ruleTime else { return }
    (self.rule, ruleTime) = (rule, tally.last)
  }

  private static func domain(of host: Host) -> String {
    guard case .name(let name) = host else { return "\(host)" }
    return (registeredDomain(of: name) ?? name).text
  }
}

extension SuggestedRule {
  /// Which of two suggestions for one destination opens more: a name must be
  /// open before its further types are of use.
  fileprivate var reach: Int { (allowPrivate ? 2 : 0) + (recordTypes.isEmpty ? 1 : 0) }
}

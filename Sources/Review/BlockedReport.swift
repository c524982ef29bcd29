import Addressing
import Audit
import Policy
import PolicyFile

/// What was denied, or would be in enforce mode, by destination and agent: the list that a person goes through to
/// see which rules are missing.
public struct BlockedReport: Sendable {
  /// One agent and one destination.
  public struct Group: Sendable {
    /// Who asked.
    public var agent: String
    /// Where to; nil when the request named no place that can be read, and for places that were folded.
    public var destination: Destination?
    /// Which places it stands for, where those are too many to be told apart.
    public var fold: Fold?
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

    fileprivate init(_ key: Key, first: Timestamp, last: Timestamp) {
      (agent, destination, fold) = (key.agent, key.destination, key.fold)
      (self.first, self.last) = (first, last)
      domain = destination.map { Self.domain(of: $0.host) } ?? fold?.domain ?? ""
    }
  }

  fileprivate struct Key: Hashable {
    var agent: String
    var destination: Destination?
    var fold: Fold?
  }

  private var found: [Key: Group] = [:]
  /// How many denials are in no group, because the gate itself had counted several places together.
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
    for tally in summary.totals { add(tally) }
  }

  /// Counts a tally if it tells of denials.
  public mutating func add(_ tally: Tally) {
    let kind = tally.kind
    guard kind.isBlocked || tally.lostEvents > 0 else { return }
    guard let agent = kind.agent ?? kind.fold.map({ _ in "" }) else {
      lostEvents &+= tally.lostEvents
      return
    }
    guard kind.reason != Reason.searchSuffix.rawValue else {
      suffixed &+= tally.count
      return
    }
    guard !kind.isOverflow else {
      others &+= tally.count
      return
    }
    let key = Key(agent: agent, destination: kind.destination, fold: kind.fold)
    found[key, default: Group(key, first: tally.first, last: tally.last)].add(tally)
  }

  /// Whether nothing at all was counted.
  public var isEmpty: Bool { found.isEmpty && others == 0 && lostEvents == 0 && suffixed == 0 }

  /// The groups, in no order.
  public var groups: [Group] { Array(found.values) }

  /// How many denials are in groups that stand for several places.
  public var folded: UInt64 { found.values.reduce(0) { $1.fold == nil ? $0 : $0 &+ $1.count } }
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

import Addressing
import Audit
import Policy

/// What was denied, by agent and destination: the list that a person goes
/// through to see which rules are missing.
public struct BlockedReport: Sendable {
  /// The most groups that are told apart; the rest are only counted.
  public static let rowLimit = 10_000

  /// One agent and one destination.
  public struct Row: Sendable {
    /// Who asked.
    public var agent: String
    /// Where to; nil when the request named no place that can be read.
    public var destination: Destination?
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
    /// Why, as in the log, with how often.
    public var reasons: [String: UInt64] = [:]
    /// For questions to the DNS listener, the types that were asked for.
    public var recordTypes: Set<String> = []
    /// The rule that denied the last of them.
    public var rule: String?

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
  }

  private struct Key: Hashable {
    var agent: String
    var destination: Destination?
  }

  private var groups: [Key: Row] = [:]
  /// How many denials are in no row, because there were too many groups or the
  /// gate itself had counted several places together.
  public private(set) var others: UInt64 = 0

  /// How many questions are in no row, because the agent's resolver had put its
  /// search suffix behind a name that may be resolved: no rule is missing.
  public private(set) var suffixed: UInt64 = 0

  /// Makes an empty report.
  public init() {}

  /// Counts a record if it tells of a denial.
  public mutating func add(_ record: LogRecord) {
    guard record.isBlocked, let agent = record.agent, let last = record.time, let first = record.first else {
      return
    }
    guard record.reason != Reason.searchSuffix.rawValue else {
      suffixed &+= record.count
      return
    }
    let key = Key(agent: agent, destination: record.destination)
    guard groups[key] != nil || groups.count < Self.rowLimit, record.ownText("overflow") == nil else {
      others &+= record.count
      return
    }
    groups[key, default: Row(agent: agent, destination: key.destination, first: first, last: last)]
      .add(record, first: first, last: last)
  }

  /// The groups, the most frequent first.
  public var rows: [Row] {
    groups.values.sorted {
      ($1.count, $0.agent, "\($0.destination, default: "")") < (
        $0.count, $1.agent, "\($1.destination, default: "")"
      )
    }
  }
}

extension SuggestedRule {
  /// Which of two suggestions for one destination opens more: a name must be
  /// open before its further types are of use.
  fileprivate var reach: Int { (allowPrivate ? 2 : 0) + (recordTypes.isEmpty ? 1 : 0) }
}

extension BlockedReport.Row {
  /// The most types that are told apart: more than have a name.
  private static let typeLimit = 128

  fileprivate mutating func add(_ record: LogRecord, first: Timestamp, last: Timestamp) {
    count &+= record.count
    if record.verdict == .allow { passed &+= record.count }
    self.first = min(self.first, first)
    self.last = max(self.last, last)
    if let layer = record.layer { layers.insert(layer) }
    if let type = record.recordType, recordTypes.count < Self.typeLimit { recordTypes.insert(type) }
    if let reason = record.reason, reasons.count < 64 || reasons[reason] != nil {
      reasons[reason, default: 0] &+= record.count
    }
    rule = record.rule ?? rule
  }
}

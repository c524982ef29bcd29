import Addressing

/// One rule, checked and complete: defaults are filled in.
///
/// Two rules are equal when they say the same, wherever they were written:
/// `source` does not count.
public final class Rule: Sendable {
  /// The name in records.
  public let id: RuleID
  /// What it says.
  public let action: Action
  /// Whom it speaks of; nil: everyone.
  public let agents: Set<AgentName>?
  /// The hosts, any of which is enough.
  public let to: [HostPattern]
  /// The ports, any of which is enough. Without any, nothing matches.
  public let ports: [PortRange]
  /// The protocol.
  public let traffic: TrafficProtocol
  /// The HTTP requests, any of which is enough; empty: every request.
  public let requests: [RequestPattern]
  /// What an agent may use under it.
  public let limits: Limits
  /// Whether it reaches private, shared and reserved addresses.
  public let allowPrivate: Bool
  /// Whether it reaches this machine: loopback and its interfaces' addresses.
  /// Counts only where an exact name or a block of addresses matched.
  public let allowLoopback: Bool
  /// For `dns`: further record types, as mnemonics in upper case.
  public let recordTypes: [String]
  /// Why it is there (`reason:` in the file).
  public let note: String?
  /// Whom to ask about it.
  public let owner: String?
  /// From when on it counts as absent.
  public let expires: Timestamp?
  /// `file:line`.
  public let source: String

  /// Makes a rule. Combinations that make no sense match nothing; saying so is
  /// the reader's part.
  public init(
    id: RuleID, action: Action, agents: Set<AgentName>? = nil, to: [HostPattern], ports: [PortRange],
    traffic: TrafficProtocol = .https, requests: [RequestPattern] = [], limits: Limits = .none,
    allowPrivate: Bool = false, allowLoopback: Bool = false, recordTypes: [String] = [],
    note: String? = nil, owner: String? = nil, expires: Timestamp? = nil, source: String = ""
  ) {
    self.id = id
    self.action = action
    self.agents = agents
    self.to = to
    self.ports = ports
    self.traffic = traffic
    self.requests = requests
    self.limits = limits
    self.allowPrivate = allowPrivate
    self.allowLoopback = allowLoopback
    self.recordTypes = recordTypes
    self.note = note
    self.owner = owner
    self.expires = expires
    self.source = source
  }

  /// Whether it counts as absent at `now`.
  public func hasExpired(at now: Timestamp) -> Bool {
    expires.map { $0 <= now } ?? false
  }

  /// Whether both decide alike in every case: all but `note`, `owner` and `source` is equal.
  public func hasSameEffect(as other: Rule) -> Bool {
    self === other
      || id == other.id && action == other.action && agents == other.agents && to == other.to
        && ports == other.ports && traffic == other.traffic && requests == other.requests
        && limits == other.limits && allowPrivate == other.allowPrivate
        && allowLoopback == other.allowLoopback && recordTypes == other.recordTypes
        && expires == other.expires
  }

  /// Whether two rules decide alike; without one, the policy's default does.
  public static func haveSameEffect(_ one: Rule?, _ other: Rule?) -> Bool {
    guard let one, let other else { return one == nil && other == nil }
    return one.hasSameEffect(as: other)
  }
}

extension Rule: Hashable {
  public static func == (left: Rule, right: Rule) -> Bool {
    left === right || left.hasSameEffect(as: right) && left.note == right.note && left.owner == right.owner
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(id)
    hasher.combine(action)
    hasher.combine(to)
  }
}

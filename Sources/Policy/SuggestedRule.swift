import Addressing

/// The narrowest rule, by host, port and protocol, that would allow what was denied.
///
/// Of a plain request it names neither method nor path. A path can hold a
/// secret as well as a query can (webhooks, signed links), so no record keeps
/// one, and what a denial says should be what `log blocked` says later. Methods
/// are not told apart where denials are counted. Whoever pastes the rule can
/// narrow it with `http:`; whoever reads it sees all that it opens.
public struct SuggestedRule: Hashable, Sendable {
  /// What it would be called: `allow-HOST-PORT`, for types of records `allow-HOST-dns`.
  public let id: RuleID
  /// Whom it speaks of.
  public let agent: AgentName
  /// What it opens.
  public let destination: Destination
  /// Under protocol dns, the types of records that it lets through.
  public let recordTypes: [String]
  /// Whether it must reach private addresses.
  public let allowPrivate: Bool
  /// Whether it must reach this machine.
  public let allowLoopback: Bool

  /// Suggests a rule after a denial.
  ///
  /// Who asks for a name means to connect to it, so a question that was denied
  /// (`destination` with protocol dns) suggests https to that name; only where
  /// nothing but other types than addresses was asked, a rule for those types.
  ///
  /// - Parameter asked: For a question, the names of the types that were asked.
  /// - Returns: nil when no rule can help: a deny rule wins over it, the floor
  ///   never opens the address, or the reason is not the policy's.
  public init?(for destination: Destination, agent: AgentName, denied reason: Reason, asked: [String] = []) {
    guard destination.traffic != .dns else {
      self.init(question: destination.host, agent, denied: reason, asked: asked)
      return
    }
    let literal: IPAddress? = if case .address(let address) = destination.host { address } else { nil }
    switch (reason, literal?.addressClass) {
    case (_, .metadata?), (_, .unspecified?), (_, .multicast?), (_, .broadcast?): return nil
    case (.noRule, _), (.askRule, _), (.noApprover, _), (.pendingApproval, _), (.approvalQueueFull, _),
      (.approvalRate, _), (.approvalTooLarge, _), (.privateAddress, _), (.specialAddress, .loopback?),
      (.specialAddress, .reserved?):
      break
    default: return nil
    }
    self.init(destination, agent, allowPrivate: reason == .privateAddress)
  }

  private init?(question host: Host, _ agent: AgentName, denied reason: Reason, asked: [String]) {
    guard case .name = host else { return nil }
    let types = asked.filter(RecordTypes.open.contains)
    switch reason {
    case .recordType where !types.isEmpty:
      self.init(Destination(host, .domain, .dns), agent, recordTypes: types)
    case .noRule, .askRule, .noApprover:
      let isOfTypes = !types.isEmpty && types.count == asked.count
      let destination = isOfTypes ? Destination(host, .domain, .dns) : Destination(host, .https, .https)
      self.init(destination, agent, recordTypes: isOfTypes ? types : [])
    default: return nil
    }
  }

  private init(
    _ destination: Destination, _ agent: AgentName, recordTypes: [String] = [], allowPrivate: Bool = false,
    allowLoopback: Bool = false
  ) {
    self.recordTypes = recordTypes
    let literal: IPAddress? = if case .address(let address) = destination.host { address } else { nil }
    self.id = Self.id(for: destination)
    self.agent = agent
    self.destination = destination
    self.allowPrivate =
      allowPrivate || literal.map { [.privateUse, .reserved].contains($0.addressClass) } ?? false
    self.allowLoopback =
      allowLoopback || literal?.addressClass == .loopback || destination.host.isLocalhost
  }

  /// The rule for `destination` as one line of YAML, without asking whether it can help.
  public static func yaml(for destination: Destination, agent: AgentName) -> String {
    SuggestedRule(destination, agent).yaml
  }

  /// The rule about exactly this destination, agent and request, named in full, as one line of YAML.
  ///
  /// - Parameters:
  ///   - request: Of plain HTTP, the one that it is about; nil for every request.
  ///   - id: What the rule is called.
  ///   - action: Allow, or deny.
  ///   - leave: A rule whose leave for addresses that are not public it is to have.
  /// - Returns: nil where no pattern stands for this path and no other.
  public static func exact(
    _ destination: Destination, agent: AgentName, request: RequestFacts?, id: RuleID, action: Action,
    leave: Rule? = nil
  ) -> String? {
    let rule = SuggestedRule(
      destination, agent, allowPrivate: leave?.allowPrivate == true,
      allowLoopback: leave?.allowLoopback == true)
    var fields = [
      "id: \"\(id)\"", "action: \(action.rawValue)", "agents: [\"\(agent)\"]", "to: [\"\(rule.hostText)\"]",
    ]
    if destination.traffic != .https { fields.append("protocol: \(destination.traffic.rawValue)") }
    if destination.port != rule.defaultPort { fields.append("ports: [\(destination.port)]") }
    if let request {
      guard let pattern = request.pattern else { return nil }
      fields.append("http: [{ methods: [\"\(request.method)\"], path: \"\(pattern)\" }]")
    }
    if action == .allow { fields += rule.leaves }
    return "{ \(fields.joined(separator: ", ")) }"
  }

  /// What it says of addresses that are not public.
  private var leaves: [String] {
    (allowPrivate ? ["allow-private: true"] : []) + (allowLoopback ? ["allow-loopback: true"] : [])
  }

  /// The rule as a YAML flow mapping on one line. What the policy language
  /// fills in is left out: protocol https, port 443 for it, port 80 for http,
  /// and the agent when it is the default one.
  public var yaml: String {
    var fields = ["id: \"\(id)\"", "action: allow"]
    if agent != .default { fields.append("agents: [\"\(agent)\"]") }
    fields.append("to: [\"\(hostText)\"]")
    if destination.traffic != .https { fields.append("protocol: \(destination.traffic.rawValue)") }
    if !recordTypes.isEmpty { fields.append("types: [\(recordTypes.joined(separator: ", "))]") }
    if destination.port != defaultPort { fields.append("ports: [\(destination.port)]") }
    fields += leaves
    return "{ \(fields.joined(separator: ", ")) }"
  }

  private var hostText: String {
    switch destination.host {
    case .name(let name): name.text
    case .address(let address): "\(address)/\(address.isV4 ? 32 : 128)"
    }
  }

  private var defaultPort: Port? {
    switch destination.traffic {
    case .https: .https
    case .http: .http
    case .dns: .domain
    case .tcp, .udp: nil
    }
  }

  /// An id that tells destinations apart; a name too long for one is cut and a
  /// checksum of the whole put in its place.
  private static func id(for destination: Destination) -> RuleID {
    let host: String =
      switch destination.host {
      case .name(let name): name.text
      case .address(let address): address.description
      }
    let suffix: String =
      switch destination.traffic {
      case .https: "-\(destination.port)"
      case .dns: "-dns"
      case .http, .tcp, .udp: "-\(destination.port)-\(destination.traffic.rawValue)"
      }
    if let id = RuleID("allow-" + host + suffix) { return id }
    let cut = String(host.utf8.prefix(80)) ?? ""
    return RuleID("allow-\(cut)-\(String(checksum(host), radix: 16))\(suffix)") ?? .suggested
  }

  /// FNV-1a, 64 bits (draft-eastlake-fnv): only tells ids apart.
  private static func checksum(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}

extension Host {
  /// Whether it is `localhost` or below, which leads to this machine (RFC 6761 §6.3).
  fileprivate var isLocalhost: Bool {
    if case .name(let name) = self { name.labels.last == "localhost" } else { false }
  }
}

extension RequestFacts {
  /// The pattern that its path alone falls under; nil where there is none, or where YAML would need escapes.
  fileprivate var pattern: PathPattern? {
    let isPlain = { (text: String) in
      text.utf8.allSatisfy { (0x21...0x7e).contains($0) && !"\"\\*".utf8.contains($0) }
    }
    guard isPlain(path), isPlain(method) else { return nil }
    return PathPattern(path)
  }
}

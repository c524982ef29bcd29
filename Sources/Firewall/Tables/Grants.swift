import Addressing

/// Addresses that no static grant reaches, whatever its prefix.
public struct AddressFloor: Hashable, Sendable {
  /// Never reached: metadata services, loopback, link-local, multicast, …
  public var always4: [IPPrefix]
  public var always6: [IPPrefix]
  /// Reached only by a grant with `allowsPrivate`.
  public var private4: [IPPrefix]
  public var private6: [IPPrefix]
  /// Never reached at these ports, as the gate's resolvers.
  public var endpoints: [Endpoint]

  public init(
    always4: [IPPrefix], always6: [IPPrefix], private4: [IPPrefix], private6: [IPPrefix],
    endpoints: [Endpoint] = []
  ) {
    self.always4 = always4
    self.always6 = always6
    self.private4 = private4
    self.private6 = private6
    self.endpoints = endpoints
  }
}

/// What a rule of `protocol: udp` whose destination is a block of addresses
/// means in the kernel. The first grant that matches decides.
public struct UDPGrant: Hashable, Sendable {
  public var prefix: IPPrefix
  public var ports: ClosedRange<UInt16>
  public var verdict: Verdict
  /// Whether the private ranges within `prefix` count too.
  public var allowsPrivate: Bool

  public enum Verdict: Hashable, Sendable {
    /// Let the flow go and mark it with the rule's number, which is at least 2.
    case allow(mark: UInt32)
    case deny
  }

  public init(_ prefix: IPPrefix, ports: ClosedRange<UInt16>, _ verdict: Verdict, allowsPrivate: Bool = false)
  {
    self.prefix = prefix
    self.ports = ports
    self.verdict = verdict
    self.allowsPrivate = allowsPrivate
  }
}

/// What both tables are made of: sets and chains that stand for the policy.
public struct Grants: Hashable, Sendable {
  /// The numbers of the rules still granted, beside 1, the gate's own flows.
  public var liveMarks: [UInt32]
  public var udp: [UDPGrant]
  public var floor: AddressFloor
  /// Whether the policy only watches: what it would deny is logged and passes, but for the floor.
  public var isAudit: Bool

  public init(liveMarks: [UInt32] = [], udp: [UDPGrant] = [], floor: AddressFloor, isAudit: Bool = false) {
    self.liveMarks = liveMarks
    self.udp = udp
    self.floor = floor
    self.isAudit = isAudit
  }

  /// The connection mark of the gate's own flows.
  public static let ownMark: UInt32 = 1

  /// The connection mark of flows that pass in audit mode alone; no rule's.
  public static let auditMark = UInt32.max

  /// The connection mark of flows that others began, to a port that is open to them; no rule's.
  public static let inboundMark = UInt32.max - 1

  /// Marks of rules still granted: a flow goes on only while its mark is in.
  public static let live = NFSet("live", key: [.mark])
  /// Learned addresses: `address . protocol . port : mark`, each with a timeout.
  public static let raw4 = NFSet(
    "raw4", key: [.ipv4Address, .inetProtocol, .inetService], data: .mark, hasTimeout: true, size: 65536)
  public static let raw6 = NFSet(
    "raw6", key: [.ipv6Address, .inetProtocol, .inetService], data: .mark, hasTimeout: true, size: 65536)

  /// Learned addresses of one of several agents, by its number in a `GatewayTable`:
  /// a set of its own, so that none can fill another's. nil: of the only one.
  public static func raw(isV4: Bool, agent: Int? = nil) -> NFSet {
    var set = isV4 ? raw4 : raw6
    guard let agent else { return set }
    (set.name, set.size) = ("\(set.name)_\(agent)", 16384)
    return set
  }

  /// The set and the element by which an address that was learned from a DNS
  /// answer becomes reachable.
  ///
  /// - Parameters:
  ///   - protocol: An IP protocol number; 17 is UDP.
  ///   - timeout: From now on, also for an address that was learned before.
  public static func learned(
    _ address: IPAddress, protocol: UInt8 = 17, port: UInt16, mark: UInt32, timeout: Duration,
    agent: Int? = nil
  ) -> (set: NFSet, element: Element) {
    let key: [Datum] = [.address(address), .number(UInt32(`protocol`)), .port(port)]
    return (raw(isV4: address.isV4, agent: agent), Element(key, data: .number(mark), timeout: timeout))
  }

  /// An element of `live`.
  public static func liveElement(_ mark: UInt32) -> Element { Element([.number(mark)]) }
}

extension Grants {
  /// - Parameter agents: Whose learned addresses there are, see `raw`.
  func sets(agents: [Int?] = [nil]) -> [NFSet] {
    var live = Self.live
    let marks = [Self.ownMark] + liveMarks.filter { $0 != Self.ownMark } + (isAudit ? [Self.auditMark] : [])
    live.elements = marks.map(Self.liveElement)
    return [live] + agents.flatMap { [Self.raw(isV4: true, agent: $0), Self.raw(isV4: false, agent: $0)] } + [
      .blocks("floor4", .ipv4Address, floor.always4), .blocks("floor6", .ipv6Address, floor.always6),
      .blocks("private4", .ipv4Address, floor.private4), .blocks("private6", .ipv6Address, floor.private6),
    ]
  }

  /// Where what the policy denies goes; what is no rule's to open is denied in either mode.
  ///
  /// - Parameter agent: See `raw`.
  func refusal(of agent: Int? = nil) -> String {
    isAudit ? Self.auditName(of: agent) : Common.denyName(of: agent)
  }

  static func auditName(of agent: Int?) -> String { agent.map { "audit_\($0)" } ?? "audit" }

  static let rawKey4: [Field] = [.ipDestination, .l4proto, .anyDestinationPort]
  static let rawKey6: [Field] = [.ip6Destination, .l4proto, .anyDestinationPort]

  /// New flows that a rule grants: they get its mark, all others go on.
  static func newFlowRules(of agent: Int? = nil) -> [Rule] {
    [
      Rule(
        .state([.new]), .mapConnectionMark(rawKey4, map: raw(isV4: true, agent: agent).name), .accept),
      Rule(
        .state([.new]), .mapConnectionMark(rawKey6, map: raw(isV4: false, agent: agent).name), .accept),
      Rule(.state([.new]), .compare(.l4proto, .udp), .jump(udpChainName(of: agent))),
    ]
  }

  private static func udpChainName(of agent: Int?) -> String {
    agent.map { "udp_grants_\($0)" } ?? "udp_grants"
  }

  /// The static grants. It returns for what none of them names.
  ///
  /// - Parameter agent: See `raw`.
  func udpChain(_ udp: [UDPGrant], of agent: Int? = nil) -> Chain {
    Chain(
      Self.udpChainName(of: agent), note: "Blocks of addresses that rules grant; it returns for all else.",
      rules: [
        Rule(.lookup([.ipDestination], set: "floor4"), .return),
        Rule(.lookup([.ip6Destination], set: "floor6"), .return),
      ] + floor.endpointRules(.return) + udp.map { $0.rule(refusing: refusal(of: agent)) })
  }
}

extension AddressFloor {
  /// For datagrams to what is never reached at one port.
  func endpointRules(_ verdict: Expression) -> [Rule] {
    endpoints.map { endpoint in
      Rule(
        .compare(endpoint.address.isV4 ? .ipDestination : .ip6Destination, .address(endpoint.address)),
        .compare(.udpDestinationPort, .port(endpoint.port.number)), verdict)
    }
  }
}

extension UDPGrant {
  fileprivate func rule(refusing chain: String) -> Rule {
    let isV4 = prefix.address.isV4
    let field: Field = isV4 ? .ipDestination : .ip6Destination
    // A block of everything is the whole family: there are no bits to compare.
    var expressions: [Expression] = [
      prefix.length == 0 ? .compare(.nfproto, isV4 ? .ipv4 : .ipv6) : .compare(field, .prefix(prefix)),
      .compare(.udpDestinationPort, .ports(ports)),
    ]
    switch verdict {
    case .deny: expressions.append(.goto(chain))
    case .allow(let mark):
      if !allowsPrivate {
        expressions.append(.lookup([field], set: isV4 ? "private4" : "private6", .notEqual))
      }
      expressions += [.setConnectionMark(mark), .accept]
    }
    return Rule(expressions)
  }
}

/// Chains and rules that both tables share.
public enum Common {
  /// The chain that denies what rules do not grant, of one of several agents.
  static func denyName(of agent: Int? = nil) -> String { agent.map { "deny_\($0)" } ?? "deny" }

  /// Logs a sample, counts all, and refuses so that the client knows at once.
  static func deny(logGroup: UInt16, agent: Int? = nil, canary: Canary.Mark? = nil) -> Chain {
    Chain(
      denyName(of: agent),
      note: "Refused: a sample is logged, all are counted, and the client knows at once.",
      rules: (canary?.rules ?? []) + Heldback(.denied, of: agent).rules(logGroup: logGroup) + [
        Rule(.compare(.l4proto, .tcp), .rejectReset),
        Rule(.rejectProhibited),
      ])
  }

  /// Audit mode: what the policy would deny passes, and the floor still denies.
  ///
  /// A private address is the floor's here: no rule that opens it has matched.
  static func audit(logGroup: UInt16, floor: AddressFloor, agent: Int? = nil) -> Chain {
    let sets4 = ["floor4", "private4"], sets6 = ["floor6", "private6"]
    let deny = Expression.goto(denyName(of: agent))
    return Chain(
      Grants.auditName(of: agent),
      note: "AUDIT MODE: what rules would deny passes; a sample is logged, all are counted.",
      rules: sets4.map { Rule(.lookup([.ipDestination], set: $0), deny) }
        + sets6.map { Rule(.lookup([.ip6Destination], set: $0), deny) }
        + floor.endpointRules(deny) + Heldback(.audited, of: agent).rules(logGroup: logGroup) + [
          Rule(.setConnectionMark(Grants.auditMark), .accept)
        ])
  }

  /// Packets that are no flow's, and those that would begin one in the middle.
  ///
  /// - Parameter verdict: Where they go: to a chain that counts them.
  static func oddities(_ verdict: Expression) -> [Rule] {
    [
      Rule(.state([.invalid]), verdict),
      routingHeader(verdict),
      Rule(.state([.new]), .notSYN, verdict),
    ]
  }

  /// Packets that would go on to somewhere else from where they are sent to.
  ///
  /// - Source: RFC 8200 §4.4.
  static func routingHeader(_ verdict: Expression) -> Rule { Rule(.hasRoutingHeader, verdict) }

  static let neighborSolicit = Datum.named(135, "nd-neighbor-solicit")
  static let neighborAdvert = Datum.named(136, "nd-neighbor-advert")
  static let routerSolicit = Datum.named(133, "nd-router-solicit")
  static let routerAdvert = Datum.named(134, "nd-router-advert")

  /// Neighbour discovery of `types`, from this link only.
  ///
  /// - Source: RFC 4861 §7.1: a hop limit other than 255 crossed a router.
  static func neighborDiscovery(_ types: [Datum]) -> Rule {
    Rule(.oneOf(.icmpv6Type, types), .compare(.ip6HopLimit, .number(255)), .accept)
  }

  /// Whether a program's socket sends it: the kernel's own packets, resets and neighbour discovery, have none.
  static let hasOwner = Expression.compare(.skuid, .number(.max), .notEqual)

  /// What the kernel alone may say on a link. A program's own would carry what
  /// it likes, and routers forward it: those go on to `verdict`.
  static func linkTalk(_ verdict: Expression) -> [Rule] {
    let solicits = [neighborSolicit, neighborAdvert, routerSolicit]
    return [
      Rule(.oneOf(.icmpv6Type, solicits + [routerAdvert] + listenerReports), hasOwner, verdict),
      neighborDiscovery(solicits), multicastReports,
    ]
  }

  private static let listenerReports: [Datum] = [
    .named(143, "mld2-listener-report"), .named(131, "mld-listener-report"),
    .named(132, "mld-listener-done"),
  ]

  /// - Source: RFC 3810 §5, RFC 2710 §3: sent with hop limit 1.
  static let multicastReports = Rule(
    .oneOf(.icmpv6Type, listenerReports), .compare(.ip6HopLimit, .number(1)), .accept)

  /// Errors about flows there are. Nothing else that is only related gets by:
  /// a connection that a helper expects is the agent's to choose.
  ///
  /// - Source: RFC 792, RFC 4443 §3.
  static func relatedErrors(_ more: Expression...) -> [Rule] {
    let errors4: [Datum] = [
      .named(3, "destination-unreachable"), .named(11, "time-exceeded"), .named(12, "parameter-problem"),
    ]
    let errors6: [Datum] = [
      .named(1, "destination-unreachable"), .named(2, "packet-too-big"), .named(3, "time-exceeded"),
      .named(4, "parameter-problem"),
    ]
    return [
      Rule(more + [.oneOf(.icmpType, errors4), .state([.related]), .accept]),
      Rule(more + [.oneOf(.icmpv6Type, errors6), .state([.related]), .accept]),
    ]
  }
}

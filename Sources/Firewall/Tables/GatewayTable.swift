import Addressing

/// The table of a gate that agents behind other links are routed through.
///
/// All that comes in by an enrolled interface is judged before routing: TCP
/// and port 53 go to the gate's listeners by TPROXY, granted UDP is forwarded
/// under its rule's mark, the rest is refused. Besides the table the host needs
/// `ip rule add fwmark 0x45670001 lookup T` and `ip route add local default dev
/// lo table T` (both also with `-6`), which deliver the captured packets.
public struct GatewayTable: Hashable, Sendable {
  /// A link that agents are on.
  public struct Interface: Hashable, Sendable {
    public var name: String
    /// The gate's own addresses on it, at which the explicit listeners answer.
    public var addresses: [IPAddress]

    public init(_ name: String, addresses: [IPAddress]) {
      self.name = name
      self.addresses = addresses
    }
  }

  /// The packet mark of captured packets, for `ip rule`. It decides where they
  /// are delivered, and grants nothing: it is set before the input chain reads
  /// it, on packets from enrolled links only, which arrive without a mark.
  public static let captureMark: UInt32 = 0x4567_0001

  public var name: TableName
  public var interfaces: [Interface]
  /// The TPROXY listener of captured TCP, on 127.0.0.1 and ::1 with IP_TRANSPARENT.
  public var transparentPort: UInt16
  /// The TPROXY listener of DNS, UDP and TCP, on 127.0.0.1 and ::1 with IP_TRANSPARENT.
  public var dnsPort: UInt16
  /// The explicit proxy, on the interfaces' own addresses.
  public var proxyPort: UInt16
  public var grants: Grants
  /// The NFLOG group that denied packets are sampled to.
  public var logGroup: UInt16

  public init(
    name: TableName = TableName(.inet, "exitgate"), interfaces: [Interface], transparentPort: UInt16,
    dnsPort: UInt16, proxyPort: UInt16, grants: Grants, logGroup: UInt16
  ) {
    self.name = name
    self.interfaces = interfaces
    self.transparentPort = transparentPort
    self.dnsPort = dnsPort
    self.proxyPort = proxyPort
    self.grants = grants
    self.logGroup = logGroup
  }

  public var table: Table {
    let agents = NFSet(
      Self.agents, key: [.interfaceName],
      elements: Set(interfaces.map(\.name)).sorted().map { Element([.interface($0)]) })
    return Table(
      name, sets: grants.sets + [agents],
      chains: [
        prerouting, fromAgent, grants.udpChain, Common.deny(logGroup: logGroup), input,
        toGateway, forward,
        postrouting,
      ])
  }

  private static let agents = "agents"
  private static let fromAgents = Expression.lookup([.iifname], set: agents)
  private static let isLive = Expression.lookup([.ctMark], set: Grants.live.name)

  /// Behind connection tracking (-200), before routing.
  private var prerouting: Chain {
    Chain(
      "prerouting", Chain.Base(.filter, .prerouting, priority: -150, policy: .accept),
      note: "What comes from an enrolled link is judged before it is routed.",
      rules: [Rule(Self.fromAgents, .jump("from_agent"))])
  }

  private var fromAgent: Chain {
    Chain(
      "from_agent", note: "To a listener, to where a rule grants it, or refused.",
      rules: [
        // Before the source check: a duplicate address is looked for from the address `::`.
        Common.neighborDiscovery([Common.neighborSolicit, Common.neighborAdvert, Common.routerSolicit]),
        Common.multicastReports,
        Rule(.sourceRouteMissing, .counter, .drop, comment: "spoofed"),
      ] + Common.oddities + [
        Rule(.state([.established]), .direction(.original), Self.isLive, .accept)
      ] + explicitListeners + capture([.tcp, .udp], .port(53), dnsPort) + Grants.newFlowRules
        + capture([.tcp], nil, transparentPort) + [Rule(.goto("deny"))])
  }

  /// Address and port together, per link: a port alone would open any host's.
  private var explicitListeners: [Rule] {
    interfaces.flatMap { interface in
      interface.addresses.map { address in
        Rule(
          .compare(.iifname, .interface(interface.name)),
          .compare(address.isV4 ? .ipDestination : .ip6Destination, .address(address)),
          .compare(.tcpDestinationPort, .port(proxyPort)), .accept)
      }
    }
  }

  /// Sends packets of `protocols` to a listener on the loopback addresses.
  private func capture(_ protocols: [Datum], _ port: Datum?, _ listener: UInt16) -> [Rule] {
    [(Datum.ipv4, IPAddress.v4(0x7f00_0001)), (Datum.ipv6, IPAddress.v6(high: 0, low: 1))].flatMap {
      family, address in
      protocols.map { transport in
        Rule(
          [.compare(.nfproto, family), .compare(.l4proto, transport)]
            + (port.map { [.compare(.anyDestinationPort, $0)] } ?? [])
            + [.tproxy(address, port: listener), .setMark(Self.captureMark), .accept])
      }
    }
  }

  /// The gateway's other services are out of the agents' reach.
  private var input: Chain {
    Chain(
      "input", Chain.Base(.filter, .input, priority: 0, policy: .accept),
      note: "The gateway's own services are out of the agents' reach.",
      rules: [Rule(Self.fromAgents, .jump("to_gateway"))])
  }

  private var toGateway: Chain {
    Chain(
      "to_gateway", note: "To the listeners, and nowhere else.",
      rules: [
        Common.neighborDiscovery([Common.neighborSolicit, Common.neighborAdvert]),
        Rule(.state([.invalid]), .drop),
        Rule(
          .compare(.mark, .named(Self.captureMark, "0x45670001")), .oneOf(.l4proto, [.tcp, .udp]), .accept),
      ] + explicitListeners + Common.relatedErrors() + [Rule(.goto("deny"))])
  }

  /// Only granted flows pass, and only while their rule lives; nothing goes
  /// between two agents, nor by an interface that nobody enrolled.
  private var forward: Chain {
    let toOthers = Expression.lookup([.oifname], set: Self.agents, .notEqual)
    let fromOthers = Expression.lookup([.iifname], set: Self.agents, .notEqual)
    let toAgents = Expression.lookup([.oifname], set: Self.agents)
    return Chain(
      "forward", Chain.Base(.filter, .forward, priority: 0, policy: .drop),
      note: "Granted flows only, and only while their rule lives.",
      rules: [
        Rule(.state([.invalid]), .drop),
        Rule(
          Self.fromAgents, toOthers, .state([.new, .established]), .direction(.original), Self.isLive, .accept
        ),
        Rule(fromOthers, toAgents, .state([.established]), .direction(.reply), Self.isLive, .accept),
      ] + Common.relatedErrors(fromOthers, toAgents, Self.isLive) + [
        Rule(.counter, comment: "not forwarded")
      ])
  }

  /// Granted flows leave with the gateway's address, so that answers come back here.
  private var postrouting: Chain {
    Chain(
      "postrouting", Chain.Base(.nat, .postrouting, priority: 100, policy: .accept),
      note: "Granted flows leave with the gateway's address.",
      rules: [
        Rule(
          .compare(.ctMark, .number(Grants.ownMark), .notEqual), Self.isLive,
          .lookup([.oifname], set: Self.agents, .notEqual), .masquerade)
      ])
  }
}

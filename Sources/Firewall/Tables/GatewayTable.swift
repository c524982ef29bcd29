import Addressing

/// The table of a gate that agents behind other links are routed through.
///
/// All that comes in by an enrolled interface is judged before routing: TCP
/// and port 53 go to the gate's listeners by TPROXY, granted UDP is forwarded
/// under its rule's mark, the rest is refused. The interface tells the agent:
/// it must have the name and the number that it had when the gate started.
/// Both may come back with another device: whoever keeps the table has to watch
/// (`LinkWatch`) and close the link as soon as its device is gone.
/// Beside the table there is `PolicyRouting`, which delivers what was captured.
public struct GatewayTable: Hashable, Sendable {
  /// A link that an agent is on.
  public struct Link: Hashable, Sendable {
    public var name: String
    /// The kernel's number of it, as long as it is there.
    public var index: UInt32
    /// The gate's own addresses on it, at which the explicit proxy answers; none where there is no such proxy.
    public var addresses: [IPAddress]
    /// Whether it is nobody's any more: nothing that comes by it is taken, and nothing is forwarded to it.
    public var isClosed = false

    public init(_ name: String, index: UInt32, addresses: [IPAddress] = []) {
      (self.name, self.index, self.addresses) = (name, index, addresses)
    }
  }

  /// Who is behind some of the links, and what is granted to it. Its number is
  /// its place in the table's list.
  public struct Agent: Hashable, Sendable {
    public var links: [Link]
    public var udp: [UDPGrant]

    public init(_ links: [Link], udp: [UDPGrant]) { (self.links, self.udp) = (links, udp) }
  }

  /// The packet mark of captured packets, by which they are routed. It decides
  /// where they are delivered, and grants nothing: it is set before the input
  /// chain reads it, on packets from enrolled links only, which arrive without a mark.
  public static let captureMark: UInt32 = 0x4567_0001

  /// How many flows connection tracking holds for one agent at a time, where it has room; more are refused.
  public static let flowsPerAgent: UInt32 = 8192

  public var name: TableName
  public var agents: [Agent]
  /// The TPROXY listeners of captured TCP, on 127.0.0.1 and ::1 with IP_TRANSPARENT, one for each link.
  public var transparentPort: UInt16
  /// The TPROXY listeners of DNS, UDP and TCP, likewise.
  public var dnsPort: UInt16
  /// The explicit proxy, on the links' own addresses.
  public var proxyPort: UInt16
  /// What holds for all agents: the rules that are granted, and the floor.
  public var grants: Grants
  /// The NFLOG group that denied packets are sampled to.
  public var logGroup: UInt16
  /// Whose packets prove that the table denies; nil where nobody sends any.
  public var canary: Canary.Mark?
  /// See the constant.
  public var flowsPerAgent = Self.flowsPerAgent

  public init(
    name: TableName = TableName(.inet, "exitgate"), agents: [Agent], transparentPort: UInt16,
    dnsPort: UInt16, proxyPort: UInt16, grants: Grants, logGroup: UInt16, canary: Canary.Mark? = nil
  ) {
    self.name = name
    self.agents = agents
    self.transparentPort = transparentPort
    self.dnsPort = dnsPort
    self.proxyPort = proxyPort
    self.grants = grants
    self.logGroup = logGroup
    self.canary = canary
  }

  public var table: Table {
    let links = agents.flatMap(\.links)
    let names = NFSet(
      Self.names, key: [.interfaceName],
      elements: Set(links.map(\.name)).sorted().map { Element([.interface($0)]) })
    let numbers = NFSet(
      Self.numbers, key: [.interfaceIndex],
      elements: Set(links.map(\.index)).sorted().map { Element([.number($0)]) })
    return Table(
      name, sets: grants.sets(agents: Array(agents.indices)) + [names, numbers],
      counters: (agents.indices.flatMap(Self.counted) + Self.nobodys).map(\.name),
      chains: [prerouting, stranger] + agents.enumerated().flatMap(chains) + [
        Common.deny(logGroup: logGroup, canary: canary), input, toGateway, answers, forward,
        Self.unforwarded.silentChain(logGroup: logGroup), postrouting,
      ])
  }

  /// What is counted of one agent.
  private static func counted(_ agent: Int) -> [Heldback] {
    [.denied, .audited, .odd, .spoofed, .unforwarded].map { Heldback($0, of: agent) }
  }

  /// What is counted and no agent's.
  private static let nobodys = [.denied, .stranger, .unforwarded].map { Heldback($0) }
  private static let unforwarded = Heldback(.unforwarded)

  private static let names = "agents"
  private static let numbers = "links"
  private static let fromAgents = Expression.lookup([.iifname], set: names)
  /// TCP is captured and never passes by itself, whatever mark another table gave it.
  private static let isDatagram = Expression.compare(.l4proto, .tcp, .notEqual)
  private static let isLive = Expression.lookup([.ctMark], set: Grants.live.name)

  // MARK: - Coming in

  /// Behind connection tracking (-200), before routing.
  private var prerouting: Chain {
    return Chain(
      "prerouting", Chain.Base(.filter, .prerouting, priority: -150, policy: .accept),
      note: "What comes from an enrolled link is judged before it is routed.",
      rules: (canary?.entry ?? []) + dispatch { "agent_\($0)" } + [
        // A link that was closed, made anew or renamed is nobody's.
        Rule(Self.fromAgents, .goto("stranger")),
        Rule(.lookup([.iif], set: Self.numbers), .goto("stranger")),
      ])
  }

  /// Not refused: whom the answer would go to is not known to be behind the
  /// link, and it would hold what the packet held.
  private var stranger: Chain {
    Heldback(.stranger).silentChain(
      logGroup: logGroup, note: "Dropped without a word: where an answer would go is not known, or not to be."
    )
  }

  /// Sends what came by each agent's links to a chain of that agent.
  private func dispatch(_ condition: Expression..., to chain: (Int) -> String) -> [Rule] {
    agents.enumerated().flatMap { number, agent in
      agent.links.filter { !$0.isClosed }.map { link in
        Rule(
          [.compare(.iif, .number(link.index)), .compare(.iifname, .interface(link.name))] + condition
            + [.goto(chain(number))])
      }
    }
  }

  /// What is the same for all agents but for where it is counted: it goes on
  /// with what is to be judged by what the agent is granted.
  private func entry(_ number: Int) -> [Rule] {
    let odd = Expression.goto(Heldback(.odd, of: number).name)
    let spoofed = Expression.goto(Heldback(.spoofed, of: number).name)
    return [
      // Before the source check: a duplicate address is looked for from the address `::`.
      Common.neighborDiscovery([Common.neighborSolicit, Common.neighborAdvert, Common.routerSolicit]),
      Common.multicastReports,
      Rule(.sourceRouteMissing, spoofed),
    ]
      // The kernel's look for a route lets these sources pass.
      + AddressClass.unspecified.blocks(isV4: true).map { Rule(.compare(.ipSource, .prefix($0)), spoofed) }
      + Common.oddities(odd) + [
        Rule(.state([.established]), .direction(.original), Self.isDatagram, Self.isLive, .accept)
      ]
  }

  private func chains(_ number: Int, _ agent: Agent) -> [Chain] {
    [
      Chain(
        "agent_\(number)", note: "To a listener, to where a rule grants it, or refused.",
        rules: entry(number) + [Rule(.jump("flows_\(number)"))] + agent.links.flatMap(explicitListeners)
          + capture([.tcp, .udp], .port(53), dnsPort)
          + Grants.newFlowRules(of: number) + capture([.tcp], nil, transparentPort)
          + (grants.isAudit ? neverAudited(of: number) : []) + [Rule(.goto(grants.refusal(of: number)))]),
      Chain(
        "flows_\(number)",
        note: "Above it nothing is tracked for this agent, so that the others' flows have room.",
        // A chain of its own, which a refill leaves as it is: the flows that were counted are still there then.
        rules: [Rule(.state([.new]), .flowsOver(flowsPerAgent), .goto(Common.denyName(of: number)))]),
      grants.udpChain(agent.udp, of: number),
    ] + (grants.isAudit ? [Common.audit(logGroup: logGroup, floor: grants.floor, agent: number)] : []) + [
      Common.deny(logGroup: logGroup, agent: number)
    ] + [.odd, .spoofed, .unforwarded].map { Heldback($0, of: number).silentChain(logGroup: logGroup) }
  }

  /// What no mode lets pass: what is the gate's to carry, should it not be there, and what is this host's own.
  private func neverAudited(of number: Int) -> [Rule] {
    let deny = Expression.goto(Common.denyName(of: number))
    return [
      Rule(.compare(.l4proto, .tcp), deny), Rule(.compare(.udpDestinationPort, .port(53)), deny),
      Rule(.destinationIsLocal, deny),
    ]
  }

  /// What was on its way to an agent whose link was closed is not for whoever is behind it now.
  private var closedLinks: [Rule] {
    agents.flatMap(\.links).filter(\.isClosed).map { link in
      Rule(.compare(.oifname, .interface(link.name)), .goto(Self.unforwarded.name))
    }
  }

  /// Address and port together, per link: a port alone would open any host's.
  private func explicitListeners(_ link: Link) -> [Rule] {
    (link.isClosed ? [] : link.addresses).map { address in
      Rule(
        .compare(.iifname, .interface(link.name)),
        .compare(address.isV4 ? .ipDestination : .ip6Destination, .address(address)),
        .compare(.tcpDestinationPort, .port(proxyPort)), .accept)
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

  // MARK: - To the gateway itself

  /// The gateway's other services are out of the agents' reach, and the proxy out of everybody else's.
  private var input: Chain {
    Chain(
      "input", Chain.Base(.filter, .input, priority: 0, policy: .accept),
      note: "The gateway's own services are out of the agents' reach, the proxy out of everybody else's.",
      rules: [Rule(Self.fromAgents, .goto("to_gateway"))] + agents.flatMap(\.links).flatMap(proxyOfOthers))
  }

  /// What comes by any other interface than the link itself, this host's loopback included.
  private func proxyOfOthers(_ link: Link) -> [Rule] {
    link.addresses.map { address in
      Rule(
        .compare(.iifname, .interface(link.name), .notEqual),
        .compare(address.isV4 ? .ipDestination : .ip6Destination, .address(address)),
        .compare(.tcpDestinationPort, .port(proxyPort)), .goto("stranger"))
    }
  }

  private var toGateway: Chain {
    Chain(
      "to_gateway", note: "To the listeners, and nowhere else.",
      rules: [
        Common.neighborDiscovery([Common.neighborSolicit, Common.neighborAdvert])
      ] + dispatch(.state([.invalid])) { Heldback(.odd, of: $0).name } + [
        Rule(
          .compare(.mark, .named(Self.captureMark, "0x45670001")), .oneOf(.l4proto, [.tcp, .udp]), .accept)
      ] + agents.flatMap(\.links).flatMap(explicitListeners)
        + dispatch(to: Common.denyName) + [Rule(.goto("deny"))])
  }

  /// An answer leaves by the listener's port, and is none to whoever asked at
  /// port 53. Before connection tracking (-200), which takes it for what it is then.
  private var answers: Chain {
    Chain(
      "answers", Chain.Base(.filter, .output, priority: -300, policy: .accept),
      note: "Answers to captured questions come from the port that was asked.",
      rules: closedLinks + [
        Rule(
          .lookup([.oifname], set: Self.names), .compare(.udpSourcePort, .port(dnsPort)),
          .setUDPSourcePort(53))
      ])
  }

  // MARK: - Through it

  /// Only granted flows pass, and only while their rule lives; nothing goes
  /// between two agents, nor by an interface that nobody enrolled.
  private var forward: Chain {
    let toOthers = Expression.lookup([.oifname], set: Self.names, .notEqual)
    let fromOthers = Expression.lookup([.iifname], set: Self.names, .notEqual)
    let toAgents = Expression.lookup([.oifname], set: Self.names)
    return Chain(
      "forward", Chain.Base(.filter, .forward, priority: 0, policy: .drop),
      note: "Granted flows only, and only while their rule lives.",
      rules: closedLinks + [
        Rule(
          Self.fromAgents, toOthers, .state([.new, .established]), .direction(.original), Self.isDatagram,
          Self.isLive, .accept
        ),
        Rule(
          fromOthers, toAgents, .state([.established]), .direction(.reply), Self.isDatagram, Self.isLive,
          .accept),
      ] + Common.relatedErrors(fromOthers, toAgents, Self.isLive)
        + dispatch { Heldback(.unforwarded, of: $0).name } + [Rule(.goto(Self.unforwarded.name))])
  }

  /// Granted flows leave with the gateway's address, so that answers come back here.
  private var postrouting: Chain {
    Chain(
      "postrouting", Chain.Base(.nat, .postrouting, priority: 100, policy: .accept),
      note: "Granted flows leave with the gateway's address.",
      rules: [
        Rule(
          .compare(.ctMark, .number(Grants.ownMark), .notEqual), Self.isLive,
          .lookup([.oifname], set: Self.names, .notEqual), .masquerade)
      ])
  }
}

import Addressing
import Firewall

/// Where the agents are, and how their traffic comes to the gate.
public enum FencedSide: Hashable, Sendable {
  /// In the network namespace of the gate.
  case sidecar(Sidecar)
  /// Behind links of the gate's network namespace: those of each agent.
  case gateway([[GatewayTable.Link]])

  /// What tells the gate and the agent apart that share a network namespace.
  public struct Sidecar: Hashable, Sendable {
    /// The user that the gate runs as.
    public var gateUID: UInt32
    /// The gate's control group; nil where it has none that is its alone.
    public var gateGroup: ControlGroup?
    /// TCP ports on which others may connect to the agent.
    public var inboundPorts: [UInt16]
    /// The devices that lead out.
    public var devices: [String]

    /// Makes settings.
    public init(gateUID: UInt32, gateGroup: ControlGroup?, inboundPorts: [UInt16], devices: [String]) {
      (self.gateUID, self.gateGroup) = (gateUID, gateGroup)
      (self.inboundPorts, self.devices) = (inboundPorts, devices)
    }
  }
}

/// What is fixed for the life of a gate's tables; the gate cannot change it by a message.
public struct KeeperSettings: Hashable, Sendable {
  public var side: FencedSide
  public var transparentPort: UInt16
  public var dnsPort: UInt16
  public var proxyPort: UInt16
  /// The NFLOG group of denied packets.
  public var logGroup: UInt16
  /// Whether the kernel lets a table be owned.
  public var ownership: Ownership
  /// Whether there is IPv6 to route.
  public var hasIPv6: Bool
  /// How many flows connection tracking holds for one of a gateway's agents.
  public var flowsPerAgent = GatewayTable.flowsPerAgent
  /// Whose packets prove that the table denies.
  var canary: Canary.Mark?

  /// Makes settings.
  public init(
    _ side: FencedSide, transparentPort: UInt16, dnsPort: UInt16, proxyPort: UInt16, logGroup: UInt16,
    ownership: Ownership, hasIPv6: Bool = true
  ) {
    (self.side, self.logGroup, self.ownership, self.hasIPv6) = (side, logGroup, ownership, hasIPv6)
    (self.transparentPort, self.dnsPort, self.proxyPort) = (transparentPort, dnsPort, proxyPort)
  }

  /// Gives each agent of a gateway what there is room for.
  public mutating func fit(_ room: FlowRoom) {
    if case .gateway(let agents) = side { flowsPerAgent = room.limit(agents: agents.count) }
  }

  /// The table that `rules` make.
  public func table(_ rules: FenceRules) -> Table {
    var grants = rules.firewallGrants
    switch side {
    case .sidecar(let own):
      grants.udp = rules.grants.first ?? []
      return SidecarTable(
        gateUID: own.gateUID, gateGroup: own.gateGroup, transparentPort: transparentPort, dnsPort: dnsPort,
        proxyPort: proxyPort, synthetic4: rules.synthetic4, synthetic6: rules.synthetic6,
        inboundPorts: rules.isStopped ? [] : own.inboundPorts, grants: grants, logGroup: logGroup,
        canary: canary
      ).table
    case .gateway(let links):
      let agents = links.enumerated().map { number, links in
        GatewayTable.Agent(links, udp: rules.grants.indices.contains(number) ? rules.grants[number] : [])
      }
      var table = GatewayTable(
        agents: agents, transparentPort: transparentPort, dnsPort: dnsPort, proxyPort: proxyPort,
        grants: grants, logGroup: logGroup, canary: canary)
      table.flowsPerAgent = flowsPerAgent
      return table.table
    }
  }

  /// All tables.
  public func tables(_ rules: FenceRules) -> [Table] {
    [table(rules)] + (egress.map { [$0] } ?? [])
  }

  /// The names of all tables.
  var tableNames: [TableName] {
    [TableName(.inet, "exitgate")] + (egress.map { [$0.name] } ?? [])
  }

  /// The sets of learned addresses.
  var learnedSets: [NFSet] {
    let agents: [Int?] =
      switch side {
      case .sidecar: [nil]
      case .gateway(let links): Array(links.indices)
      }
    return agents.flatMap { [Grants.raw(isV4: true, agent: $0), Grants.raw(isV4: false, agent: $0)] }
  }

  /// What an opening adds to which set; nil where there is no such agent.
  func learned(_ opening: FenceOpening, port: UInt16) -> (set: NFSet, element: Element)? {
    var agent: Int?
    switch side {
    case .sidecar: guard opening.agent == 0 else { return nil }
    case .gateway(let links):
      guard links.indices.contains(Int(opening.agent)) else { return nil }
      agent = Int(opening.agent)
    }
    return Grants.learned(
      opening.address, port: port, mark: opening.mark, timeout: .seconds(Int64(opening.lifetime)),
      agent: agent)
  }

  /// What holds frames on the devices that the gate's own leave by; nil where the agent cannot use them.
  var egress: Table? {
    guard case .sidecar(let own) = side, !own.devices.isEmpty else { return nil }
    return EgressTable(devices: own.devices).table
  }

  /// What tries the table; nil where its packets would be exempt, and prove nothing.
  func makeCanary(as user: UInt32) throws(NetfilterError) -> Canary? {
    switch side {
    case .sidecar(let own): user == own.gateUID ? nil : try Canary(devices: own.devices)
    case .gateway: try Canary(devices: nil)
    }
  }

  /// The routing that the table depends on; nil where it does on none.
  func makeRouting() throws(NetfilterError) -> PolicyRouting? {
    if case .gateway = side { try PolicyRouting(withIPv6: hasIPv6) } else { nil }
  }

  /// The same with the rules that count a canary's packets.
  func proved(by canary: Canary.Mark?) -> KeeperSettings {
    var settings = self
    settings.canary = canary
    return settings
  }
}

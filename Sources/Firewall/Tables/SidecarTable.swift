import Addressing

/// The table of a gate that shares the agent's network namespace.
///
/// Every TCP connection and every query to port 53 is redirected to the gate's
/// listeners; the gate's own traffic is told apart by its user and, where the
/// kernel can, its control group; nothing else leaves but what a rule grants.
public struct SidecarTable: Hashable, Sendable {
  public var name: TableName
  /// The user that the gate, and nothing else, runs as.
  public var gateUID: UInt32
  /// The gate's control group; nil where it has none of its own. Then the user
  /// alone exempts, and whoever may become that user is exempt too.
  public var gateGroup: ControlGroup?
  /// The listener of captured TCP, on 127.0.0.1 and ::1.
  public var transparentPort: UInt16
  /// The DNS listener, UDP and TCP, on 127.0.0.1 and ::1.
  public var dnsPort: UInt16
  /// The explicit proxy on 127.0.0.1 and ::1.
  public var proxyPort: UInt16
  /// The addresses that stand for names.
  public var synthetic4: IPPrefix
  public var synthetic6: IPPrefix
  /// TCP ports on which others may connect to the agent, such as its probes.
  public var inboundPorts: [UInt16]
  public var grants: Grants
  /// The NFLOG group that denied packets are sampled to.
  public var logGroup: UInt16
  /// Whose packets prove that the table denies; nil where nobody sends any.
  public var canary: Canary.Mark?

  public init(
    name: TableName = TableName(.inet, "exitgate"), gateUID: UInt32, gateGroup: ControlGroup?,
    transparentPort: UInt16, dnsPort: UInt16, proxyPort: UInt16, synthetic4: IPPrefix, synthetic6: IPPrefix,
    inboundPorts: [UInt16] = [], grants: Grants, logGroup: UInt16,
    canary: Canary.Mark? = nil
  ) {
    self.name = name
    self.gateUID = gateUID
    self.gateGroup = gateGroup
    self.transparentPort = transparentPort
    self.dnsPort = dnsPort
    self.proxyPort = proxyPort
    self.synthetic4 = synthetic4
    self.synthetic6 = synthetic6
    self.inboundPorts = inboundPorts
    self.grants = grants
    self.logGroup = logGroup
    self.canary = canary
  }

  public var table: Table {
    let inbound = NFSet(
      "inbound", key: [.inetService], elements: Set(inboundPorts).sorted().map { Element([.port($0)]) })
    return Table(
      name, sets: grants.sets() + [inbound],
      counters: [.denied, .audited, .odd, .spoofed].map { Heldback($0).name },
      chains: [
        natOutput, output, loopbackOutput, grants.udpChain(grants.udp),
      ] + (grants.isAudit ? [Common.audit(logGroup: logGroup, floor: grants.floor)] : []) + [
        Common.deny(logGroup: logGroup, canary: canary), Self.odd.silentChain(logGroup: logGroup),
        Self.spoofed.silentChain(logGroup: logGroup), input, forward,
      ])
  }

  private static let odd = Heldback(.odd), spoofed = Heldback(.spoofed)

  /// What only the gate's own packets match.
  private var isGate: [Expression] {
    [.compare(.skuid, .number(gateUID))] + (gateGroup.map { [.socketCgroup($0)] } ?? [])
  }

  /// Before the chains of Docker and of iptables, which stand at -100.
  private var natOutput: Chain {
    Chain(
      "nat_out", Chain.Base(.nat, .output, priority: -105, policy: .accept),
      note: "Captures connections and questions: every TCP port, every port 53.",
      rules: [
        Rule(isGate + [.accept]),
        Rule(
          .oneOf(.l4proto, [.tcp, .udp]), .compare(.anyDestinationPort, .port(53)), .redirect(port: dnsPort)),
        Rule(
          .compare(.ipDestination, .prefix(synthetic4)), .compare(.l4proto, .tcp),
          .redirect(port: transparentPort)),
        Rule(
          .compare(.ip6Destination, .prefix(synthetic6)), .compare(.l4proto, .tcp),
          .redirect(port: transparentPort)),
        Rule(.destinationIsLocal, .accept),
        Rule(.lookup(Grants.rawKey4, set: Grants.raw4.name), .accept),
        Rule(.lookup(Grants.rawKey6, set: Grants.raw6.name), .accept),
        Rule(.compare(.l4proto, .tcp), .redirect(port: transparentPort)),
      ])
  }

  private var output: Chain {
    let redirected = [
      Rule(
        .statusDNAT, .oneOf(.l4proto, [.tcp, .udp]), .compare(.anyDestinationPort, .port(dnsPort)), .accept),
      Rule(.statusDNAT, .compare(.tcpDestinationPort, .port(transparentPort)), .accept),
    ]
    let link =
      [Rule(.compare(.oifname, .interface("lo")), .jump("lo_out"))] + Common.linkTalk(.goto(grants.refusal()))
    let flows = [
      // A flow of the gate outlives its socket, and whoever takes its port is not the gate.
      Rule(.compare(.ctMark, .number(Grants.ownMark)), Common.hasOwner, .goto("deny")),
      Rule(.state([.established]), .lookup([.ctMark], set: Grants.live.name), .accept),
    ]
    return Chain(
      "out", Chain.Base(.filter, .output, priority: 0, policy: .drop),
      note: "What leaves: the gate itself, what was captured, what a rule grants.",
      rules: [
        Common.routingHeader(.goto(Self.odd.name)),
        // First, since most packets are theirs: flows of rules that still stand. The gate's own are asked who sends.
        Rule(
          .state([.established]), .compare(.ctMark, .number(Grants.ownMark), .notEqual),
          .lookup([.ctMark], set: Grants.live.name), .accept),
        // Then answers to those whom --inbound lets in: the flow's source is one that others connected to.
        Rule(
          .state([.established]), .direction(.reply), .compare(.ctMark, .number(Grants.inboundMark)),
          .lookup([.tcpSourcePort], set: "inbound"), .accept),
        Rule(isGate + [.setConnectionMark(Grants.ownMark), .accept]),
        // Without an ICMP error, which would go where the packet says it came from.
        Rule(.oneOf(.l4proto, [.tcp, .udp]), .sourceIsForeign, .goto(Self.spoofed.name)),
      ] + Common.oddities(.goto(Self.odd.name)) + redirected + link
        + flows + Grants.newFlowRules() + [Rule(.goto(grants.refusal()))])
  }

  /// What stays in the namespace: the agent's own servers, and the gate's.
  private var loopbackOutput: Chain {
    Chain(
      "lo_out", note: "What stays here: the agent's own servers, and the gate's listeners.",
      rules: [
        Rule(.direction(.reply), .accept),
        Rule(.compare(.tcpDestinationPort, .port(proxyPort)), .accept),
        // These take redirected flows only: a direct one has no destination to judge.
        Rule(.oneOf(.tcpDestinationPort, [.port(transparentPort), .port(dnsPort)]), .goto("deny")),
        Rule(.compare(.udpDestinationPort, .port(dnsPort)), .goto("deny")),
        // Docker's own resolver sits here on a random high port.
        Rule(.compare(.ipDestination, .address(.v4(0x7f00_000b))), .goto("deny")),
        Rule(.accept),
      ])
  }

  private var input: Chain {
    Chain(
      "in", Chain.Base(.filter, .input, priority: 0, policy: .drop),
      note: "What comes in: answers, and what is open to others.",
      rules: [
        Rule(.compare(.iifname, .interface("lo")), .accept),
        Common.routingHeader(.drop),
        Rule(.state([.established]), .lookup([.ctMark], set: Grants.live.name), .accept),
        Rule(
          .state([.established]), .direction(.original), .compare(.ctMark, .number(Grants.inboundMark)),
          .lookup([.tcpDestinationPort], set: "inbound"), .accept),
      ] + Common.oddities(.drop) + [
        // Behind the rule for lo: what began there was begun by a program, and is answered to nobody else.
        Rule(
          .state([.new]), .lookup([.tcpDestinationPort], set: "inbound"),
          .setConnectionMark(Grants.inboundMark), .accept),
        Common.neighborDiscovery([Common.neighborSolicit, Common.neighborAdvert, Common.routerAdvert]),
        Rule(.compare(.icmpv6Type, .named(130, "mld-listener-query")), .accept),
      ] + Common.relatedErrors())
  }

  private var forward: Chain {
    Chain(
      "forward_none", Chain.Base(.filter, .forward, priority: 0, policy: .drop),
      note: "Nothing is routed through.", rules: [])
  }
}

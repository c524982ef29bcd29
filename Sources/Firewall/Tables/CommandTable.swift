import Addressing

/// The table of a command's own network namespace, which has a loopback device
/// and no other: it captures what the command sends elsewhere.
///
/// No packet leaves such a namespace with it or without it. The table makes
/// that a program without proxy settings gets through all the same, and that
/// what does not pass is heard of and refused at once. The gate is outside, so
/// nobody is exempt.
public struct CommandTable: Hashable, Sendable {
  public var name: TableName
  /// The listener of captured TCP, on 127.0.0.1 and ::1.
  public var transparentPort: UInt16
  /// The DNS listener, UDP and TCP, on 127.0.0.1 and ::1.
  public var dnsPort: UInt16
  /// The NFLOG group that denied packets are sampled to.
  public var logGroup: UInt16

  public init(
    name: TableName = TableName(.inet, "exitgate"), transparentPort: UInt16, dnsPort: UInt16, logGroup: UInt16
  ) {
    self.name = name
    self.transparentPort = transparentPort
    self.dnsPort = dnsPort
    self.logGroup = logGroup
  }

  public var table: Table {
    Table(
      name, sets: [own], counters: [Heldback(.denied), Heldback(.odd)].map(\.name),
      chains: [
        natOutput, output, Common.deny(logGroup: logGroup), Heldback(.odd).silentChain(logGroup: logGroup),
      ])
  }

  private var own: NFSet { .blocks("own4", .ipv4Address, AddressClass.loopback.blocks(isV4: true)) }

  /// With the routes of the namespace every address is local, so that says nothing here.
  private static let ownServers = [
    Rule(.lookup([.ipDestination], set: "own4"), .accept),
    Rule(.compare(.ip6Destination, .address(.v6(high: 0, low: 1))), .accept),
  ]

  private var natOutput: Chain {
    Chain(
      "nat_out", Chain.Base(.nat, .output, priority: -105, policy: .accept),
      note: "Captures connections and questions: every TCP port, every port 53.",
      rules: [
        Rule(
          .oneOf(.l4proto, [.tcp, .udp]), .compare(.anyDestinationPort, .port(53)), .redirect(port: dnsPort))
      ] + Self.ownServers + [Rule(.compare(.l4proto, .tcp), .redirect(port: transparentPort))])
  }

  private var output: Chain {
    Chain(
      "out", Chain.Base(.filter, .output, priority: 0, policy: .drop),
      note: "What was captured, and what stays here: the command's own servers.",
      rules: Common.oddities(.goto(Heldback(.odd).name)) + [
        Rule(
          .statusDNAT, .oneOf(.l4proto, [.tcp, .udp]), .compare(.anyDestinationPort, .port(dnsPort)), .accept),
        Rule(.statusDNAT, .compare(.tcpDestinationPort, .port(transparentPort)), .accept),
        Rule(.direction(.reply), .accept),
        // These take redirected flows only: a direct one has no destination to judge.
        Rule(.oneOf(.tcpDestinationPort, [.port(transparentPort), .port(dnsPort)]), .goto("deny")),
        Rule(.compare(.udpDestinationPort, .port(dnsPort)), .goto("deny")),
      ] + Self.ownServers + [Rule(.goto("deny"))])
  }
}

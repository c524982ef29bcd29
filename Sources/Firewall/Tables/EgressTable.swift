/// The table that stops what the `inet` hooks never see: frames of packet
/// sockets (packet(7)), with PACKET_QDISC_BYPASS too.
///
/// The egress hook of a device sees every frame. What the kernel's IP stack
/// sends still carries its route there, and a packet socket cannot attach one,
/// whatever it writes into the frame and whatever mark it sets: `meta
/// rtclassid` reads a field of the route and matches nothing without it. ARP
/// has no route and goes out by the EtherType of the frame itself, since the
/// protocol that the sender claimed may differ.
///
/// What is left: whoever holds CAP_NET_RAW can put bytes into ARP frames, which
/// no router forwards, and AF_XDP passes this hook by; the launcher's seccomp
/// filter and a container without CAP_NET_RAW close both.
public struct EgressTable: Hashable, Sendable {
  public var name: TableName
  /// The devices that lead out. Before Linux 6.16 each must exist when the
  /// table is installed; later kernels also take one that comes later.
  public var devices: [String]

  public init(name: TableName = TableName(.netdev, "exitgate"), devices: [String]) {
    self.name = name
    self.devices = devices
  }

  public var table: Table {
    Table(name, counters: [Heldback(.frame).name], chains: devices.enumerated().map(Self.chain))
  }

  /// The name of a device may hold characters that a chain's may not, hence the number.
  private static func chain(_ index: Int, _ device: String) -> Chain {
    Chain(
      "egress_\(index)", Chain.Base(.filter, .egress, priority: 0, policy: .drop, device: device),
      rules: [
        // No realm has all bits set, so the comparison only asks whether there is a route.
        Rule(
          .oneOf(.protocol, [.named(0x0800, "ip"), .named(0x86dd, "ip6")]),
          .compare(.routeRealm, .number(0xffff_ffff), .notEqual), .accept),
        Rule(
          .compare(.frameType, .named(0x0806, "0x0806")), .compare(.protocol, .named(0x0806, "arp")), .accept),
        Rule(.count(Heldback(.frame).name)),
      ])
  }
}

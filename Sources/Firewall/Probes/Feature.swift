import Addressing

extension KernelProbe {
  /// A part of nf_tables and the smallest table that uses it.
  struct Feature {
    var name: String
    var loss: String
    var isRequired: Bool
    var modes: [Mode]
    var table: Table

    init(
      _ name: String, loss: String, isRequired: Bool = true, modes: [Mode] = Mode.allCases,
      family: Family = .inet, sets: [NFSet] = [], base: Chain.Base? = nil, _ rule: Expression...
    ) {
      self.name = name
      self.loss = loss
      self.isRequired = isRequired
      self.modes = modes
      let chain = Chain("c", base, rules: [Rule(((base?.hook).map(Self.nothing) ?? []) + rule)])
      table = Table(TableName(family, KernelProbe.scratchName.name), sets: sets, chains: [chain])
    }

    /// Matches no packet: who uses the namespace while it is probed notices nothing.
    private static func nothing(at hook: Chain.Hook) -> [Expression] {
      switch hook {
      case .egress: []
      case .prerouting, .input: [.compare(.iifname, .interface("exitgate-none"))]
      case .forward, .output, .postrouting: [.compare(.oifname, .interface("exitgate-none"))]
      }
    }

    func finding(_ error: NetfilterError?) -> Finding {
      Finding(feature: name, loss: loss, isRequired: isRequired, error: error)
    }
  }

  private static func hook(_ type: Chain.ChainType, _ hook: Chain.Hook, device: String? = nil) -> Chain.Base {
    Chain.Base(type, hook, priority: 0, policy: .accept, device: device)
  }

  static let features: [Feature] = [
    Feature(
      "filter chains in the output hook", loss: "nothing can be refused", base: hook(.filter, .output),
      .counter),
    Feature(
      "nat chains with redirect", loss: "connections cannot be captured", modes: [.sidecar],
      base: hook(.nat, .output), .compare(.l4proto, .tcp), .redirect(port: 1)),
    Feature(
      "tproxy", loss: "connections cannot be captured", modes: [.gateway], base: hook(.filter, .prerouting),
      .compare(.nfproto, .ipv4), .compare(.l4proto, .tcp), .tproxy(.v4(0x7f00_0001), port: 1)),
    Feature(
      "ct count", loss: "one agent could take all of connection tracking", modes: [.gateway],
      base: hook(.filter, .prerouting), .state([.new]), .flowsOver(1)),
    Feature(
      "masquerade", loss: "granted udp flows cannot be forwarded", modes: [.gateway],
      base: hook(.nat, .postrouting), .masquerade),
    Feature("meta skuid", loss: "the gate's own traffic cannot be told apart", .compare(.skuid, .number(1))),
    Feature(
      "socket cgroupv2", loss: "the gate's user alone exempts its traffic", isRequired: false,
      modes: [.sidecar], base: hook(.filter, .output), .socketCgroup(ControlGroup(level: 1, id: 1, path: "/"))
    ),
    Feature(
      "fib", loss: "local destinations and forged sources cannot be told", base: hook(.filter, .prerouting),
      .destinationIsLocal),
    Feature(
      "connection tracking with marks", loss: "a grant cannot be revoked", sets: [Grants.live],
      .state([.established]), .lookup([.ctMark], set: "live"), .setConnectionMark(1)),
    Feature(
      "maps with concatenated keys and timeouts", loss: "learned addresses cannot be granted",
      sets: [Grants.raw4],
      .mapConnectionMark(Grants.rawKey4, map: "raw4")),
    Feature(
      "interval sets", loss: "address blocks cannot be kept out of grants",
      sets: [.blocks("b", .ipv4Address, [IPPrefix("10.0.0.0/8")].compactMap(\.self))],
      .lookup([.ipDestination], set: "b")),
    Feature(
      "exthdr", loss: "IPv6 routing headers cannot be refused", .hasRoutingHeader),
    Feature(
      "reject", loss: "clients wait for a timeout where they should be told no", base: hook(.filter, .output),
      .rejectProhibited),
    Feature(
      "limit and log to a group (nfnetlink_log)", loss: "denied packets cannot be logged",
      .limit(perSecond: 1, burst: 1), .log(group: 1, snaplen: 64, prefix: "probe")),
    Feature(
      "netdev egress chains with meta rtclassid (Linux 5.16)",
      loss: "frames of packet sockets pass; the agent must not have CAP_NET_RAW", isRequired: false,
      modes: [.sidecar], family: .netdev, base: hook(.filter, .egress, device: "lo"),
      .compare(.routeRealm, .number(0xffff_ffff), .notEqual)),
  ]
}

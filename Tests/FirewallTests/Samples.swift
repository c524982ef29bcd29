import Addressing

@testable import Firewall

/// Tables that the tests are about.
enum Samples {
  static let floor = AddressFloor(
    always4: [
      "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
    ]
    .compactMap(IPPrefix.init),
    always6: ["::/128", "::1/128", "fe80::/10", "ff00::/8"].compactMap(IPPrefix.init),
    private4: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].compactMap(IPPrefix.init),
    private6: ["fc00::/7"].compactMap(IPPrefix.init))

  static let udp: [UDPGrant] = [
    grant("11.0.0.0/24", 123...123, .deny), grant("11.0.0.0/8", 123...123, .allow(mark: 3)),
    grant("10.20.0.0/15", 1000...2000, .allow(mark: 4), allowsPrivate: true),
    grant("0.0.0.0/0", 9000...9001, .allow(mark: 5)), grant("::/0", 9000...9001, .allow(mark: 5)),
    grant("2001:470::/29", 4000...4000, .allow(mark: 6)),
    grant("2001:470:20::2/128", 53...53, .allow(mark: 7)),
  ]

  private static func grant(
    _ prefix: String, _ ports: ClosedRange<UInt16>, _ verdict: UDPGrant.Verdict, allowsPrivate: Bool = false
  ) -> UDPGrant {
    let whole = IPPrefix.everything(isV4: !prefix.contains(":"))
    return UDPGrant(IPPrefix(prefix) ?? whole, ports: ports, verdict, allowsPrivate: allowsPrivate)
  }

  static let grants = Grants(liveMarks: [3, 4, 5, 6, 7], udp: udp, floor: floor)

  static func sidecar(group: ControlGroup? = nil, uid: UInt32 = 2001, grants: Grants = grants) -> SidecarTable
  {
    SidecarTable(
      gateUID: uid, gateGroup: group, transparentPort: 15001, dnsPort: 15353, proxyPort: 3128,
      synthetic4: .synthetic4, synthetic6: .synthetic6, inboundPorts: [8080, 80], grants: grants, logGroup: 5)
  }

  /// With rules for the packets that prove it.
  static let proved: SidecarTable = {
    var table = sidecar()
    table.canary = Canary.Mark(uid: 0, sourcePort: 40_000)
    return table
  }()

  /// In audit mode, with a resolver of its own at an odd port in each family.
  static let audit: SidecarTable = {
    var grants = Self.grants
    grants.isAudit = true
    grants.floor.endpoints = ["11.0.0.53:5353", "[2001:470:20::2]:5353"].compactMap { Endpoint($0) }
    var table = sidecar(grants: grants)
    table.canary = Canary.Mark(uid: 0, sourcePort: 40_000)
    return table
  }()

  /// In audit mode.
  static let auditing: GatewayTable = {
    var table = gateway
    table.grants.isAudit = true
    return table
  }()

  static let gateway = GatewayTable(
    agents: [
      .init(
        [
          .init("a0", index: 70, addresses: [.v4(0x0a42_0001), .v6(high: 0xfd66_0000_0000_0000, low: 1)]),
          .init("a1", index: 71),
        ], udp: udp),
      .init([.init("a2", index: 72, addresses: [.v4(0x0a43_0001)])], udp: []),
    ], transparentPort: 15001, dnsPort: 15353, proxyPort: 3128, grants: grants, logGroup: 5,
    canary: Canary.Mark(uid: 0, sourcePort: 40_000, way: .in))
}

extension IPPrefix {
  static let synthetic4 = IPPrefix("198.18.0.0/15") ?? everything(isV4: true)
  static let synthetic6 = IPPrefix("fd23:6f70:656e::/48") ?? everything(isV4: false)

  /// Zero bits of the zero address: always a block.
  static func everything(isV4: Bool) -> IPPrefix {
    guard let all = IPPrefix(isV4 ? .v4(0) : .v6(high: 0, low: 0), length: 0) else {
      preconditionFailure("0/0 is a block")
    }
    return all
  }
}

/// What `body` failed with; nil when it did not.
func problem(_ body: () throws(NetfilterError) -> Void) -> NetfilterError.Problem? {
  do {
    try body()
    return nil
  } catch { return error.problem }
}

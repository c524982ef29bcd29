import Firewall
import Testing

@testable import Keeper

/// Which devices the egress table guards, as they come and go.
@Suite struct DeviceTests {
  private static func sidecar(_ devices: [String]) -> KeeperSettings {
    KeeperSettings(
      .sidecar(.init(gateUID: 1, gateGroup: nil, inboundPorts: [], devices: devices)), transparentPort: 1,
      dnsPort: 2, proxyPort: 3, logGroup: 4, ownership: .ownedPersistent)
  }

  @Test("NFT-20 what there is is guarded, the loopback device apart, and nothing changes where nothing has")
  func follows() throws {
    var settings = Self.sidecar(["eth0"])
    let loopback = NetworkLink("lo", index: 1), first = NetworkLink("eth0", index: 2)
    #expect(settings.follow([loopback, first]) == false)
    #expect(settings.follow([loopback, NetworkLink("b0", index: 7), first]) == true)
    #expect(settings.devices == ["b0", "eth0"])
    #expect(settings.egress?.chains.map(\.base?.device) == ["b0", "eth0"])
    #expect(settings.tables(try MessageTests.rules()).map(\.name.family) == [.inet, .netdev])
    #expect(settings.follow([loopback]) == true && settings.egress == nil)
    #expect(settings.tableNames.map(\.family) == [.inet], "nothing is counted where there is nothing")
  }

  @Test("devices are no matter of a gateway's table")
  func gateway() {
    var settings = Self.sidecar([])
    settings.side = .gateway([[.init("a0", index: 5)]])
    #expect(settings.follow([NetworkLink("b0", index: 7)]) == nil && settings.egress == nil)
  }
}

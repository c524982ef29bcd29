import Addressing
import Foundation
import Testing

@testable import Firewall

/// The gateway's table with real packets: two agents and a stranger, each
/// behind a cable of its own, and the world behind another.
@Suite(.enabled(if: mayMakeNamespaces, "needs root and nft(8)")) struct GatewayTests {
  private let gateway: Namespace, agent: Namespace, other: Namespace, stranger: Namespace, world: Namespace
  private let name = TableName(.inet, "exitgate")

  init() throws {
    (gateway, agent, other, stranger, world) = try (
      Namespace(), Namespace(), Namespace(), Namespace(), Namespace()
    )
    for (space, device, net) in [
      (agent, "a0", 66), (other, "a1", 67), (stranger, "x0", 68), (world, "u0", 1),
    ] {
      try Traffic.join(gateway, device, space, "e0", net: net)
      try space.run("ip", "route", "add", "default", "via", "11.\(net).0.1")
      try space.run("ip", "-6", "route", "add", "default", "via", "2001:470:\(net)::1")
      for target in ["11.\(net).0.1", "2001:470:\(net)::1"] { try space.run("ping", "-c1", "-w5", target) }
    }
    try gateway.run(
      "sh", "-ec",
      """
      echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
      """)
    #expect(try gateway.enter { try PolicyRouting(withIPv6: true).ensure() })
  }

  /// The first agent is granted datagrams to port 9000 of everywhere, the second to none.
  private static func table(
    _ links: [NetworkLink], canary: Canary.Mark? = nil, flows: UInt32 = GatewayTable.flowsPerAgent,
    live: [UInt32] = [3, 4, 7]
  ) throws -> Table {
    let everything4 = IPPrefix.everything(isV4: true), everything6 = IPPrefix.everything(isV4: false)
    let grants = Grants(
      liveMarks: live, floor: Samples.floor)
    let udp = [
      UDPGrant(everything4, ports: 9000...9000, .allow(mark: 3)),
      UDPGrant(everything6, ports: 9000...9000, .allow(mark: 4)),
    ]
    let gate = { (net: UInt32) in
      [
        IPAddress.v4(0x0b00_0001 | net << 16),
        .v6(high: 0x2001_0470_0000_0000 | UInt64(net == 66 ? 0x66 : 0x67) << 16, low: 1),
      ]
    }
    let link = { (name: String, net: UInt32) in
      GatewayTable.Link(
        name, index: try #require(links.first { $0.name == name }).index, addresses: gate(net))
    }
    var table = GatewayTable(
      agents: [.init([try link("a0", 66)], udp: udp), .init([try link("a1", 67)], udp: [])],
      transparentPort: 15001, dnsPort: 15353, proxyPort: 3128, grants: grants, logGroup: 5, canary: canary)
    table.flowsPerAgent = flows
    return table.table
  }

  private func claim() throws -> Box<NetfilterSocket> {
    try gateway.enter {
      let socket = try NetfilterSocket()
      try socket.claim([try Self.table(NetworkLink.all())])
      return Box(socket)
    }
  }

  private func send(from space: Namespace, _ probes: (String, Int, String)...) throws {
    let arguments = probes.flatMap { [$0.0, "\($0.1)", $0.2] }
    _ = try execute(
      ["/usr/bin/nsenter", "--net=/proc/\(space.pid)/ns/net", "/usr/bin/python3", "-c", Scripts.send]
        + arguments,
      input: "")
  }

  @Test(
    "NFT-06, NFT-20, NFT-21: only granted datagrams cross, from enrolled links, under the gateway's address")
  func forwarding() throws {
    let exchange: () throws -> [String] = {
      let receiver = try Traffic.start(world, Scripts.receive, "9000", "9300", "53")
      let beside = try Traffic.start(other, Scripts.receive, "9000")
      let local = try Traffic.start(gateway, Scripts.receive, "7777", "9000")
      try send(
        from: agent, ("11.1.0.2", 9000, "granted"), ("2001:470:1::2", 9000, "granted"),
        ("11.1.0.2", 9300, "no-rule"),
        ("2001:470:1::2", 9300, "no-rule"), ("11.1.0.2", 53, "dns"), ("11.67.0.2", 9000, "agent-to-agent"),
        ("2001:470:67::2", 9000, "agent-to-agent"), ("11.66.0.1", 7777, "service"),
        ("11.1.0.1", 7777, "service"),
        ("11.66.0.1", 9000, "granted-service"), ("2001:470:66::1", 7777, "service"))
      try send(from: stranger, ("11.1.0.2", 9000, "stranger"), ("2001:470:1::2", 9000, "stranger"))
      try agent.run("/usr/bin/python3", "-c", Scripts.forge, "11.67.0.2", "11.1.0.2", "9000", "forged")
      try agent.run("/usr/bin/python3", "-c", Scripts.oddities, "11.1.0.2")
      return try [receiver, beside, local].flatMap { try $0.finish() }.sorted()
    }
    let before = try exchange()
    #expect(before.count == 14, "the control, without the table: \(before)")
    let owner = try claim()
    let after = try exchange()
    #expect(after == ["11.1.0.1 9000 granted", "2001:470:1::1 9000 granted"], "\(after)")
    let counts = try gateway.enter { try owner.value.counts(in: name) }
    #expect(counts["spoofed_0"] == 1 && counts["spoofed_1"] == 0)
    #expect((counts["denied_0"] ?? 0) > 5 && counts["denied_1"] == 0)
    #expect((counts["unforwarded"] ?? 0) >= 2, "\(counts)")
  }

  @Test("NFT-14: a granted flow is answered, until its rule is revoked: then neither direction passes")
  func revoke() throws {
    let owner = try claim()
    for (target, mark) in [("11.1.0.2", UInt32(3)), ("2001:470:1::2", 4)] {
      let receiver = try Traffic.start(world, Scripts.receive, "9000")
      let client = try Traffic.start(agent, Scripts.talk, target, "9000")
      #expect(client.ask("one") == "answer one")
      #expect(client.ask("two") == "answer two")
      try gateway.enter { try owner.value.delete([Grants.liveElement(mark)], of: Grants.live, in: name) }
      #expect(client.ask("three").hasPrefix("none"))
      _ = try client.finish()
      #expect(try receiver.finish().map { $0.split(separator: " ").last } == ["one", "two"])
    }
  }

  @Test(
    "NFT-07: all TCP and DNS is captured, also what is aimed at the gateway, or at a listener's port elsewhere"
  )
  func capture() throws {
    let owner = try claim()
    let gate = try Traffic.start(
      gateway, Scripts.capture, "127.0.0.1", "15001", "::1", "15001", "127.0.0.1", "15353", "::1", "15353",
      "11.66.0.1", "3128", "11.66.0.1", "22")
    let ends = try agent.run(
      "/usr/bin/python3", "-c", Scripts.connect, "11.1.0.2", "443", "2001:470:1::2", "8443", "11.66.0.1",
      "22",
      "11.66.0.1", "3128", "11.1.0.2", "53", "11.1.0.2", "3128")
    #expect(
      ends.output.split(separator: "\n") == [Substring](repeating: "connected", count: 6))
    try send(from: agent, ("11.1.0.2", 53, "q"), ("2001:470:1::2", 53, "q"), ("11.66.0.1", 53, "q"))
    let seen = try gate.finish().sorted()
    #expect(
      seen == [
        "tcp 11.1.0.2 3128", "tcp 11.1.0.2 443", "tcp 11.1.0.2 53", "tcp 11.66.0.1 22", "tcp 11.66.0.1 3128",
        "tcp 2001:470:1::2 8443",
        "udp 11.1.0.2 53", "udp 11.66.0.1 53", "udp 2001:470:1::2 53",
      ])
    withExtendedLifetime(owner) {}
  }

  @Test("NFT-20: each agent has its own grants, and a granted flow is no other agent's")
  func grantsOfOne() throws {
    let owner = try claim()
    let receiver = try Traffic.start(world, Scripts.receive, "9000", "9100")
    try send(from: other, ("11.1.0.2", 9000, "beside"), ("2001:470:1::2", 9000, "beside"))
    try send(from: agent, ("11.1.0.2", 9000, "granted"), ("11.1.0.2", 9100, "learned-too-early"))
    try gateway.enter {
      let (set, element) = Grants.learned(
        .v4(0x0b01_0002), port: 9100, mark: 7, timeout: .seconds(60), agent: 1)
      try owner.value.add([element], to: set, of: name)
    }
    try send(from: agent, ("11.1.0.2", 9100, "of-the-other"))
    try send(from: other, ("11.1.0.2", 9100, "learned"))
    #expect(try receiver.finish().sorted() == ["11.1.0.1 9000 granted", "11.1.0.1 9100 learned"])
  }

  @Test("NFT-20: a link that was renamed, or made anew under its name, is nobody's")
  func otherLinks() throws {
    let owner = try claim()
    let deliver: (String) throws -> [String] = { text in
      let receiver = try Traffic.start(world, Scripts.receive, "9000")
      let local = try Traffic.start(gateway, Scripts.receive, "7777")
      try send(from: agent, ("11.1.0.2", 9000, text), ("11.66.0.1", 7777, text))
      return try receiver.finish() + local.finish()
    }
    #expect(try deliver("before") == ["11.1.0.1 9000 before"])
    try gateway.run("ip", "link", "set", "a0", "down")
    try gateway.run("ip", "link", "set", "a0", "name", "b0")
    try gateway.run("ip", "link", "set", "b0", "up")
    #expect(try deliver("renamed") == [])
    try gateway.run("ip", "link", "del", "b0")
    try Traffic.join(gateway, "a0", agent, "e0", net: 66)
    try agent.run("ip", "route", "add", "default", "via", "11.66.0.1")
    #expect(try deliver("anew") == [])
    // Once it is enrolled as what it is now, it is the agent's again.
    try gateway.enter { try owner.value.claim([try Self.table(NetworkLink.all())]) }
    #expect(try deliver("enrolled") == ["11.1.0.1 9000 enrolled"])
  }

  @Test("NFT-26: an agent has so many flows and no more, and the other has room all the same")
  func flows() throws {
    let owner = try claim()
    let receiver = try Traffic.start(world, Scripts.receive, "9000")
    let sent = try agent.run("/usr/bin/python3", "-c", Scripts.manyFlows, "11.1.0.2", "9000", "9500")
    #expect(sent.output.hasPrefix("9500"))
    try gateway.enter {
      let (set, element) = Grants.learned(
        .v4(0x0b01_0002), port: 9000, mark: 7, timeout: .seconds(60), agent: 1)
      try owner.value.add([element], to: set, of: name)
    }
    try send(from: other, ("11.1.0.2", 9000, "beside"))
    let arrived = try receiver.finish()
    let ofOne = arrived.count { $0.hasSuffix("flow") }
    #expect((7000...Int(GatewayTable.flowsPerAgent)).contains(ofOne), "\(ofOne)")
    #expect(arrived.contains { $0.hasSuffix("beside") })
  }

  @Test("NFT-26: the flows that were counted are still counted once the rules have changed")
  func flowsOverRefills() throws {
    let owner = try gateway.enter {
      let socket = try NetfilterSocket()
      try socket.claim([try Self.table(NetworkLink.all(), flows: 50)])
      return Box(socket)
    }
    let receiver = try Traffic.start(world, Scripts.receive, "9000")
    for turn in 0..<4 {
      try agent.run(
        "/usr/bin/python3", "-c", Scripts.manyFlows, "11.1.0.2", "9000", "40", "\(20000 + turn * 100)")
      let live: [UInt32] = turn % 2 == 0 ? [3, 4, 7, 8] : [3, 4, 7]
      try gateway.enter { try owner.value.refill(try Self.table(NetworkLink.all(), flows: 50, live: live)) }
    }
    let arrived = try receiver.finish().count { $0.hasSuffix("flow") }
    #expect((45...50).contains(arrived), "\(arrived) of 160, of which 50 may be there at a time")
    let listed = try gateway.run("nft", "list", "chain", "inet", "exitgate", "flows_0").output
    #expect(listed.split(separator: "\n").filter { $0.contains("ct count over 50") }.count == 1, "\(listed)")
  }

  @Test("an answer to a captured question comes from the port that was asked")
  func answers() throws {
    let owner = try claim()
    let gate = try Traffic.start(gateway, Scripts.answer, "15353", "a0")
    for target in ["11.1.0.2", "2001:470:1::2"] {
      let client = try Traffic.start(agent, Scripts.talk, target, "53")
      #expect(client.ask("question") == "answer question")
      _ = try client.finish()
    }
    #expect(try gate.finish().count == 2)
    withExtendedLifetime(owner) {}
  }

  @Test("NFT-24, OPS-08: the table is proved by packets to the loopback that it counts as denied")
  func proved() throws {
    let canary = try gateway.enter { Box(try Canary(devices: nil)) }
    let socket = try gateway.enter {
      let socket = try NetfilterSocket()
      try socket.claim([try Self.table(NetworkLink.all(), canary: canary.value.mark)])
      return Box(socket)
    }
    let prove = { try gateway.enter { try socket.value.prove(name, by: canary.value) } }
    #expect(try prove() == .counted)
    try gateway.run(
      "nft", "-f", "-",
      input:
        "table inet thief {\nchain c {\ntype filter hook prerouting priority -400\niifname \"lo\" drop\n}\n}\n"
    )
    #expect(try prove() == .missed)
    try gateway.run("nft", "delete", "table", "inet", "thief")
    #expect(try prove() == .counted)
    try gateway.run("ip", "link", "set", "lo", "down")
    #expect(try prove() != .counted)
  }

  @Test("where no listener answers, a connection is refused at once")
  func refused() throws {
    let owner = try claim()
    let ends = try agent.run(
      "/usr/bin/python3", "-c", Scripts.connect, "11.1.0.2", "443", "2001:470:1::2", "443")
    #expect(ends.output.split(separator: "\n") == ["ConnectionRefusedError", "ConnectionRefusedError"])
    withExtendedLifetime(owner) {}
  }
}

import Addressing
import Foundation
import Testing

@testable import Firewall

/// Packets that prove a table, sent for real.
@Suite(.enabled(if: mayMakeNamespaces, "needs root and nft(8)")) struct CanaryTests {
  private let agent: Namespace, world: Namespace

  init() throws {
    agent = try Namespace()
    world = try Namespace()
    try Traffic.join(agent, "v0", world, "v1", net: 1)
    try agent.run("ip", "route", "add", "default", "via", "11.1.0.2")
    for target in ["11.1.0.2", "2001:470:1::2"] { try agent.run("ping", "-c1", "-w5", target) }
  }

  private static let name = TableName(.inet, "exitgate")

  private func canary(_ devices: [String] = ["v0"]) throws -> Box<Canary> {
    try agent.enter { Box(try Canary(devices: devices)) }
  }

  /// The table that anybody may change, and its owner's socket.
  private func claim(_ canary: Box<Canary>) throws -> Box<NetfilterSocket> {
    try agent.enter {
      var sidecar = Samples.sidecar()
      sidecar.canary = canary.value.mark
      let socket = try NetfilterSocket()
      try socket.claim([sidecar.table], ownership: .plain)
      return Box(socket)
    }
  }

  private func prove(_ socket: Box<NetfilterSocket>, _ canary: Box<Canary>) throws -> Canary.Finding {
    try agent.enter { try socket.value.prove(Self.name, by: canary.value) }
  }

  private func count(_ comment: String, _ socket: Box<NetfilterSocket>) throws -> [UInt64] {
    if comment == "denied" {
      return try agent.enter { try socket.value.counts(in: Self.name) }["denied"].map { [$0] } ?? []
    }
    return try agent.enter { try socket.value.counters(in: Self.name) }.filter { $0.comment == comment }
      .map(\.packets)
  }

  @Test("NFT-24, OPS-08: the table counts one packet of each family, and no agent's denial")
  func counted() throws {
    let canary = try canary()
    let socket = try claim(canary)
    #expect(try prove(socket, canary) == .counted)
    #expect(try count("canary", socket) == [1, 1])
    #expect(try count("denied", socket) == [0])
    #expect(try prove(socket, canary) == .counted)
    #expect(try count("canary", socket) == [2, 2])
  }

  /// Each makes packets pass the table that should not.
  static let breaks = [
    ["insert", "rule", "inet", "exitgate", "out", "accept"],
    ["insert", "rule", "inet", "exitgate", "out", "oifname", "v0", "accept"],
    ["insert", "rule", "inet", "exitgate", "out", "ip6", "hoplimit", "0", "accept"],
    ["flush", "chain", "inet", "exitgate", "deny"], ["flush", "chain", "inet", "exitgate", "out"],
    ["delete", "table", "inet", "exitgate"],
    [
      "add table inet other; add chain inet other o { type filter hook output priority -400; };"
        + "add rule inet other o ip daddr 224.0.0.1 drop"
    ],
  ]

  @Test("OPS-08: where enforcement is broken on purpose, the packets are missed", arguments: breaks)
  func broken(_ command: [String]) throws {
    let canary = try canary()
    let socket = try claim(canary)
    #expect(try prove(socket, canary) == .counted)
    try agent.run("nft", command.joined(separator: " "))
    let finding = (try? prove(socket, canary)) ?? .missed
    #expect(finding == .missed)
  }

  @Test("not one packet leaves, even where there is no table at all")
  func stays() throws {
    let sniffer = try Traffic.start(world, Scripts.sniff, "v1")
    let canary = try canary()
    let sent = try agent.enter { canary.value.send() }
    #expect(sent == 2, "the kernel took both")
    // The control: what may leave is seen.
    let marker = "granted".utf8.map { String(format: "%02x", $0) }.joined()
    try agent.run(
      "/usr/bin/python3", "-c", Scripts.send, "11.1.0.2", "9000", "granted")
    let frames = try sniffer.finish()
    #expect(frames.contains { $0.contains(marker) })
    #expect(!frames.contains { $0.contains("e0000001") }, "224.0.0.1")
    #expect(!frames.contains { $0.contains("ff01000000000000000000000db80000") }, "ff01::db8:0:9")
  }

  @Test("a device that is down or gone takes none, and without IPv6 one is enough")
  func unsent() throws {
    let canary = try canary(["v0", "nowhere"])
    let socket = try claim(canary)
    try agent.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
    #expect(try prove(socket, canary) == .counted)
    #expect(try count("canary", socket) == [1, 0])
    try agent.run("ip", "link", "set", "v0", "down")
    #expect(try prove(socket, canary) == .unsent)
    try agent.run("ip", "link", "delete", "v0")
    #expect(try prove(socket, canary) == .unsent)
    let none = try self.canary([])
    #expect(try prove(socket, none) == .unsent)
  }

  @Test("packets of others to the same place are denied and logged like any other")
  func others() throws {
    let canary = try canary()
    let socket = try claim(canary)
    let script = """
      import socket, sys
      s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(0, 33, 0)
      s.setsockopt(0, 32, socket.inet_aton('11.1.0.1'))
      try: s.sendto(b'x', ('224.0.0.1', 9)); print('sent')
      except OSError: print('denied')
      """
    #expect(try agent.run("/usr/bin/python3", "-c", script).output == "denied\n")
    #expect(try count("canary", socket) == [0, 0] && count("denied", socket) == [1])
  }
}

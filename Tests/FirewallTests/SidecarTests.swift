import Addressing
import Foundation
import Testing

@testable import Firewall

/// The sidecar's table with real packets: an agent's namespace, and the world
/// outside at the other end of a cable.
@Suite(.enabled(if: mayMakeNamespaces, "needs root and nft(8)")) struct SidecarTests {
  private let agent: Namespace, world: Namespace

  init() throws {
    agent = try Namespace()
    world = try Namespace()
    try Traffic.join(agent, "v0", world, "v1", net: 1)
    try agent.run("ip", "route", "add", "default", "via", "11.1.0.2")
    try agent.run("ip", "-6", "route", "add", "default", "via", "2001:470:1::2")
    for address in [
      "11.66.0.66/32", "11.67.0.67/32", "10.5.0.1/32", "169.254.169.254/32", "2001:470:66::66/128",
    ] {
      try world.run("ip", "address", "add", address, "dev", "lo")
    }
    // So that no datagram of a test waits for its neighbour's address, or for the link's own.
    for target in ["11.1.0.2", "2001:470:1::2"] { try agent.run("ping", "-c1", "-w5", target) }
  }

  private static func grant(
    _ prefix: String, _ port: UInt16, _ verdict: UDPGrant.Verdict, allowsPrivate: Bool = false
  ) throws -> UDPGrant {
    UDPGrant(
      try prefix == "0.0.0.0/0" ? .everything(isV4: true) : #require(IPPrefix(prefix)), ports: port...port,
      verdict,
      allowsPrivate: allowsPrivate)
  }

  private static func sidecar(live: [UInt32] = [3, 4, 5, 6, 7], inbound: [UInt16] = []) throws -> SidecarTable
  {
    let grants = Grants(
      liveMarks: live,
      udp: [
        try grant("11.67.0.0/16", 9100, .deny), try grant("11.66.0.0/16", 9000, .allow(mark: 3)),
        try grant("0.0.0.0/0", 9100, .allow(mark: 4)),
        try grant("10.0.0.0/8", 9200, .allow(mark: 5), allowsPrivate: true),
        try grant("2001:470:66::/48", 9000, .allow(mark: 6)),
      ], floor: Samples.floor)
    var sidecar = Samples.sidecar(grants: grants)
    sidecar.inboundPorts = inbound
    return sidecar
  }

  private func claim(_ table: Table) throws -> Box<NetfilterSocket> {
    try agent.enter {
      let socket = try NetfilterSocket()
      try socket.claim([table])
      return Box(socket)
    }
  }

  /// Address, port, and whether the datagram may leave.
  private static let probes: [(String, Int, Bool)] = [
    ("11.66.0.66", 9000, true), ("11.66.0.66", 9001, false), ("11.66.0.66", 9100, true),
    ("11.67.0.67", 9000, false),
    ("11.67.0.67", 9100, false), ("10.5.0.1", 9100, false), ("10.5.0.1", 9200, true),
    ("11.66.0.66", 9200, false),
    ("169.254.169.254", 9100, false), ("2001:470:66::66", 9000, true), ("2001:470:66::66", 9100, false),
    ("2001:470:1::2", 9000, false), ("11.66.0.66", 53, false), ("11.66.0.66", 443, false),
    ("224.0.0.251", 9100, false),
    ("ff02::fb%v0", 9000, false), ("255.255.255.255", 9100, false),
  ]

  private func send(uid: Int? = nil, environment: [String] = [], _ probes: [(String, Int, Bool)]) throws {
    let arguments = probes.flatMap { [$0.0, "\($0.1)", $0.2 ? "granted" : "blocked"] }
    let privilege = uid.map { ["setpriv", "--reuid=\($0)", "--clear-groups"] } ?? []
    let command = ["/usr/bin/nsenter", "--net=/proc/\(agent.pid)/ns/net", "env"] + environment + privilege
    _ = try execute(command + ["/usr/bin/python3", "-c", Scripts.send] + arguments, input: "")
  }

  /// What came to the far side, by one run of `body`: the text of each datagram seen on the wire.
  private func arrivals(_ body: () throws -> Void) throws -> (granted: Int, blocked: Int) {
    let sniffer = try Traffic.start(world, Scripts.sniff, "v1")
    try body()
    let frames = try sniffer.finish()
    let count = { (text: String) in
      let marker = text.utf8.map { String(format: "%02x", $0) }.joined()
      return frames.filter { $0.contains(marker) }.count
    }
    return (count("granted"), count("blocked"))
  }

  @Test(
    "NFT-01, NFT-02, NFT-03, NFT-04, NFT-05, NFT-17, NFT-18: what a rule grants leaves, of both families, and nothing else"
  )
  func grants() throws {
    let everything = {
      try send(Self.probes)
      try agent.run(
        "/usr/bin/python3", "-c", Scripts.oddities, "11.66.0.66", "2001:470:66::66", "2001:470:1::1")
    }
    let isOpen = try arrivals(everything)
    #expect(
      isOpen.granted == 4 && isOpen.blocked >= 10 + 16, "\(isOpen): the control: without the table all leave")
    let owner = try claim(try Self.sidecar().table)
    let seen = try arrivals(everything)
    #expect(seen.granted == 4 && seen.blocked == 0, "\(seen)")
    let counts = try agent.enter { try owner.value.counts(in: TableName(.inet, "exitgate")) }
    #expect((counts["denied"] ?? 0) > 10 && (counts["odd"] ?? 0) > 0, "\(counts)")
  }

  @Test("counters outlive the rules that count with them")
  func counting() throws {
    let owner = try claim(try Self.sidecar().table), name = TableName(.inet, "exitgate")
    try send([("11.66.0.66", 9001, false)])
    try agent.enter { try owner.value.refill(try Self.sidecar(live: [3], inbound: [80]).table) }
    try send([("11.66.0.66", 9001, false), ("2001:470:66::66", 9001, false)])
    let counts = try agent.enter { try owner.value.counts(in: name) }
    #expect(counts == ["denied": 3, "audited": 0, "odd": 0, "spoofed": 0])
    try agent.enter { try owner.value.claim([try Self.sidecar().table]) }
    let anew = try agent.enter { try owner.value.counts(in: name) }
    #expect(anew["denied"] == 0)
  }

  @Test("NFT-08: the gate's user is exempt; its mark on another's socket is not")
  func exemption() throws {
    let owner = try claim(try Self.sidecar().table)
    let seen = try arrivals {
      try send(
        uid: 2001, [("11.66.0.66", 9300, true), ("2001:470:66::66", 9300, true), ("11.66.0.66", 53, true)])
      try send(environment: ["MARK=1"], [("11.66.0.66", 9300, false)])
      try send(uid: 2002, [("11.66.0.66", 9300, false)])
    }
    #expect(seen.granted == 3 && seen.blocked == 0, "\(seen)")
    withExtendedLifetime(owner) {}
  }

  @Test("NFT-14: an address that was learned opens, and closes on the next packet once its rule is revoked")
  func learned() throws {
    let owner = try claim(try Self.sidecar().table)
    let name = TableName(.inet, "exitgate")
    let receiver = try Traffic.start(world, Scripts.receive, "9300")
    let client = try Traffic.start(agent, Scripts.talk, "11.1.0.2", "9300")
    #expect(client.ask("before").hasPrefix("none"))
    let learned = Grants.learned(.v4(0x0b01_0002), port: 9300, mark: 7, timeout: .seconds(300))
    try agent.enter { try owner.value.add([learned.element], to: learned.set, of: name) }
    #expect(client.ask("granted") == "answer granted")
    try agent.enter {
      try owner.value.refill(try Self.sidecar().table)
    }
    #expect(client.ask("after-refill") == "answer after-refill")
    try agent.enter { try owner.value.delete([Grants.liveElement(7)], of: Grants.live, in: name) }
    #expect(client.ask("revoked").hasPrefix("none"))
    try agent.enter {
      try owner.value.delete([learned.element], of: learned.set, in: name)
      #expect(try ConntrackSocket().delete(mark: 7) == 1)
    }
    #expect(client.ask("gone").hasPrefix("none"))
    _ = try client.finish()
    #expect(try receiver.finish().map { $0.split(separator: " ").last } == ["granted", "after-refill"])
  }

  @Test("NFT-19: TCP to anywhere is captured with its destination; the listeners take no direct connection")
  func capture() throws {
    let owner = try claim(try Self.sidecar().table)
    let gate = try Traffic.start(
      agent, Scripts.capture, "127.0.0.1", "15001", "::1", "15001", "127.0.0.1", "15353", "::1", "15353",
      "127.0.0.1",
      "3128")
    let attempts: [(String, String, String)] = [
      ("11.66.0.66", "443", "connected"), ("2001:470:66::66", "8443", "connected"),
      ("198.18.0.7", "22", "connected"),
      ("11.66.0.66", "53", "connected"), ("127.0.0.1", "3128", "connected"),
      ("127.0.0.1", "15001", "ConnectionRefusedError"),
      ("::1", "15001", "ConnectionRefusedError"), ("127.0.0.1", "15353", "ConnectionRefusedError"),
    ]
    let ends = try agent.run("/usr/bin/python3", "-c", Scripts.connect, attempts[0].0, attempts[0].1)
    #expect(ends.output == "connected\n")
    for attempt in attempts.dropFirst() {
      let end = try agent.run("/usr/bin/python3", "-c", Scripts.connect, attempt.0, attempt.1).output
      #expect(end == "\(attempt.2)\n", "\(attempt.0) \(attempt.1)")
    }
    #expect(
      try gate.finish() == [
        "tcp 11.66.0.66 443", "tcp 2001:470:66::66 8443", "tcp 198.18.0.7 22", "tcp 11.66.0.66 53",
        "tcp 127.0.0.1 3128",
      ])
    withExtendedLifetime(owner) {}
  }

  @Test("others reach the ports that are open to them, and no other")
  func inbound() throws {
    let owner = try claim(try Self.sidecar(inbound: [8080]).table)
    let server = try Traffic.start(
      agent, Scripts.capture, "0.0.0.0", "8080", "0.0.0.0", "8081", "0.0.0.0", "15001")
    let ends = try world.run(
      "/usr/bin/python3", "-c", Scripts.connect, "11.1.0.1", "8080", "11.1.0.1", "8081", "11.1.0.1", "15001")
    #expect(ends.output.split(separator: "\n") == ["connected", "TimeoutError", "TimeoutError"])
    #expect(try server.finish() == ["tcp 11.1.0.1 8080"])
    withExtendedLifetime(owner) {}
  }

  @Test("NFT-23: while the table is refilled hundreds of times under a flood, not one packet leaves")
  func reload() throws {
    let control = try arrivals { try send([("11.66.0.66", 9999, false)]) }
    #expect(control.blocked == 1)
    let owner = try claim(try Self.sidecar().table)
    let sniffer = try Traffic.start(world, Scripts.sniff, "v1")
    let flood = try Traffic.start(agent, Scripts.flood, "11.66.0.66", "9999")
    let (first, second) = (try Self.sidecar().table, try Self.sidecar(live: [3], inbound: [80]).table)
    try agent.enter {
      for round in 0..<300 { try owner.value.refill(round % 2 == 0 ? second : first) }
    }
    let tries = try #require(try flood.finish().first).split(separator: " ").compactMap { Int($0) }.reduce(
      0, +)
    try send([("11.66.0.66", 9000, true)])
    let frames = try sniffer.finish()
    #expect(tries > 1000, "the flood was one")
    #expect(!frames.contains { $0.contains("666c6f6f64") })
    #expect(frames.contains { $0.contains("6772616e746564") }, "the control: a granted datagram is seen")
    print("refilled 300 times under \(tries) packets")
  }
}

import Foundation
import Testing

@testable import Firewall

/// What a packet socket sends does not leave; what the IP stack sends does.
@Suite(.enabled(if: mayMakeNamespaces, "needs root and nft(8)")) struct EgressTests {
  private static let marker = Data("leaked-by-frame".utf8).map { String(format: "%02x", $0) }.joined()

  @Test(
    "NFT-21: no frame of a packet socket leaves, however it is sent, while IP, ARP and neighbour discovery do"
  )
  func frames() throws {
    let agent = try Namespace(), peer = try Namespace()
    try Traffic.join(agent, "v0", peer, "v1", net: 1)

    let before = try Traffic.start(peer, Scripts.sniff, "v1")
    try agent.run("/usr/bin/python3", "-c", Scripts.frames, "v0")
    #expect(
      try before.finish().filter { $0.contains(Self.marker) }.count == 14,
      "without the table all of them leave")

    let owner = try agent.enter {
      let socket = try NetfilterSocket()
      try socket.claim([EgressTable(devices: ["v0"]).table])
      return Box(socket)
    }
    try agent.run("ip", "neigh", "flush", "all")
    let during = try Traffic.start(peer, Scripts.sniff, "v1")
    let errors = try agent.run("/usr/bin/python3", "-c", Scripts.frames, "v0").output.split(separator: "\n")
    #expect(errors == [Substring](repeating: "ENOBUFS", count: 14))
    for target in ["11.1.0.2", "2001:470:1::2"] { try agent.run("ping", "-c1", "-W2", target) }
    let seen = try during.finish()
    #expect(!seen.contains { $0.contains(Self.marker) })
    #expect(Set(seen.map { $0.prefix(4) }).isSuperset(of: ["0806", "0800", "86dd"]), "the control")
    try agent.enter {
      let counts = try owner.value.counts(in: EgressTable(devices: []).name)
      #expect(counts == ["frame": 14])
    }
  }

  @Test("the loopback device can be guarded too: no forged packet reaches a local listener")
  func loopback() throws {
    let space = try Namespace()
    let owner = try space.enter {
      let socket = try NetfilterSocket()
      try socket.claim([EgressTable(devices: ["lo"]).table])
      return Box(socket)
    }
    let listener = try Traffic.start(space, Scripts.receive, "9")
    for address in ["127.0.0.1", "::1"] {
      try space.run("/usr/bin/python3", "-c", Scripts.datagrams, address, "9", "1")
    }
    let errors = try space.run("/usr/bin/python3", "-c", Scripts.frames, "lo").output.split(separator: "\n")
    #expect(errors.allSatisfy { $0 == "ENOBUFS" } && errors.count == 14)
    #expect(try listener.finish() == ["127.0.0.1 9 sent", "::1 9 sent"])
    withExtendedLifetime(owner) {}
  }
}

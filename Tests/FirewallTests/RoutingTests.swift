import Foundation
import Testing

@testable import Firewall

/// The routing that captured packets need, against what ip(8) says of it.
@Suite(.enabled(if: mayMakeNamespaces, "needs root and ip(8)")) struct RoutingTests {
  private func listed(_ space: Namespace) throws -> [String] {
    try ["-4", "-6"].flatMap { family in
      [
        try space.run("ip", family, "rule", "list", "priority", "17767").output,
        try space.run("ip", family, "route", "show", "table", "17767", mayFail: true).output,
      ]
    }
  }

  @Test("rule and route come once, are made anew where they are missing, and go whole")
  func life() throws {
    let space = try Namespace()
    let routing = try space.enter { Box(try PolicyRouting(withIPv6: true)) }
    #expect(try space.enter { try routing.value.ensure() })
    let first = try listed(space)
    for (index, line) in first.enumerated() {
      #expect(
        line.contains(index % 2 == 0 ? "fwmark 0x45670001 lookup 17767" : "local default dev lo"), "\(first)")
      #expect(line.split(separator: "\n").count == 1)
    }
    #expect(try space.enter { try routing.value.ensure() } == false, "nothing was missing")
    #expect(try listed(space) == first)
    for words in [["-6", "rule", "del", "priority", "17767"], ["route", "flush", "table", "17767"]] {
      _ = try execute(
        ["/usr/bin/nsenter", "--net=/proc/\(space.pid)/ns/net", "/usr/sbin/ip"] + words, input: "")
      #expect(try space.enter { try routing.value.ensure() }, "\(words)")
      #expect(try listed(space) == first)
    }
    #expect(try space.enter { try routing.value.remove() })
    #expect(try listed(space).allSatisfy(\.isEmpty))
    #expect(try space.enter { try routing.value.remove() } == false)
  }

  @Test(
    "NFT-22: a route in our table that is not ours is no route of captured packets, and is not taken for one",
    arguments: [
      ["-4", "unicast", "default", "dev", "v0"], ["-4", "local", "default", "dev", "v0"],
      ["-4", "local", "default", "dev", "lo", "metric", "5"], ["-4", "unreachable", "default"],
      ["-4", "unicast", "11.66.0.0/16", "dev", "v0"], ["-6", "unicast", "default", "dev", "v0"],
      ["-6", "local", "default", "dev", "v0", "metric", "1"], ["-6", "unicast", "2a0e::/16", "dev", "v0"],
    ])
  func strangers(route: [String]) throws {
    let space = try Namespace()
    try space.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    try space.run("ip", "link", "set", "v0", "up")
    let words = [route[0], "route", "add"] + route.dropFirst() + ["table", "17767"]
    _ = try space.run("sh", "-ec", "ip " + words.joined(separator: " "))
    let before = try space.run("ip", route[0], "route", "show", "table", "17767").output
    let routing = try space.enter { Box(try PolicyRouting(withIPv6: true)) }
    let isOurs = route.contains("lo")
    let refused = try space.enter {
      problem { () throws(NetfilterError) in _ = try routing.value.ensure() }
    }
    let family = route[0] == "-6" ? "-6 " : ""
    #expect(refused == (isOurs ? nil : .occupied("ip \(family)route show table 17767")), "\(route)")
    if !isOurs {
      #expect(try space.run("ip", route[0], "route", "show", "table", "17767").output == before)
      try space.run("sh", "-ec", "ip " + words.joined(separator: " ").replacing(" add ", with: " del "))
      #expect(try space.enter { try routing.value.ensure() }, "the control: without it ours is made")
    }
  }

  @Test("ip(8) makes the same of the commands that are printed")
  func commands() throws {
    let byHand = try Namespace(), byUs = try Namespace()
    for command in PolicyRouting.commands { try byHand.run("sh", "-ec", command) }
    _ = try byUs.enter { try PolicyRouting(withIPv6: true).ensure() }
    let plain = { (lines: [String]) in
      lines.map { $0.replacing("proto static ", with: "").replacing("proto boot ", with: "") }
    }
    #expect(try plain(listed(byUs)) == plain(listed(byHand)))
  }

  @Test("devices are read with number, state and bridge")
  func links() throws {
    let space = try Namespace()
    try space.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    try space.run("ip", "link", "set", "v0", "up")
    let links = try space.enter { try NetworkLink.all() }
    let json = try space.run("ip", "-j", "link").output
    let listed = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [[String: Any]])
    #expect(links.map(\.name) == listed.compactMap { $0["ifname"] as? String })
    #expect(links.map { Int($0.index) } == listed.compactMap { $0["ifindex"] as? Int })
    #expect(links.filter(\.isUp).map(\.name).sorted() == ["lo", "v0"])
    #expect(links.allSatisfy { $0.master == nil })
    try #require(try space.run("ip", "link", "add", "b0", "type", "bridge", mayFail: true).status == 0)
    try space.run("ip", "link", "set", "v1", "master", "b0")
    let after = try space.enter { try NetworkLink.all() }
    #expect(after.first { $0.name == "v1" }?.master == after.first { $0.name == "b0" }?.index)
  }
}

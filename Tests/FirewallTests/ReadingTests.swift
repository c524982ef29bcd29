import Addressing
import Foundation
import Testing

@testable import Firewall

/// What is read back from the kernel: counters, elements, tables, logged
/// packets, tracked flows and notices of change.
@Suite(.enabled(if: mayMakeNamespaces, "needs root and nft(8)")) struct ReadingTests {
  private static let name = TableName(.inet, "exitgate")

  /// Logs and counts datagrams to 127.0.0.1 port 9, and lets them pass.
  private static let logging = Table(
    name, sets: [Grants.raw4, Grants.raw6, Grants.live],
    chains: [
      Chain(
        "out", .init(.filter, .output, priority: 0, policy: .accept),
        rules: [
          Rule(
            .compare(.udpDestinationPort, .port(9)), .log(group: 5, snaplen: 64, prefix: "exitgate:deny"),
            .counter,
            .setConnectionMark(7), comment: "denied")
        ])
    ])

  @Test("counters, elements and tables are read as they were written")
  func tables() throws {
    let space = try Namespace()
    try space.run("nft", "add table inet exitgate_other")
    try space.enter {
      let socket = try NetfilterSocket()
      var table = Self.logging
      table.sets[2].elements = [Grants.liveElement(1), Grants.liveElement(7)]
      try socket.claim([table])
      let learned = Grants.learned(.v6(high: 1, low: 2), port: 443, mark: 7, timeout: .seconds(300))
      try socket.add([learned.element], to: learned.set, of: Self.name)
      let stored = try socket.elements(of: learned.set, in: Self.name)
      #expect(stored.map(\.key) == [[.address(.v6(high: 1, low: 2)), .number(17), .number(443)]])
      #expect(stored.first?.data == .number(7) && stored.first?.timeout == .seconds(300))
      #expect(stored.first?.expiration.map { $0 > .seconds(290) && $0 <= .seconds(300) } == true)
      #expect(
        Set(try socket.elements(of: Grants.live, in: Self.name).map(\.key)) == [[.number(1)], [.number(7)]])
      #expect(try socket.elements(of: Grants.raw4, in: Self.name).isEmpty)
      #expect(
        problem { () throws(NetfilterError) in
          _ = try socket.elements(of: Grants.raw4, in: TableName(.inet, "x"))
        } == .absent)
      #expect(
        try socket.tables(prefix: "exitgate").sorted { $0.name.name < $1.name.name } == [
          ListedTable(name: Self.name, isOwned: true, isPersistent: true),
          ListedTable(name: TableName(.inet, "exitgate_other"), isOwned: false, isPersistent: false),
        ])
      #expect(try socket.counters(in: Self.name).map(\.packets) == [0])
    }
    try space.run("/usr/bin/python3", "-c", Scripts.datagrams, "127.0.0.1", "9", "3")
    try space.enter {
      let counters = try NetfilterSocket().counters(in: Self.name)
      #expect(counters == [RuleCounter(chain: "out", comment: "denied", packets: 3, bytes: 3 * 32)])
    }
  }

  @Test("logged packets come with addresses, ports, user and numbers; what did not fit is counted")
  func log() throws {
    let space = try Namespace()
    let log = try space.enter {
      try NetfilterSocket().claim([Self.logging], ownership: .plain)
      return Box(try PacketLog(group: 5))
    }
    #expect(log.value.receive().isEmpty)
    try space.enter {
      let again = problem { () throws(NetfilterError) in _ = try PacketLog(group: 5) }
      #expect(again == .ownedByAnother)
    }
    try space.run(
      "setpriv", "--reuid=1234", "--clear-groups", "/usr/bin/python3", "-c", Scripts.datagrams, "127.0.0.1",
      "9", "4")
    let packets = gather(log.value, count: 4).packets
    #expect(packets.count == 4 && Set(packets.map(\.prefix)) == ["exitgate:deny"])
    #expect(Set(packets.map(\.uid)) == [1234] && Set(packets.map(\.hook)) == [3])
    #expect(Set(packets.compactMap(\.header?.destination)) == [.v4(0x7f00_0001)])
    #expect(packets.allSatisfy { $0.header?.ports?.destination == 9 && $0.outInterface == 1 })
    #expect(packets.compactMap(\.sequence) == [0, 1, 2, 3])

    try space.run("/usr/bin/python3", "-c", Scripts.datagrams, "127.0.0.1", "9", "60000")
    let rest = gather(log.value, count: 60000)
    #expect(rest.isOverrun && rest.packets.count < 60000, "the buffer holds fewer")
    try space.run("/usr/bin/python3", "-c", Scripts.datagrams, "127.0.0.1", "9", "1")
    let last = gather(log.value, count: .max)
    #expect(rest.lost + last.lost + UInt64(rest.packets.count + last.packets.count) == 60001)
  }

  private func gather(_ log: PacketLog, count: Int) -> PacketLog.Delivery {
    var all = PacketLog.Delivery()
    var end = ContinuousClock.now + .seconds(1)
    while all.packets.count < count, ContinuousClock.now < end {
      let some = log.receive()
      // A busy machine reads slowly: it ends once nothing has come for a second.
      if some.isEmpty { usleep(10000) } else { end = ContinuousClock.now + .seconds(1) }
      all.packets += some.packets
      all.lost += some.lost
      all.isOverrun = all.isOverrun || some.isOverrun
    }
    return all
  }

  @Test("tracked flows are deleted by their mark, of both families, and no others")
  func conntrack() throws {
    let space = try Namespace()
    try space.enter { try NetfilterSocket().claim([Self.logging], ownership: .plain) }
    for address in ["127.0.0.1", "::1"] {
      try space.run("/usr/bin/python3", "-c", Scripts.datagrams, address, "9", "1")
      try space.run("/usr/bin/python3", "-c", Scripts.datagrams, address, "10", "1")
    }
    try space.enter {
      let socket = try ConntrackSocket()
      let marked = try socket.flows(mark: 7)
      #expect(Set(marked.map(\.destination)) == [.v4(0x7f00_0001), .v6(high: 0, low: 1)])
      #expect(marked.allSatisfy { $0.destinationPort == 9 && $0.transport == 17 && $0.mark == 7 })
      #expect(try socket.delete(mark: 7) == 2)
      #expect(try socket.delete(mark: 7) == 0)
      #expect(try socket.delete(marks: []) == 0)
      #expect(Set(try socket.flows().filter { $0.destinationPort == 10 }.map(\.mark)) == [0])
      #expect(try socket.flows().filter { $0.destinationPort == 10 }.count == 2)
    }
  }

  @Test("NFT-22: what somebody else does to our table is told; what we do, and other tables, is not")
  func watch() throws {
    let space = try Namespace()
    let watch = try space.enter {
      let socket = try NetfilterSocket()
      let watch = try TableWatch(tables: [Self.name], ownPorts: [socket.portID])
      try socket.claim([Self.logging], ownership: .plain)
      try socket.add([Grants.liveElement(3)], to: Grants.live, of: Self.name)
      return Box(watch)
    }
    try space.run("nft", "add table inet another")
    #expect(watch.value.receive().isEmpty)
    try space.run("nft", "add rule inet exitgate out accept")
    try space.run("nft", "delete element inet exitgate live { 3 }")
    try space.run("nft", "flush", "ruleset")
    let changes = watch.value.receive().changes
    let told = Set(changes.map { "\($0.object.rawValue) \($0.isDeletion)" })
    #expect(told.isSuperset(of: ["rule false", "element true", "rule true", "chain true", "table true"]))
    #expect(changes.allSatisfy { $0.table == Self.name && $0.portID != 0 })
  }
}

/// Small programs that send what a test needs sent.
enum Scripts {
  /// ADDRESS PORT COUNT: datagrams of four bytes from one socket.
  static let datagrams = """
    import socket, sys
    family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    for _ in range(int(sys.argv[3])):
        try: s.sendto(b'sent', (sys.argv[1], int(sys.argv[2])))
        except OSError as error: print(error)
    """
}

import Addressing
import Testing

@testable import Firewall

/// Packets and attributes are read from bytes that an agent writes.
@Suite struct LoggedPacketTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String, bytes: [UInt8], expected: LoggedPacket.Header?
    var testDescription: String { name }
  }

  static func v4(_ transport: UInt8, fragment: UInt16 = 0, options: Int = 0, _ payload: [UInt8]) -> [UInt8] {
    [0x45 + UInt8(options), 0, 0, 0, 0, 0, UInt8(fragment >> 8), UInt8(fragment & 0xff), 64, transport, 0, 0]
      + [10, 0, 0, 1, 11, 66, 0, 66] + [UInt8](repeating: 1, count: options * 4) + payload
  }

  static func v6(_ next: UInt8, _ payload: [UInt8]) -> [UInt8] {
    [0x60, 0, 0, 0, 0, 0, next, 64] + [UInt8](repeating: 0, count: 15) + [1]
      + [UInt8](repeating: 0, count: 15)
      + [2] + payload
  }

  static func header(
    _ isV4: Bool, _ transport: UInt8, ports: (UInt16, UInt16)? = nil, icmp: (UInt8, UInt8)? = nil
  ) -> LoggedPacket.Header? {
    let ends: [IPAddress] =
      isV4 ? [.v4(0x0a00_0001), .v4(0x0b42_0042)] : [.v6(high: 0, low: 1), .v6(high: 0, low: 2)]
    var packet = v4(0, [])
    if !isV4 { packet = v6(253, []) }
    var header = LoggedPacket.Header(packet: packet[...])
    header?.source = ends[0]
    header?.destination = ends[1]
    header?.transport = transport
    header?.ports = ports.map { .init(source: $0.0, destination: $0.1) }
    header?.icmp = icmp.map { .init(type: $0.0, code: $0.1) }
    return header
  }

  static let ports: [UInt8] = [0x12, 0x34, 0, 53]
  static let cases = [
    Case(name: "udp", bytes: v4(17, ports), expected: header(true, 17, ports: (0x1234, 53))),
    Case(
      name: "tcp behind options", bytes: v4(6, options: 3, ports),
      expected: header(true, 6, ports: (0x1234, 53))),
    Case(name: "icmp", bytes: v4(1, [8, 0]), expected: header(true, 1, icmp: (8, 0))),
    Case(
      name: "a later fragment has no ports", bytes: v4(17, fragment: 1, ports), expected: header(true, 17)),
    Case(
      name: "a first fragment has", bytes: v4(17, fragment: 0x2000, ports),
      expected: header(true, 17, ports: (0x1234, 53))),
    Case(name: "cut off before the ports", bytes: v4(17, [1, 2, 3]), expected: header(true, 17)),
    Case(name: "a protocol without ports", bytes: v4(47, ports), expected: header(true, 47)),
    Case(
      name: "options beyond the end", bytes: v4(17, options: 10, []).prefix(24).map(\.self),
      expected: header(true, 17)),
    Case(name: "a header length below 20", bytes: [0x44] + v4(17, ports).dropFirst(), expected: nil),
    Case(name: "cut off in the header", bytes: Array(v4(17, ports).prefix(19)), expected: nil),
    Case(name: "nothing", bytes: [], expected: nil),
    Case(name: "another version", bytes: [0x50] + v4(17, ports).dropFirst(), expected: nil),
    Case(name: "udp over v6", bytes: v6(17, ports), expected: header(false, 17, ports: (0x1234, 53))),
    Case(name: "icmpv6", bytes: v6(58, [128, 0]), expected: header(false, 58, icmp: (128, 0))),
    Case(
      name: "behind hop-by-hop and destination options",
      bytes: v6(0, [60, 0, 0, 0, 0, 0, 0, 0] + [17, 0, 0, 0, 0, 0, 0, 0] + ports),
      expected: header(false, 17, ports: (0x1234, 53))),
    Case(
      name: "a later v6 fragment", bytes: v6(44, [17, 0, 0, 8, 0, 0, 0, 0] + ports),
      expected: header(false, 17)),
    Case(
      name: "a first v6 fragment", bytes: v6(44, [17, 0, 0, 1, 0, 0, 0, 0] + ports),
      expected: header(false, 17, ports: (0x1234, 53))),
    Case(
      name: "an extension beyond the end", bytes: v6(0, [17, 255, 0, 0, 0, 0, 0, 0]),
      expected: header(false, 17)),
    Case(name: "an extension that is cut off", bytes: v6(43, [17, 0, 0]), expected: header(false, 43)),
    Case(name: "cut off in the v6 header", bytes: Array(v6(17, ports).prefix(39)), expected: nil),
  ]

  @Test("a packet is read as far as it goes", arguments: cases)
  func packet(_ row: Case) {
    #expect(LoggedPacket.Header(packet: row.bytes[...]) == row.expected)
  }

  @Test("whatever the bytes are, reading them ends and traps nowhere")
  func anything() {
    var random = SystemRandomNumberGenerator()
    for round in 0..<20000 {
      let seed = Self.cases[round % Self.cases.count].bytes
      var bytes = round % 3 == 0 ? (0..<Int.random(in: 0...80)).map { _ in UInt8.random(in: 0...255) } : seed
      for _ in 0..<3 where !bytes.isEmpty { bytes[Int.random(in: 0..<bytes.count)] = random.next() }
      bytes = Array(bytes.prefix(Int.random(in: 0...max(1, bytes.count))))
      _ = LoggedPacket.Header(packet: bytes[...])
      let read = NetlinkMessage(bytes[...])
      _ = LoggedPacket(Attributes(bytes[...]))
      _ = TrackedFlow(Attributes(bytes[...]))
      _ = RuleCounter(read?.attributes ?? Attributes([]))
      #expect(Attributes(bytes[...]).reduce(0) { $0 + $1.value.count } <= bytes.count)
    }
  }

  @Test("an attribute that does not fit ends the reading")
  func attributes() {
    let bytes: [UInt8] = [5, 0, 1, 0, 9, 0, 0, 0, 6, 0, 2, 0xc0, 1, 2, 0, 0, 200, 0, 3, 0, 1]
    let seen = Attributes(bytes[...]).map { [$0.type] + $0.value.map(Int.init) }
    #expect(seen == [[1, 9], [2, 1, 2]])
    #expect(Attributes([3, 0, 1, 0, 0, 0]).map(\.type).isEmpty)
  }

  @Test("a message of NFLOG gives prefix, interfaces, user and number")
  func message() {
    var request = Request(subsystem: 4, message: 0, family: 2, flags: 0, resource: 5, sequence: 0)
    request.put(1, [8, 0, 3, 0])
    request.put(10, "exitgate:denied_3")
    request.put(5, UInt32(7))
    request.put(11, UInt32(65534))
    request.put(12, UInt32(41))
    request.put(9, Self.v4(17, Self.ports))
    let packet = NetlinkMessage(request.bytes[...]).map { LoggedPacket($0.attributes) }
    #expect(packet?.heldback == Heldback(.denied, of: 3) && packet?.hook == 3 && packet?.outInterface == 7)
    #expect(packet?.uid == 65534 && packet?.sequence == 41 && packet?.inInterface == nil)
    #expect(packet?.header == Self.header(true, 17, ports: (0x1234, 53)))
  }

  @Test("the name of what is counted together is read in one way only")
  func names() {
    for cause in Heldback.Cause.allCases {
      for agent in [nil, 0, 17] {
        let kind = Heldback(cause, of: agent)
        #expect(Heldback(named: kind.name) == kind && Heldback(prefix: "exitgate:\(kind.name)") == kind)
      }
    }
    for text in ["", "denied_", "denied_x", "denied_1_2", "other", "_1", "exitgate:denied"] {
      #expect(Heldback(named: text) == nil, "\(text)")
    }
    #expect(Heldback(prefix: "denied") == nil)
  }
}

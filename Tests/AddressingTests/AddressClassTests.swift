import Addressing
import Testing

@Suite("Address classes")
struct AddressClassTests {
  static func addressClass(_ text: String) -> AddressClass? { IPAddress(text)?.addressClass }

  static let mapped: [(String, AddressClass)] = [
    ("::ffff:169.254.169.254", .metadata), ("::ffff:a9fe:a9fe", .metadata),
    ("0:0:0:0:0:ffff:7f00:1", .loopback),
    ("::ffff:10.0.0.5", .privateUse), ("::ffff:11.11.0.10", .reserved), ("::ffff:0.0.0.0", .unspecified),
  ]

  @Test("POL-17: an IPv4-mapped address has the class of what it maps", arguments: mapped)
  func mappedClass(_ text: String, _ expected: AddressClass) { #expect(Self.addressClass(text) == expected) }

  static let embedded: [(String, AddressClass)] = [
    ("64:ff9b::a9fe:a9fe", .metadata), ("64:ff9b:1::a9fe:a9fe", .metadata), ("2002:a9fe:a9fe::1", .metadata),
    ("2001:0:4136:e378:8000:63bf:5601:5601", .metadata), ("::ffff:0:a9fe:a9fe", .metadata),
    ("::a9fe:a9fe", .metadata),
    ("2a0e:b107:11::5efe:a9fe:a9fe", .metadata), ("2a0e:b107:11:0:200:5efe:7f00:1", .loopback),
    ("64:ff9b::b0b:a", .reserved),
  ]

  @Test("POL-18: IPv4 inside NAT64, 6to4, Teredo, SIIT, compatible and ISATAP addresses", arguments: embedded)
  func embeddedClass(_ text: String, _ expected: AddressClass) {
    #expect(Self.addressClass(text) == expected)
  }

  @Test("POL-18: a Teredo address hides its client's address by inverting it")
  func teredo() {
    #expect(IPAddress("2001:0:4136:e378:8000:63bf:3fff:fdd2")?.embeddedIPv4 == 0xc000_022d)
  }

  @Test(
    "POL-20: unspecified addresses, however they are written",
    arguments: ["0.0.0.0", "::", "::ffff:0.0.0.0", "0.0.0.1", "0.255.255.255"])
  func unspecified(_ text: String) { #expect(Self.addressClass(text) == .unspecified) }

  struct Block: Sendable, CustomTestStringConvertible {
    var first: String, last: String, addressClass: AddressClass, before: String?, after: String?
    var testDescription: String { "\(first) to \(last)" }
    init(
      _ first: String, _ last: String, _ addressClass: AddressClass, outside before: String?, _ after: String?
    ) {
      (self.first, self.last, self.addressClass, self.before, self.after) = (
        first, last, addressClass, before, after
      )
    }
  }

  static let blocks = [
    Block("0.0.0.0", "0.255.255.255", .unspecified, outside: nil, "1.0.0.0"),
    Block("10.0.0.0", "10.255.255.255", .privateUse, outside: "9.255.255.255", "11.0.0.0"),
    Block("100.64.0.0", "100.127.255.255", .privateUse, outside: "100.63.255.255", "100.128.0.0"),
    Block("127.0.0.0", "127.255.255.255", .loopback, outside: "126.255.255.255", "128.0.0.0"),
    Block("169.254.0.0", "169.254.255.255", .metadata, outside: "169.253.255.255", "169.255.0.0"),
    Block("172.16.0.0", "172.31.255.255", .privateUse, outside: "172.15.255.255", "172.32.0.0"),
    Block("192.0.0.0", "192.0.0.255", .reserved, outside: "191.255.255.255", "192.0.1.0"),
    Block("192.0.2.0", "192.0.2.255", .reserved, outside: "192.0.1.255", "192.0.3.0"),
    Block("192.88.99.0", "192.88.99.255", .reserved, outside: "192.88.98.255", "192.88.100.0"),
    Block("192.168.0.0", "192.168.255.255", .privateUse, outside: "192.167.255.255", "192.169.0.0"),
    Block("198.18.0.0", "198.19.255.255", .reserved, outside: "198.17.255.255", "198.20.0.0"),
    Block("198.51.100.0", "198.51.100.255", .reserved, outside: "198.51.99.255", "198.51.101.0"),
    Block("203.0.113.0", "203.0.113.255", .reserved, outside: "203.0.112.255", "203.0.114.0"),
    Block("224.0.0.0", "239.255.255.255", .multicast, outside: "223.255.255.255", nil),
    Block("240.0.0.0", "255.255.255.254", .reserved, outside: nil, nil),
    Block("255.255.255.255", "255.255.255.255", .broadcast, outside: nil, nil),
    Block("100.100.100.200", "100.100.100.200", .metadata, outside: nil, nil),
    Block("168.63.129.16", "168.63.129.16", .metadata, outside: "168.63.129.15", "168.63.129.17"),
    Block("::", "::", .unspecified, outside: nil, nil), Block("::1", "::1", .loopback, outside: nil, nil),
    Block(
      "100::", "100::ffff:ffff:ffff:ffff", .reserved, outside: "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
      "100:0:0:2::"),
    Block("2001:2::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", .reserved, outside: nil, "2001:200::"),
    Block(
      "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", .reserved,
      outside: "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"),
    Block(
      "2002::", "2002:00ff::", .unspecified, outside: "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"),
    Block("2002:b0b:a::", "2002:b0b:a:ffff:ffff:ffff:ffff:ffff", .reserved, outside: nil, nil),
    Block(
      "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", .reserved,
      outside: "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"),
    Block(
      "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .reserved,
      outside: "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "5f01::"),
    Block(
      "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .privateUse,
      outside: "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"),
    Block("fd00:ec2::254", "fd00:ec2::254", .metadata, outside: nil, nil),
    Block(
      "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .metadata,
      outside: "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil),
    Block("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .privateUse, outside: nil, nil),
    Block("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", .multicast, outside: nil, nil),
  ]

  @Test(
    "POL-22: the first and the last address of each special range, and their neighbours", arguments: blocks)
  func block(_ block: Block) {
    #expect(Self.addressClass(block.first) == block.addressClass)
    #expect(Self.addressClass(block.last) == block.addressClass)
    for neighbour in [block.before, block.after].compactMap(\.self) {
      #expect(Self.addressClass(neighbour) == .global, "\(neighbour)")
    }
  }

  @Test(
    "POL-22: public addresses are global",
    arguments: ["1.1.1.1", "11.11.0.10", "11.66.0.66", "2a0e:b107:11::10", "2606:4700::1111", "64:ff9c::1"])
  func global(_ text: String) { #expect(Self.addressClass(text) == .global) }
}

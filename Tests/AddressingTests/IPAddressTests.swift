import Addressing
import Foundation
import Testing

@Suite("Addresses")
struct IPAddressTests {
  /// What the C library reads; it takes zones in none of these.
  static func naive(_ text: String) -> IPAddress? {
    var v4 = in_addr(), v6 = in6_addr()
    if inet_pton(AF_INET, text, &v4) == 1 {
      return withUnsafeBytes(of: v4) { IPAddress(networkOrder: Array($0)) }
    }
    if inet_pton(AF_INET6, text, &v6) == 1 {
      return withUnsafeBytes(of: v6) { IPAddress(networkOrder: Array($0)) }
    }
    return nil
  }

  static func naiveText(_ address: IPAddress) -> String {
    var buffer = [CChar](repeating: 0, count: 64)
    inet_ntop(address.isV4 ? AF_INET : AF_INET6, address.bytes, &buffer, 64)
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
  }

  static let spellings = [
    "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8", "2001:DB8::A",
    "::ffff:1.2.3.4",
    "64:ff9b::192.0.2.1", "1:2:3:4:5:6:1.2.3.4", "0:0:0:0:0:0:0:0", "fe80::0001",
    ":", ":::", "1", "1:", ":1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::1.2.3",
    "::1.2.3.4.5",
    "1.2.3.4::", "::01.2.3.4", "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "", "1.2.3.4",
    "0.0.0.0", "1.2.3", "01.2.3.4",
    "255.255.255.255", "256.1.1.1", "1.2.3.4.", ".1.2.3.4", "1..2.3", "1.2.3.4 ", "+1.2.3.4", "1.2.3.-4",
    "::1%lo", "[::1]",
  ]

  @Test("Literals are read as the C library reads them", arguments: spellings)
  func spelling(_ text: String) {
    #expect(IPAddress(text) == Self.naive(text))
  }

  @Test("Random spellings agree with the C library")
  func randomSpellings() {
    var random = SeededRandom(state: 4)
    let pieces = ["0", "1", "ab", "ffff", ":", "::", "1.2.3.4", ".", "12345", "255"]
    for _ in 0..<20_000 {
      let text = (0..<Int.random(in: 1...12, using: &random)).map { _ in
        pieces.randomElement(using: &random) ?? ""
      }.joined()
      #expect(IPAddress(text) == Self.naive(text), "\(text)")
    }
  }

  @Test("Random addresses print as RFC 5952 says and read as themselves")
  func roundTrip() throws {
    var random = SeededRandom(state: 4)
    for _ in 0..<3000 {
      let mask = {
        (0..<8).reduce(UInt64(0)) { sum, _ in
          sum << 16 | (Bool.random(using: &random) ? 0 : UInt64.random(in: 0...0xffff, using: &random))
        }
      }
      let address = IPAddress.v6(high: mask(), low: mask())
      #expect(IPAddress(address.description) == address)
      let isPlain = address.embeddedIPv4 == nil
      if isPlain { #expect(address.description == Self.naiveText(address)) }
      #expect(IPAddress(networkOrder: address.bytes) == address)
    }
    #expect(
      IPAddress.v4(0x7f00_0001).description == "127.0.0.1" && IPAddress(networkOrder: [1, 2, 3]) == nil)
  }

  @Test("Blocks hold what their first bits say, and never the other family")
  func prefixes() throws {
    var random = SeededRandom(state: 4)
    for _ in 0..<2000 {
      let length = Int.random(in: 0...32, using: &random),
        value = UInt32.random(in: 0...UInt32.max, using: &random)
      let mask = length == 0 ? 0 : UInt32.max << UInt32(32 - length),
        other = value ^ (1 << UInt32.random(in: 0...31, using: &random))
      let prefix = try #require(IPPrefix(.v4(value & mask), length: length))
      #expect(prefix.contains(.v4(value)) && prefix.contains(.v4(other)) == (other & mask == value & mask))
      #expect(!prefix.contains(.v6(high: 0, low: UInt64(value))))
      #expect(IPPrefix(prefix.description) == prefix)
    }
    for bad in [
      "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/08/1", "10.0.0.0/08", "::/00", "/8",
      "10.0.0.0/-1", "::1/64",
      "x/8",
    ] {
      #expect(IPPrefix(bad) == nil, "\(bad)")
    }
  }

  @Test("Endpoints read addresses alone")
  func endpoints() {
    #expect(
      Endpoint("127.0.0.1:53")?.description == "127.0.0.1:53"
        && Endpoint("[::1]:53")?.description == "[::1]:53")
    #expect(Endpoint("::1", defaultPort: .domain)?.description == "[::1]:53")
    #expect(Endpoint("localhost:53") == nil && Endpoint("127.0.0.1") == nil && Endpoint("127.0.0.1:0") == nil)
  }
}

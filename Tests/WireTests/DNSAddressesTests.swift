import Addressing
import Testing

@testable import Wire

@Suite("Plain answers of addresses")
struct DNSAddressesTests {
  private static let v4 = RealDNSPacket.addresses, v6 = RealDNSPacket.address6

  private func query(for packet: [UInt8]) throws -> DNSQuery {
    let response = try DNSResponse(packet)
    return DNSQuery(id: response.header.id, question: response.question)
  }

  private func read(_ packet: [UInt8], _ query: DNSQuery) -> DNSAddresses? {
    DNSAddresses(packet.span, answering: query)
  }

  @Test("unbound's addresses are read")
  func real() throws {
    let four = try #require(read(Self.v4, try query(for: Self.v4)))
    #expect(four.addresses == [.v4(0x0b0b_000a), .v4(0x0b0b_000b)])
    #expect(four.timeToLive == 300)
    let six = try #require(read(Self.v6, try query(for: Self.v6)))
    #expect(six.addresses == [try #require(IPAddress("2a0e:b107:11::10"))])
    #expect(six.timeToLive == 60)
  }

  @Test("An address that comes twice counts once; the shortest time to live counts")
  func repeated() throws {
    var packet = Self.v4
    replaceSecondRecord(of: &packet, lifetime: 7, address: 0x0b0b_000a)
    let once = try #require(read(packet, try query(for: Self.v4)))
    #expect(once.addresses == [.v4(0x0b0b_000a)] && once.timeToLive == 7)
  }

  @Test(
    "Anything else is left to the general reader",
    arguments: [
      RealDNSPacket.alias, RealDNSPacket.nameError, RealDNSPacket.noData, RealDNSPacket.truncated,
    ])
  func others(_ packet: [UInt8]) throws {
    #expect(read(packet, try query(for: packet)) == nil)
  }

  @Test("Another id, another spelling or another type is no answer to the query")
  func mismatches() throws {
    let asked = try query(for: Self.v4)
    var other = asked
    other.id ^= 1
    #expect(read(Self.v4, other) == nil)
    other = asked
    other.question.name = DNSName(checked: asked.question.name.wire.map { $0 == 0x77 ? 0x57 : $0 })
    #expect(read(Self.v4, other) == nil)
    other = asked
    other.question.type = .aaaa
    #expect(read(Self.v4, other) == nil)
    #expect(read(Self.v4, asked) != nil)
  }

  @Test("Whatever is read is read the same by the general reader, and every cut is refused")
  func agreement() throws {
    var generator = DNSSeededGenerator(state: 20), taken = 0
    for packet in [Self.v4, Self.v6] {
      let asked = try query(for: packet)
      for count in packet.indices { #expect(read(Array(packet[..<count]), asked) == nil) }
      for _ in 0..<20_000 {
        var changed = packet
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
          changed[Int.random(in: changed.indices, using: &generator)] = .random(
            in: 0...255, using: &generator)
        }
        guard let plain = read(changed, asked) else { continue }
        taken += 1
        #expect(try generally(changed, asked) == plain)
      }
    }
    #expect(taken > 1000)
  }

  /// The same by `DNSResponse`.
  private func generally(_ packet: [UInt8], _ asked: DNSQuery) throws -> DNSAddressesLike {
    let (response, sections) = try readDNSResponse(packet)
    #expect(response.header.id == asked.id && response.question == asked.question && !response.isTruncated)
    #expect(sections.responseCode == .noError && sections.authorities.isEmpty)
    #expect(sections.answers.allSatisfy { $0.owner == asked.question.name && $0.type == asked.question.type })
    var addresses: [IPAddress] = []
    for case .address(let address) in sections.answers.map(\.data) where !addresses.contains(address) {
      addresses.append(address)
    }
    return DNSAddressesLike(addresses, try #require(sections.answers.map(\.effectiveTTL).min()))
  }

  private func replaceSecondRecord(of packet: inout [UInt8], lifetime: UInt8, address: UInt32) {
    let options = 11, start = packet.count - options - 16
    #expect(packet[start] == 0xc0)
    packet.replaceSubrange((start + 6)..<(start + 10), with: [0, 0, 0, lifetime])
    packet.replaceSubrange(
      (start + 12)..<(start + 16), with: (0..<4).map { UInt8(truncatingIfNeeded: address >> (24 - 8 * $0)) })
  }
}

private struct DNSAddressesLike {
  let addresses: [IPAddress], timeToLive: UInt32

  init(_ addresses: [IPAddress], _ timeToLive: UInt32) {
    (self.addresses, self.timeToLive) = (addresses, timeToLive)
  }

  static func == (left: Self, right: DNSAddresses) -> Bool {
    left.addresses == right.addresses && left.timeToLive == right.timeToLive
  }
}

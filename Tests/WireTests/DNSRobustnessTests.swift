import Addressing
import Testing

@testable import Wire

@Suite("DNS messages that are none")
struct DNSRobustnessTests {
  static let packets = RealDNSPacket.all + [RealDNSPacket.query]

  @Test("DNS-15: every shorter prefix of a real message is refused, the whole is taken", arguments: packets)
  func prefixes(_ packet: [UInt8]) {
    for length in 0..<packet.count {
      let prefix = Array(packet[..<length])
      #expect(throws: DNSError.self) { try DNSQuery.parse(prefix) }
      #expect(throws: DNSError.self) { try readDNSResponse(prefix) }
    }
    let isTaken = (try? DNSQuery.parse(packet)) != nil || (try? readDNSResponse(packet)) != nil
    #expect(isTaken)
  }

  @Test("DNS-15: 100,000 random mutations end in a value or an error")
  func mutations() {
    var generator = DNSSeededGenerator(state: 15)
    var taken = 0, refused = 0
    for round in 0..<100_000 {
      let packet = mutate(Self.packets[round % Self.packets.count], &generator)
      do {
        if round % Self.packets.count == Self.packets.count - 1 {
          check(try DNSQuery.parse(packet))
        } else {
          try readDNSResponse(packet).1.answers.forEach(check)
        }
        taken += 1
      } catch { refused += 1 }
    }
    #expect(taken > 1000)
    #expect(refused > 1000)
  }

  @Test("DNS-13: 64 KiB of pointers to pointers cost a bounded number of steps")
  func pointerFlood() throws {
    // 5,000 owners, each a pointer to the longest chain that stands before it.
    var message = dnsHex("1234 8180 0001 1388 0000 0000 00 0001 0001")
    while message.count < 16_000 {
      message += [0xc0 | UInt8((message.count - 2) >> 8), UInt8((message.count - 2) & 0xff)]
    }
    let clock = ContinuousClock()
    let time = clock.measure {
      #expect(throws: DNSError.self) { try DNSResponse(message).sections() }
    }
    #expect(time < .seconds(1))
  }

  /// Changes one to four bytes, and now and then the length.
  private func mutate(_ packet: [UInt8], _ generator: inout DNSSeededGenerator) -> [UInt8] {
    var packet = packet
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
      packet[Int.random(in: packet.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
    }
    switch Int.random(in: 0..<8, using: &generator) {
    case 0: packet.removeLast(Int.random(in: 0...packet.count, using: &generator))
    case 1: packet += (0..<Int.random(in: 1...40, using: &generator)).map { UInt8($0) }
    default: break
    }
    return packet
  }

  /// What was read must hold its own promises.
  private func check(_ query: DNSQuery) {
    #expect(query.question.name.wire.count <= DNSName.maximumLength)
    #expect((try? DNSQuery.parse(query.encoded).question) == query.question)
  }

  private func check(_ record: DNSRecord) {
    #expect(record.owner.wire.count <= DNSName.maximumLength)
    if let host = record.owner.hostname { #expect(DNSName(host) == record.owner.folded) }
  }
}

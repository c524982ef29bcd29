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

  @Test("DNS-15: 100,000 random mutations end in a value that keeps its promises, or in an error")
  func mutations() {
    var generator = DNSSeededGenerator(state: 15)
    var good = 0, broken = 0, refused = 0
    for round in 0..<100_000 {
      let place = round % Self.packets.count
      let packet = mutate(Self.packets[place], &generator)
      let isQuery = place == Self.packets.count - 1
      switch isQuery ? keepsPromises(query: packet) : keepsPromises(response: packet) {
      case true?: good += 1
      case false?: broken += 1
      case nil: refused += 1
      }
    }
    #expect(broken == 0)
    #expect(good > 1000)
    #expect(refused > 1000)
  }

  @Test(
    "DNS-13: 64 KiB of owners at the end of a pointer chain: read while the chain is 127 long, else refused")
  func pointerFlood() throws {
    #expect(try DNSResponse(flood(chain: 126)).sections().answers.count > 5000)
    // 8,000 pointers for each of 4,000 owners would be 32 million steps.
    #expect(throws: DNSError.badPointer) { try DNSResponse(flood(chain: 8000)).sections() }
  }

  /// A record whose data is a chain of pointers, then records owned by its end.
  private func flood(chain: Int) -> [UInt8] {
    var message = dnsHex("1234 8180 0001 0000 0000 0000 00 0001 0001")
    message += dnsHex("00 000a 0001 00000000") + [UInt8(chain * 2 >> 8), UInt8(chain * 2 & 0xff)]
    var target = 12
    for _ in 0..<chain {
      let place = message.count
      message += [0xc0 | UInt8(target >> 8), UInt8(target & 0xff)]
      target = place
    }
    let owned = [0xc0 | UInt8(target >> 8), UInt8(target & 0xff)] + dnsHex("000a 0001 00000000 0000")
    let count = (65_535 - message.count) / owned.count
    message[6...7] = [UInt8((count + 1) >> 8), UInt8((count + 1) & 0xff)]
    return message + [[UInt8]](repeating: owned, count: count).flatMap { $0 }
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

  /// Whether what was read can be sent and read again; nil when it was refused.
  private func keepsPromises(query packet: [UInt8]) -> Bool? {
    guard let query = try? DNSQuery.parse(packet) else { return nil }
    return (try? DNSQuery.parse(query.encoded))?.question == query.question
  }

  /// Whether every owner is a name, and one that is a host the same host.
  private func keepsPromises(response packet: [UInt8]) -> Bool? {
    guard let (_, sections) = try? readDNSResponse(packet) else { return nil }
    return sections.answers.map(\.owner).allSatisfy { owner in
      owner.wire.count <= DNSName.maximumLength && owner.hostname.map { DNSName($0) == owner.folded } ?? true
    }
  }
}

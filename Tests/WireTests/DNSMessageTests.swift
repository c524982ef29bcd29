import Addressing
import Testing

@testable import Wire

@Suite("DNS messages")
struct DNSMessageTests {
  @Test("unbound's addresses are read, with the spelling of the question kept apart")
  func addresses() throws {
    let (response, sections) = try readDNSResponse(RealDNSPacket.addresses)
    #expect(response.header.id == 0x1234)
    #expect(response.question == DNSQuestion(DNSName(try Hostname("www.example.test")), .a))
    #expect(sections.responseCode == .noError)
    #expect(sections.answers.map(\.data) == [.address(.v4(0x0b0b_000a)), .address(.v4(0x0b0b_000b))])
    #expect(sections.answers.map(\.ttl) == [300, 300])
    #expect(sections.edns?.payloadSize == 1232)
  }

  @Test("unbound's IPv6 address is read")
  func address6() throws {
    let (_, sections) = try readDNSResponse(RealDNSPacket.address6)
    #expect(sections.answers.map(\.data) == [.address(try #require(IPAddress("2a0e:b107:11::10")))])
  }

  @Test("unbound's alias is read, its compressed target expanded")
  func alias() throws {
    let (_, sections) = try readDNSResponse(RealDNSPacket.alias)
    #expect(sections.answers.map(\.data) == [.canonicalName(DNSName(try Hostname("www.example.test")))])
  }

  @Test("unbound's denials carry the zone's SOA", arguments: [RealDNSPacket.nameError, RealDNSPacket.noData])
  func denial(_ packet: [UInt8]) throws {
    let (_, sections) = try readDNSResponse(packet)
    #expect(sections.answers.isEmpty)
    #expect(sections.authorities.map(\.data) == [.startOfAuthority(minimum: 30)])
    #expect(sections.authorities.map(\.owner.description) == ["example.test"])
    #expect(sections.responseCode == (packet == RealDNSPacket.noData ? .noError : .nameDoesNotExist))
  }

  @Test("A truncated response tells so before its records are read, whatever they are")
  func truncated() throws {
    let response = try DNSResponse(RealDNSPacket.truncated.dropLast(5).map { $0 })
    #expect(response.isTruncated)
    #expect(throws: DNSError.truncated) { try response.sections() }
  }

  @Test("EDNS's upper bits belong to the response code")
  func extendedCode() throws {
    var packet = RealDNSPacket.addresses
    packet[packet.count - 6] = 1
    #expect(try readDNSResponse(packet).1.responseCode == DNSResponseCode(rawValue: 16))
  }

  @Test(
    "A time to live with the top bit set is 0",
    arguments: [(0, 0), (1, 1), (0x7fff_ffff, 0x7fff_ffff), (0x8000_0000, 0), (0xffff_ffff, 0)]
      as [(UInt32, UInt32)])
  func timeToLive(_ sent: UInt32, _ counts: UInt32) throws {
    var packet = RealDNSPacket.addresses
    packet.replaceSubrange(40..<44, with: (0..<4).map { UInt8(truncatingIfNeeded: sent >> (24 - 8 * $0)) })
    #expect(try readDNSResponse(packet).1.answers.first?.effectiveTTL == counts)
  }

  @Test("A query of our own has RD, one question and EDNS of 1232 bytes, and nothing else")
  func ownQuery() throws {
    let query = DNSQuery(id: 0xbeef, question: DNSQuestion(DNSName(try Hostname("allowed.test")), .aaaa))
    let expected =
      "beef 0100 0001 0000 0000 0001 07616c6c6f776564 0474657374 00 001c 0001 000029 04d0 00000000 0000"
    #expect(query.encoded == dnsHex(expected))
    #expect(try DNSQuery.parse(query.encoded) == query)
  }

  @Test("A stub resolver's query is read")
  func clientQuery() throws {
    let query = try DNSQuery.parse(RealDNSPacket.query)
    #expect(query.question == DNSQuestion(DNSName(try Hostname("allowed.test")), .a))
    #expect(query.recursionDesired)
    #expect(query.edns == EDNS(payloadSize: 4000, dnssecOK: true))
  }

  struct Refused: Sendable, CustomTestStringConvertible {
    var query: String, error: DNSError, because: String
    var testDescription: String { because }
  }

  static let name = "07616c6c6f776564 0474657374 00 "
  static let refused: [Refused] = [
    Refused(
      query: "1234 8180 0001 0000 0000 0000" + name + "0001 0001", error: .wrongDirection,
      because: "DNS-16: a response"),
    Refused(
      query: "1234 2800 0001 0000 0000 0000" + name + "0001 0001", error: .unsupportedOpcode,
      because: "DNS-16: UPDATE"),
    Refused(
      query: "1234 0100 0001 0000 0000 0000" + name + "0001 0003", error: .unsupportedClass,
      because: "DNS-16: CHAOS"),
    Refused(query: "1234 0100 0000 0000 0000 0000", error: .wrongCounts, because: "DNS-16: no question"),
    Refused(
      query: "1234 0100 0002 0000 0000 0000" + name
        + "0001 0001 0a73656372657464617461 046576696c 0474657374 00 0001 0001",
      error: .wrongCounts, because: "DNS-11: two questions"),
    Refused(
      query: "1234 0100 0002 0000 0000 0000" + name + "0001 0001", error: .wrongCounts,
      because: "DNS-15: two questions told, one there"),
    Refused(
      query: "1234 0100 0001 0001 0000 0000" + name + "0001 0001" + name + "0001 0001 0000003c 0004 0b0b000a",
      error: .wrongCounts, because: "DNS-12: an answer in a query"),
    Refused(
      query: "1234 0100 0001 0000 0000 0000" + name + "0001 0001 00", error: .trailingBytes,
      because: "DNS-15: a byte behind the end"),
    Refused(
      query: "1234 0100 0001 0000 0000 0002" + name
        + "0001 0001 0000291000000000000000 0000291000000000000000",
      error: .badOptions, because: "two OPT records"),
    Refused(
      query: "1234 0100 0001 0000 0000 0001" + name + "0001 0001 0161000029100000000000 0000",
      error: .badOptions,
      because: "an OPT record that is not the root's"),
    Refused(
      query: "1234 0100 0001 0000 0000 0000 c00c 0001 0001", error: .badPointer,
      because: "DNS-13: a question that points at itself"),
    Refused(
      query: "1234 0100 0001 0000 0000 0000 03777777 c016 0001 0001 c010", error: .badPointer,
      because: "DNS-13: a question that points forward"),
    Refused(query: "1234 0100 0001 0000 0000", error: .truncated, because: "half a header"),
  ]

  @Test("What is no query with one question is refused", arguments: refused)
  func refusal(_ c: Refused) {
    #expect(throws: c.error) { try DNSQuery.parse(dnsHex(c.query)) }
  }

  @Test("DNS-12: what a client puts beside its question is dropped, not kept")
  func payload() throws {
    let text = "046c65616b 046576696c 0474657374 00 0010 0001 0000003c 0007 06736563726574"
    let option = "00 0029 1000 00000000 0008 fde9 0004 de ad be ef"
    let query = try DNSQuery.parse(
      dnsHex("1234 0100 0001 0000 0000 0002" + Self.name + "0001 0001" + text + option))
    #expect(
      query.encoded == DNSQuery(id: 0x1234, question: query.question).encoded.dropLast(8)
        + dnsHex("1000 00000000 0000"))
  }

  @Test(
    "A record whose data does not fit its type is refused",
    arguments: [
      ("0001 0001 0000003c 0003 0b0b00", "an A of three bytes"),
      ("001c 0001 0000003c 0004 0b0b000a", "an AAAA of four bytes"),
      ("0005 0001 0000003c 0003 c00c 00", "a byte behind the target"),
      ("0006 0001 0000003c 0004 c00c c00c", "an SOA without numbers"),
    ])
  func badData(_ record: String, _ because: String) throws {
    let response = try DNSResponse(
      dnsHex("1234 8180 0001 0001 0000 0000" + Self.name + "0001 0001 c00c" + record))
    #expect(throws: DNSError.self, "\(because)") { try response.sections() }
  }

  @Test("DNS-16: addresses of another class are not read as addresses")
  func otherClass() throws {
    let record = "c00c 0001 0003 0000003c 0004 0b0b000a"
    let (_, sections) = try readDNSResponse(
      dnsHex("1234 8180 0001 0001 0000 0000" + Self.name + "0001 0001" + record))
    #expect(sections.answers.map(\.data) == [.other(dnsHex("0b0b000a")[...])])
  }
}

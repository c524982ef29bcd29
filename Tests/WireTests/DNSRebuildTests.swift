import Addressing
import Testing

@testable import Wire

@Suite("Records rebuilt for another message")
struct DNSRebuildTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var type: UInt16, sent: String, rebuilt: String, because: String
    var testDescription: String { "type \(type): \(because)" }
  }

  /// The question of `message` is a.test at byte 12: c00c is that name, c00e is test.
  static let cases = [
    Case(type: 2, sent: "c00c", rebuilt: "0161 0474657374 00", because: "NS, a pointer alone"),
    Case(type: 5, sent: "0162 c00e", rebuilt: "0162 0474657374 00", because: "CNAME, a label and a pointer"),
    Case(type: 39, sent: "0474657374 00", rebuilt: "0474657374 00", because: "DNAME, whole already"),
    Case(type: 12, sent: "c00e", rebuilt: "0474657374 00", because: "PTR"),
    Case(
      type: 6, sent: "c00c c00e 0000000100000002000000030000000400000005",
      rebuilt: "0161 0474657374 00 0474657374 00 0000000100000002000000030000000400000005",
      because: "SOA, two names and five numbers"),
    Case(
      type: 17, sent: "c00c c00e", rebuilt: "0161 0474657374 00 0474657374 00", because: "RP, two names"),
    Case(type: 15, sent: "000a c00c", rebuilt: "000a 0161 0474657374 00", because: "MX, a number and a name"),
    Case(
      type: 33, sent: "0001 0002 01bb c00c", rebuilt: "0001 0002 01bb 0161 0474657374 00",
      because: "SRV, three numbers and a name"),
    Case(
      type: 35, sent: "0001 0002 0175 00 0178 c00e", rebuilt: "0001 0002 0175 00 0178 0474657374 00",
      because: "NAPTR, three strings"),
    Case(
      type: 26, sent: "0001 c00c c00e", rebuilt: "0001 0161 0474657374 00 0474657374 00",
      because: "PX, two names"),
    Case(
      type: 24, sent: "000000000000000000000000000000000000 c00c ffff",
      rebuilt: "000000000000000000000000000000000000 0161 0474657374 00 ffff",
      because: "SIG, a signature behind the name"),
    Case(type: 16, sent: "04 74657374", rebuilt: "04 74657374", because: "TXT, copied"),
    Case(type: 16, sent: "01 c0", rebuilt: "01 c0", because: "TXT: what looks like a pointer is text"),
    Case(type: 64, sent: "0001 c00c", rebuilt: "0001 c00c", because: "SVCB: no newer type is compressed"),
    Case(type: 16, sent: "", rebuilt: "", because: "no data at all"),
  ]

  static let broken = [
    Case(type: 2, sent: "c00c 00", rebuilt: "", because: "a byte behind the name"),
    Case(type: 2, sent: "", rebuilt: "", because: "no name"),
    Case(type: 15, sent: "000a", rebuilt: "", because: "no name behind the number"),
    Case(type: 15, sent: "00", rebuilt: "", because: "half a number"),
    Case(type: 2, sent: "0474657374", rebuilt: "", because: "the name runs into the next record"),
    Case(
      type: 35, sent: "0001 0002 ff75 00 0178 c00e", rebuilt: "", because: "a string longer than its record"),
    Case(type: 33, sent: "0001 0002 01bb c0ff", rebuilt: "", because: "a pointer forward"),
  ]

  /// A response with these answers of a.test, in front of one of another name.
  static func message(_ type: UInt16, _ answers: [[UInt8]]) -> [UInt8] {
    let count = answers.count + 1
    let number = [UInt8(type >> 8), UInt8(type & 0xff)]
    var message = dnsHex("1234 8180 0001") + [UInt8(count >> 8), UInt8(count & 0xff)] + dnsHex("0000 0000")
    message += dnsHex("0161 0474657374 00") + number + [0, 1]
    for data in answers {
      message += dnsHex("c00c") + number + dnsHex("0001 0000003c")
      message += [UInt8(data.count >> 8), UInt8(data.count & 0xff)] + data
    }
    return message + dnsHex("c00e 0010 0001 0000003c 0002 0178")
  }

  static func rebuilt(_ message: [UInt8], _ type: UInt16) throws -> [[UInt8]] {
    try DNSRecordRebuild.answers(
      in: message, of: DNSName(try Hostname("A.test")), type: DNSRecordType(rawValue: type))
  }

  @Test("names are written out where a type may hold compressed ones", arguments: cases)
  func whole(_ row: Case) throws {
    let found = try Self.rebuilt(Self.message(row.type, [dnsHex(row.sent)]), row.type)
    #expect(found == [dnsHex(row.rebuilt)], "\(row.because)")
  }

  @Test("data that does not fit its type is refused", arguments: broken)
  func refused(_ row: Case) {
    #expect(throws: DNSError.self) { try Self.rebuilt(Self.message(row.type, [dnsHex(row.sent)]), row.type) }
  }

  @Test("other owners, types and classes are left out, and what is there twice is there once")
  func selected() throws {
    let message = Self.message(16, [dnsHex("0161"), dnsHex("0162"), dnsHex("0161")])
    #expect(try Self.rebuilt(message, 16) == [dnsHex("0161"), dnsHex("0162")])
    #expect(try Self.rebuilt(message, 15).isEmpty)
  }

  @Test("at most 64 records, at most 60,000 bytes")
  func bounds() throws {
    let many = (0..<100).map { [1, UInt8($0)] as [UInt8] }
    #expect(try Self.rebuilt(Self.message(16, many), 16).count == 64)
    let large = (0..<4).map { [UInt8](repeating: UInt8($0), count: 16_000) }
    #expect(try Self.rebuilt(Self.message(16, large), 16).count == 3)
  }

  @Test("100,000 random mutations end in data or in an error")
  func mutations() {
    var generator = DNSSeededGenerator(state: 3597)
    var good = 0
    let messages = (Self.cases + Self.broken).map { ($0.type, Self.message($0.type, [dnsHex($0.sent)])) }
    for round in 0..<100_000 {
      var (type, message) = messages[round % messages.count]
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        message[Int.random(in: message.indices, using: &generator)] =
          UInt8.random(in: 0...255, using: &generator)
      }
      if round % 5 == 0 { message.removeLast(Int.random(in: 0...message.count, using: &generator)) }
      if let found = try? Self.rebuilt(message, type), !found.isEmpty { good += 1 }
    }
    #expect(good > 1000)
  }
}

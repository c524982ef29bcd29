import Addressing
import Testing

@testable import Wire

@Suite("DNS names on the wire")
struct DNSNameTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var message: String, offset: Int, name: String?, end: Int?, error: DNSError?, because: String
    var testDescription: String { because }

    static func good(_ message: String, at offset: Int, _ name: String, end: Int, _ because: String) -> Case {
      Case(message: message, offset: offset, name: name, end: end, error: nil, because: because)
    }
    static func bad(_ message: String, at offset: Int, _ error: DNSError, _ because: String) -> Case {
      Case(message: message, offset: offset, name: nil, end: nil, error: error, because: because)
    }
  }

  /// Twelve bytes stand for the header, into which no pointer may lead.
  static let header = String(repeating: "00", count: 12)

  static let cases: [Case] = [
    .good(header + "00", at: 12, ".", end: 13, "the root"),
    .good(header + "03777777 0474657374 00", at: 12, "www.test", end: 22, "two labels"),
    .good(
      header + "0474657374 00 03777777 c00c", at: 18, "www.test", end: 24, "a pointer to an earlier name"),
    .good(
      header + "0474657374 00 0161 c00c 0162 c012", at: 22, "b.a.test", end: 26, "a pointer to a pointer"),
    .good(header + "01 41 00", at: 12, "A", end: 15, "the case is kept"),
    .good(header + "02 6100 00", at: 12, "a\\000", end: 16, "NUL is a byte like any other here"),
    .bad(header, at: 12, .truncated, "nothing there"),
    .bad(header + "03 7777", at: 12, .truncated, "the label is longer than the message"),
    .bad(header + "0161", at: 12, .truncated, "no root"),
    .bad(header + "c0", at: 12, .truncated, "half a pointer"),
    .bad(header + "4061 00", at: 12, .reservedLabelType, "label type 01"),
    .bad(header + "8061 00", at: 12, .reservedLabelType, "label type 10"),
    .bad(header + "c00c", at: 12, .badPointer, "a pointer to itself"),
    .bad(header + "0161 c00c", at: 12, .badPointer, "a run of labels that runs into its own pointer"),
    .bad(header + "c00e 00", at: 12, .badPointer, "a pointer forward"),
    .bad(header + "c0ff", at: 12, .badPointer, "a pointer past the end"),
    .bad(header + "00 c00b", at: 13, .badPointer, "a pointer into the header"),
    .bad(header + "c00e c00c", at: 14, .badPointer, "two pointers at each other"),
  ]

  @Test("DNS-13: a name is read whole, or refused and nothing moved", arguments: cases)
  func read(_ c: Case) throws {
    var offset = c.offset
    do throws(DNSError) {
      let name = try DNSName.read(from: dnsHex(c.message), at: &offset)
      #expect(name.description == c.name)
      #expect(offset == c.end)
    } catch {
      #expect(error == c.error)
      #expect(offset == c.offset)
    }
  }

  @Test("DNS-13: a chain of 127 pointers is read, one of 128 is refused")
  func pointerChain() throws {
    // Each pointer leads to the one before it, the first to the root.
    func chain(_ count: Int) -> [UInt8] {
      var message = [UInt8](repeating: 0, count: 13)
      var target = 12
      for _ in 0..<count {
        let place = message.count
        message += [0xc0 | UInt8(target >> 8), UInt8(target & 0xff)]
        target = place
      }
      return message
    }
    var offset = chain(127).count - 2
    #expect(try DNSName.read(from: chain(127), at: &offset) == .root)
    offset = chain(128).count - 2
    #expect(throws: DNSError.badPointer) { try DNSName.read(from: chain(128), at: &offset) }
  }

  @Test("DNS-15: 255 bytes are a name, 256 are not, compressed or not")
  func length() throws {
    let label = [UInt8(63)] + [UInt8](repeating: 0x61, count: 63)
    let header = [UInt8](repeating: 0, count: 12)
    let longest = label + label + label + [61] + [UInt8](repeating: 0x62, count: 61) + [0]
    #expect(longest.count == DNSName.maximumLength)
    var offset = 12
    #expect(try DNSName.read(from: header + longest, at: &offset).wire == longest)
    offset = 12
    let tooLong = label + label + label + [62] + [UInt8](repeating: 0x62, count: 62) + [0]
    #expect(throws: DNSError.nameTooLong) { try DNSName.read(from: header + tooLong, at: &offset) }
    offset = 12 + longest.count
    #expect(throws: DNSError.nameTooLong) {
      try DNSName.read(from: header + longest + [1, 0x63, 0xc0, 12], at: &offset)
    }
  }

  @Test(
    "DNS-14: bytes in labels that only look like a host name make none",
    arguments: [
      ("0c616c6c6f7765642e74657374 00", nil, "a dot inside a label is not two labels"),
      ("0c6576696c2e746573740000 61 07616c6c6f776564 0474657374 00", nil, "NUL"),
      ("076c0a6f77656421 0474657374 00", nil, "a newline"),
      ("07616c6c6f5c2e64 0474657374 00", nil, "an escaped dot"),
      ("03e0e1e2 0474657374 00", nil, "eight bits"),
      ("00", nil, "the root is no host"),
      ("0131 0132 0133 0134 00", nil, "an address is no name"),
      ("07616c6c6f776564 0474657374 00", "allowed.test", "control"),
      ("07416c4c6f576544 0454455354 00", "allowed.test", "control: case is folded"),
      ("055f646d6172 0474657374 00", "_dmar.test", "control: underscore"),
    ] as [(String, String?, String)])
  func hostnames(_ wire: String, _ expected: String?, _ because: String) throws {
    var offset = 12
    let message = [UInt8](repeating: 0, count: 12) + dnsHex(wire)
    let name = try DNSName.read(from: message, at: &offset)
    #expect(name.hostname?.text == expected, "\(because)")
    #expect(offset == message.count)
  }

  @Test(
    "A host name goes to the wire and back", arguments: ["a.b", "xn--bcher-kva.example", "_x.y-z.test", "h"])
  func roundTrip(_ text: String) throws {
    let host = try Hostname(text)
    #expect(DNSName(host).hostname == host)
    #expect(DNSName(host).description == text)
  }

  @Test(
    "Below compares whole labels and not case",
    arguments: [
      ("www.example.test", "example.test", true, "below"),
      ("example.test", "EXAMPLE.test", true, "equal but for case"),
      ("badexample.test", "example.test", false, "suffix of a label"),
      ("test", "example.test", false, "above"),
      ("www.example.test", "other.test", false, "elsewhere"),
    ])
  func below(_ name: String, _ ancestor: String, _ expected: Bool, _ because: String) throws {
    var offset = 12
    var message = [UInt8](repeating: 0, count: 12)
    for label in ancestor.split(separator: ".") { message += [UInt8(label.utf8.count)] + Array(label.utf8) }
    let parent = try DNSName.read(from: message + [0], at: &offset)
    #expect(try DNSName(Hostname(name)).isEqualOrBelow(parent) == expected, "\(because)")
    #expect(DNSName(try Hostname(name)).isEqualOrBelow(.root))
  }

  @Test("0x20 changes the case of letters alone, and all of their cases occur")
  func randomCase() throws {
    let host = try Hostname("a1-b_c.example-with-a-long-name-of-more-than-64-letters-in-all-of-it.test")
    var generator = DNSSeededGenerator(state: 1)
    var seen: Set<DNSName> = []
    for _ in 0..<64 {
      let bits = (0..<4).map { _ in generator.next() }
      var next = bits.makeIterator()
      let spelled = DNSName(host).withRandomCase { next.next() ?? 0 }
      #expect(spelled.folded == DNSName(host))
      seen.insert(spelled)
    }
    #expect(seen.count == 64)
    for place in DNSName(host).wire.indices where DNSName(host).wire[place] > 0x60 {
      #expect(Set(seen.map { $0.wire[place] }).count == 2)
    }
  }
}

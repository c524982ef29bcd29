import Addressing
import Testing

@testable import Wire

@Suite("DNS answers for clients")
struct DNSAnswerTests {
  /// A query, and the response that the writer makes of an answer to it.
  struct Exchange {
    let query: [UInt8]
    let scan: DNSQueryScan

    init(_ query: DNSQuery) throws {
      try self.init(query.encoded)
    }

    init(_ bytes: [UInt8]) throws {
      query = bytes
      scan = try DNSQueryScan(bytes.span.bytes)
    }

    func response(
      _ make: (inout DNSAnswerBuilder) -> Void, _ code: DNSResponseCode = .noError,
      _ error: DNSExtendedError? = nil, lifetime: UInt32 = 60, limit: Int? = nil
    ) throws -> (message: DNSResponse, bytes: [UInt8]) {
      var builder = DNSAnswerBuilder(questionLength: scan.nameLength + 4)
      make(&builder)
      let answer = builder.finish(code, error)
      let bytes = written { span in
        DNSResponseWriter.write(
          answer, to: scan, in: query.span.bytes, lifetime: lifetime,
          limit: limit ?? DNSResponseWriter.datagramLimit(for: scan), into: &span)
      }
      return (try DNSResponse(bytes), bytes)
    }
  }

  static func question(_ name: String, _ type: DNSRecordType = .a) throws -> DNSQuestion {
    DNSQuestion(DNSName(try Hostname(name)), type)
  }

  @Test("The question is repeated in the client's spelling, and every time to live is the one given")
  func spelling() throws {
    var query = DNSQuery(id: 0x1234, question: try Self.question("www.allowed.test"))
    query.question.name = query.question.name.withRandomCase { 0x5555_5555_5555_5555 }
    let exchange = try Exchange(query)
    let response = try exchange.response { builder in
      builder.add(alias: DNSName(try! Hostname("edge.cdn.test")))
      builder.add(.v4(0x0b0b_000a))
      builder.add(.v6(high: 1, low: 2))
    }.message
    #expect(response.header.id == 0x1234)
    #expect(response.question == query.question)
    let sections = try response.sections()
    #expect(sections.answers.map(\.ttl) == [60, 60, 60])
    #expect(sections.answers[0].owner.folded == query.question.name.folded)
    #expect(sections.answers[0].data == .canonicalName(DNSName(try Hostname("edge.cdn.test"))))
    // What follows an alias belongs to its target.
    #expect(sections.answers[1].owner == DNSName(try Hostname("edge.cdn.test")))
    #expect(sections.answers[1].data == .address(.v4(0x0b0b_000a)))
    #expect(sections.answers[2].data == .address(.v6(high: 1, low: 2)))
  }

  @Test("Flags: QR and RA set, RD and CD as the client had them, AA, AD and Z never", arguments: [0, 0x0130])
  func flags(_ asked: UInt16) throws {
    var query = try DNSQuery(id: 7, question: Self.question("a.test")).encoded
    query[2] = UInt8(asked >> 8) | 0x04
    query[3] = UInt8(asked & 0xff) | 0x60
    let response = try Exchange(query).response { _ in }.message
    #expect(response.header.flags.rawValue == 0x8080 | (asked & 0x0110))
  }

  @Test("A denial: NXDOMAIN, the SOA of 5 s, and an Extended DNS Error with its words")
  func denial() throws {
    let exchange = try Exchange(DNSQuery(id: 1, question: Self.question("evil.test")))
    let (response, bytes) = try exchange.response(
      { $0.addAuthority(serial: 9, minimum: 5) }, .nameDoesNotExist, .prohibited("no-rule"), lifetime: 5)
    let sections = try response.sections()
    #expect(sections.responseCode == .nameDoesNotExist)
    #expect(sections.authorities.map(\.owner) == [.root])
    #expect(sections.authorities.map(\.ttl) == [5])
    #expect(sections.authorities.map(\.data) == [.startOfAuthority(minimum: 5)])
    // RFC 8914 §2: option 15, its length, INFO-CODE 18, the text.
    #expect(bytes.suffix(13) == [0, 15, 0, 9, 0, 18] + Array("no-rule".utf8))
  }

  @Test("A client without EDNS gets no OPT record, and no error in it")
  func withoutEDNS() throws {
    var query = DNSQuery(id: 1, question: try Self.question("evil.test"))
    query.edns = nil
    let response = try Exchange(query).response({ _ in }, .refused, .prohibited("x")).message
    #expect(response.header.additionalCount == 0)
    #expect(try response.sections().edns == nil)
  }

  @Test("BADVERS has its upper bits in the OPT record")
  func badVersion() throws {
    let exchange = try Exchange(DNSQuery(id: 1, question: Self.question("a.test")))
    #expect(try exchange.response({ _ in }, .badVersion).message.sections().responseCode == .badVersion)
  }

  @Test(
    "What a client takes over UDP",
    arguments: [(nil, 512), (0, 512), (511, 512), (1000, 1000), (1232, 1232), (4096, 1232), (65_535, 1232)]
      as [(UInt16?, Int)])
  func limit(_ size: UInt16?, _ limit: Int) throws {
    var query = DNSQuery(id: 1, question: try Self.question("a.test"))
    query.edns = size.map { EDNS(payloadSize: $0) }
    #expect(DNSResponseWriter.datagramLimit(for: try Exchange(query).scan) == limit)
  }

  @Test("A response that is larger is cut to TC=1 without records, at its exact size and not below")
  func truncation() throws {
    let exchange = try Exchange(DNSQuery(id: 1, question: Self.question("a.test")))
    let many: (inout DNSAnswerBuilder) -> Void = { builder in
      for number in 0..<20 { builder.add(.v4(UInt32(number))) }
    }
    let whole = try exchange.response(many, limit: 4096).bytes.count
    #expect(try exchange.response(many, limit: whole).message.header.answerCount == 20)
    let (cut, bytes) = try exchange.response(many, limit: whole - 1)
    #expect(cut.isTruncated && cut.header.answerCount == 0)
    #expect(bytes.count == DNSHeader.length + exchange.scan.nameLength + 4 + 11)
    #expect(try cut.sections().answers.isEmpty)
  }

  @Test("An answer grows no further than a pointer reaches")
  func bounded() throws {
    var builder = DNSAnswerBuilder(questionLength: 20)
    var added = 0
    while builder.add(DNSRecordType(rawValue: 16), [UInt8](repeating: 1, count: 200)) { added += 1 }
    #expect(added > 60 && added < 82)
    #expect(builder.finish(.noError).answerCount == UInt16(added))
  }

  @Test("Of what is no query only the id, RD and the opcode come back")
  func errorReply() throws {
    let query: [UInt8] = [0xab, 0xcd, 0x29, 0x70, 0, 9, 1, 1, 2, 2, 3, 3, 0xff]
    let output = written { DNSResponseWriter.writeError(.notImplemented, to: query.span.bytes, into: &$0) }
    #expect(output == [0xab, 0xcd, 0xa9, 0x84, 0, 0, 0, 0, 0, 0, 0, 0])
  }
}

/// What `write` puts into memory that was not clean.
func written(_ write: (inout MutableRawSpan) -> Int) -> [UInt8] {
  var output = [UInt8](repeating: 0xee, count: 4096)
  let count = output.withUnsafeMutableBytes { buffer in
    var span = buffer.mutableBytes
    return write(&span)
  }
  return Array(output[..<count])
}

@Suite("A query as it lies in its message")
struct DNSQueryScanTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var hex: String, error: DNSError, because: String
    var testDescription: String { "\(because): \(error)" }
  }

  static let head = "123401000001000000000000"
  static let allowed = "07616c6c6f776564047465737400"

  /// An OPT record: the root, type 41, size 1024, nothing else.
  static let options = "0000290400000000000000"

  static let refused = [
    Case(hex: "1234010000010000000000", error: .truncated, because: "eleven bytes"),
    Case(hex: "123481000001000000000000\(allowed)00010001", error: .wrongDirection, because: "QR=1"),
    Case(hex: "123428000001000000000000\(allowed)00010001", error: .unsupportedOpcode, because: "UPDATE"),
    Case(hex: "123401000000000000000000", error: .wrongCounts, because: "no question"),
    Case(
      hex: "123401000002000000000000\(allowed)00010001\(allowed)00010001", error: .wrongCounts,
      because: "two questions"),
    Case(hex: "123401000001000100000000\(allowed)00010001", error: .wrongCounts, because: "an answer"),
    Case(hex: "\(head)\(allowed)00010003", error: .unsupportedClass, because: "class CH"),
    Case(hex: "\(head)c00c00010001", error: .badPointer, because: "a pointer to itself"),
    Case(hex: "\(head)0377777740", error: .reservedLabelType, because: "label type 01"),
    Case(hex: "\(head)\(allowed)000100", error: .truncated, because: "half a class"),
    Case(hex: "\(head)\(allowed)0001000100", error: .trailingBytes, because: "a byte behind"),
    Case(
      hex: "123401000001000000000002\(allowed)00010001\(options)\(options.dropLast(2))", error: .truncated,
      because: "the second OPT is cut"),
    Case(
      hex: "123401000001000000000002\(allowed)00010001\(options)\(options)", error: .badOptions,
      because: "two OPT records"),
    Case(
      hex: "123401000001000000000001\(allowed)00010001\(allowed)002904d0000000000000", error: .badOptions,
      because: "an OPT record that is not the root's"),
    Case(
      hex: "123401000001000000000001\(allowed)00010001" + "00002904d000000000000" + "5000a000200",
      error: .badOptions, because: "an option longer than its record"),
  ]

  @Test("What is refused", arguments: refused)
  func refusal(_ c: Case) throws {
    let bytes = dnsHex(c.hex)
    #expect(throws: c.error) { try DNSQueryScan(bytes.span.bytes) }
  }

  @Test("Additional records and options are passed over, whatever they hold")
  func additional() throws {
    let bytes = dnsHex(
      "123401000001000000000001\(Self.allowed)00010001"
        + "046c65616b046576696c047465737400" + "001000010000003c000706736563726574")
    let scan = try DNSQueryScan(bytes.span.bytes)
    #expect(scan.nameLength == 14 && scan.type == .a && scan.edns == nil)
  }

  @Test("Every prefix of a query is refused, and the name is the one that DNSName reads")
  func prefixes() throws {
    let query = try DNSQuery(id: 1, question: DNSAnswerTests.question("a.bc.allowed.test")).encoded
    for count in 0..<query.count {
      let prefix = Array(query[..<count])
      #expect(throws: DNSError.self) { try DNSQueryScan(prefix.span.bytes) }
    }
    let scan = try DNSQueryScan(query.span.bytes)
    let name = Array(query[12..<(12 + scan.nameLength)])
    #expect(DNSName.hostname(wire: name.span.bytes)?.text == "a.bc.allowed.test")
  }

  @Test(
    "Names that are no host names",
    arguments: [
      "0c616c6c6f7765642e7465737400", "096576696c2e7465737400", "00", "012a0474657374" + "00", "0131013200",
      "02ff61047465737400",
    ])
  func noHostnames(_ hex: String) throws {
    let bytes = dnsHex(hex)
    #expect(DNSName.hostname(wire: bytes.span.bytes) == nil)
  }
}

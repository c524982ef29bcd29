import Addressing
import EventLoop
import Testing
import Wire

@testable import Gateway

/// One question before one upstream, on a clock that only the test moves.
struct InquiryBench {
  static let now = MonotonicTime(nanoseconds: 1_000_000_000)

  var resources: InquiryResources
  var inquiry: Inquiry

  init(_ name: String, _ type: UInt16, upstreams: [String] = ["11.11.0.53"]) throws {
    let routes = UpstreamRoutes(standard: try upstreams.map { try Upstream($0) })
    resources = InquiryResources(routes: routes, random: { .random(in: .min ... .max) })
    inquiry = try #require(
      Inquiry(try Hostname(name), DNSRecordType(rawValue: type), at: Self.now, &resources))
  }

  /// The upstream says this.
  mutating func reply(_ reply: DNSReply) -> Inquiry.Step {
    let attempt = inquiry.attempt
    let bytes = reply.bytes(to: attempt.query)
    return inquiry.receive(datagram: bytes, from: attempt.upstream.endpoint, at: Self.now, &resources)
  }

  /// The answer that the upstream's words make; nil when there is none yet.
  mutating func answer(_ reply: DNSReply) -> InquiryAnswer? {
    guard case .finish(let answer) = self.reply(reply) else { return nil }
    return answer
  }
}

@Suite("Questions of any type")
struct ResolverInquiryTests {
  typealias Content = InquiryAnswer.Content

  static func answer(_ records: String...) throws -> DNSReply {
    DNSReply(answers: try records.map(DNSReply.record))
  }

  @Test("TXT, MX and SRV records are handed back, whole, with their time to live")
  func records() throws {
    var bench = try InquiryBench("a.test", 16)
    let text = try #require(
      try bench.answer(Self.answer("a.test 60 TYPE16 0161", "a.test 50 TYPE16 0162", "b.test 1 TYPE16 0163")))
    #expect(text.result == .success(.records([[1, 0x61], [1, 0x62]])))
    #expect(text.until == InquiryBench.now + .seconds(50))
    bench = try InquiryBench("a.test", 15)
    // c00c: the name of the question, at byte 12 of the message.
    let mail = try bench.answer(Self.answer("a.test 60 TYPE15 000ac00c"))?.result
    let name = bench.inquiry.attempt.query.question.name
    #expect(mail == .success(.records([[0, 10] + name.folded.wire])))
    bench = try InquiryBench("_ldap._tcp.a.test", 33)
    let service = try bench.answer(Self.answer("_ldap._tcp.a.test 60 TYPE33 00010002018500"))?.result
    #expect(service == .success(.records([[0, 1, 0, 2, 1, 0x85, 0]])))
  }

  @Test("DNS-18: a record of the type that is not on the chain is not used; one at its end is")
  func chain() throws {
    var bench = try InquiryBench("a.test", 16)
    let answer = try #require(
      try bench.answer(
        Self.answer("b.test 60 TYPE16 0162", "a.test 60 CNAME b.test", "c.test 60 TYPE16 0163")))
    #expect(answer.result == .success(.records([[1, 0x62]])))
    #expect(answer.chain == [try Hostname("b.test")])
  }

  @Test("a question for CNAME is answered with the target, which is not followed")
  func alias() throws {
    var bench = try InquiryBench("a.test", 5)
    let answer = try #require(
      try bench.answer(Self.answer("a.test 60 CNAME b.test", "b.test 60 A 11.11.0.10")))
    #expect(answer.result == .success(.alias(try Hostname("b.test"))))
    #expect(answer.chain.isEmpty)
    bench = try InquiryBench("a.test", 5)
    #expect(try bench.answer(Self.answer("a.test 60 CNAME a!b.test"))?.result == .failure(.badResponse))
  }

  @Test("an SOA is whole, and a name without records of the type has none")
  func startOfAuthority() throws {
    var bench = try InquiryBench("test", 6)
    let answer = try bench.answer(Self.answer("test 3600 SOA 30"))
    #expect(answer?.result == .success(.records([[UInt8](repeating: 0, count: 21) + [30]])))
    bench = try InquiryBench("a.test", 16)
    let nothing = try #require(bench.answer(DNSReply(authorities: [try DNSReply.record("test 20 SOA 3600")])))
    #expect(nothing.result == .failure(.noAddresses))
    #expect(nothing.until == InquiryBench.now + .seconds(20))
  }

  @Test("data that does not fit its type is no answer; the next upstream is asked")
  func badData() throws {
    var bench = try InquiryBench("a.test", 15, upstreams: ["11.11.0.53", "11.11.0.54"])
    guard case .send = bench.reply(try Self.answer("a.test 60 TYPE15 00")) else {
      Issue.record("it was believed")
      return
    }
    #expect(bench.inquiry.attempt.upstream.endpoint.address == IPAddress("11.11.0.54"))
    #expect(bench.resources.statistics.badResponses == 1)
    #expect(
      try bench.answer(Self.answer("a.test 60 TYPE15 000a00"))?.result == .success(.records([[0, 10, 0]])))
  }

  @Test("of 1,000 records 64 are taken")
  func bounds() throws {
    var bench = try InquiryBench("a.test", 16)
    let records = try (0..<1000).map {
      try DNSReply.record("a.test 60 TYPE16 02\(String($0 + 0x1000, radix: 16))")
    }
    guard case .success(.records(let taken)) = bench.answer(DNSReply(answers: records))?.result else {
      Issue.record("no records")
      return
    }
    #expect(taken.count == 64)
  }
}

import Addressing
import EventLoop
import Testing
import Wire

@testable import Gateway

@Suite("The resolver's core")
struct ResolverCoreTests {
  static func answer(_ records: String...) throws -> DNSReply {
    DNSReply(answers: try records.map(DNSReply.record))
  }

  @Test("DNS-21: however many ask for a name, one query goes out and everybody is told the same, once")
  func singleFlight() throws {
    var bench = try ResolverBench()
    for _ in 0..<50 { #expect(try bench.ask("rebind.test") == nil) }
    #expect(bench.sent.count == 1)
    try bench.reply(.a, Self.answer("rebind.test 0 A 11.11.0.10"))
    let host = try Hostname("rebind.test")
    #expect(bench.results[host]?.count == 1)
    // TTL 0: a second answer cannot take the place of the first before it was dialled.
    for _ in 0..<50 {
      #expect(try bench.ask("rebind.test") == .success(Resolution(addresses: [.v4(0x0b0b_000a)])))
    }
    #expect(bench.sent.count == 1)
  }

  @Test("DNS-27: queries are absolute: the name asked for and nothing behind it, IN, RD, no client's byte")
  func absolute() throws {
    var bench = try ResolverBench(ipv6: true)
    for name in ["allowed", "allowed.test", "nx.wild.test"] { try bench.ask(name) }
    #expect(
      bench.sent.map { $0.query.question.name.hostname?.text } == [
        "allowed", "allowed", "allowed.test", "allowed.test", "nx.wild.test", "nx.wild.test",
      ])
    #expect(bench.sent.allSatisfy { $0.query.recursionDesired && $0.query.question.questionClass == 1 })
    #expect(bench.sent.allSatisfy { $0.query.edns == EDNS(payloadSize: 1232) })
    #expect(Set(bench.sent.map(\.query.question.type)) == [.a, .aaaa])
  }

  @Test(
    "DNS-17: ids, and the case of the name, are drawn anew for each query and spread over their whole range")
  func entropy() throws {
    var bench = try ResolverBench(lookupsInFlight: 4000)
    for number in 0..<1000 { try bench.ask("a-name-of-some-length-\(number).example.test") }
    let ids = bench.sent.map(\.query.id)
    // Of 1000 draws from 65,536, 7.6 repeats are expected; 50 has no chance worth a name.
    #expect(Set(ids).count > 950)
    for bit in 0..<16 {
      let ones = ids.count { $0 >> bit & 1 == 1 }
      #expect((400...600).contains(ones), "bit \(bit)")
    }
    let upper = bench.sent.map { $0.query.question.name.wire.count { (0x41...0x5a).contains($0) } }
    #expect(Set(upper).count > 5)
    #expect(!upper.contains(0))
  }

  @Test("Each try has another id, spelling and token, so an answer to the first is none to the second")
  func freshTry() throws {
    var bench = try ResolverBench()
    try bench.ask("www.example.test")
    let first = try bench.query(.a)
    try bench.wait(2000)
    let second = try bench.query(.a)
    #expect(first.token != second.token)
    let late = try Self.answer("www.example.test 60 A 11.66.0.66").bytes(to: first.query)
    try bench.handle(.datagram(late, from: first.upstream, first.token))
    #expect(bench.results.isEmpty)
    try bench.reply(.a, Self.answer("www.example.test 60 A 11.11.0.10"))
    #expect(
      bench.results[try Hostname("www.example.test")] == [.success(Resolution(addresses: [.v4(0x0b0b_000a)]))]
    )
  }

  @Test("DNS-24: of 1,000 addresses 64 are taken, of both families together")
  func manyAddresses() throws {
    var bench = try ResolverBench(ipv6: true)
    try bench.ask("many.test")
    try bench.reply(
      .aaaa,
      DNSReply(
        answers: (0..<1000).map { try DNSReply.record("many.test 60 AAAA 2a0e::\(String($0, radix: 16))") }))
    try bench.reply(
      .a,
      DNSReply(
        answers: (0..<1000).map { try DNSReply.record("many.test 60 A 11.11.\($0 / 250).\($0 % 250)") }))
    let resolution = try #require(try bench.ask("many.test")?.get())
    #expect(resolution.addresses.count == 64)
    #expect(resolution.addresses.prefix(32).allSatisfy { !$0.isV4 })
    #expect(resolution.addresses.suffix(32).allSatisfy { $0.isV4 })
  }

  @Test("An address twice in an answer is one address")
  func repeated() throws {
    var bench = try ResolverBench()
    try bench.ask("www.test")
    try bench.reply(.a, Self.answer("www.test 60 A 11.11.0.10", "www.test 60 A 11.11.0.10"))
    #expect(try bench.ask("www.test")?.get().addresses.count == 1)
  }

  @Test("DNS-24: 10,000 names leave no more behind than the cache holds")
  func cacheBound() throws {
    var bench = try ResolverBench(cachedNames: 100)
    for number in 0..<10_000 {
      try bench.ask("n\(number).test")
      try bench.reply(.a, Self.answer("n\(number).test 3600 A 11.11.0.10"))
    }
    #expect(bench.core.cachedNames == 100)
    #expect(bench.core.statistics.evictions == 9900)
    #expect(try bench.ask("n9999.test") != nil)
  }

  @Test("A name in use outlives names that nobody asks for again")
  func cacheKeepsUsed() throws {
    var bench = try ResolverBench(cachedNames: 50)
    try bench.ask("hot.test")
    try bench.reply(.a, Self.answer("hot.test 3600 A 11.11.0.10"))
    for number in 0..<1000 {
      try bench.ask("n\(number).test")
      try bench.reply(.a, Self.answer("n\(number).test 3600 A 11.11.0.11"))
      #expect(try bench.ask("hot.test") != nil)
    }
  }

  @Test("A changed hosts file counts before what is cached and what is under way")
  func hostsChange() throws {
    var bench = try ResolverBench()
    try bench.ask("www.test")
    try bench.reply(.a, Self.answer("www.test 3600 A 11.11.0.10"))
    try bench.ask("other.test")
    bench.core.replaceHosts(HostsFile.parse(Array("10.0.0.5 www.test other.test\n".utf8)))
    try bench.reply(.a, Self.answer("other.test 3600 A 11.11.0.10"))
    let expected = Result<Resolution, ResolveFailure>.success(
      Resolution(addresses: [.v4(0x0a00_0005)], fromHosts: true))
    #expect(try bench.ask("www.test") == expected)
    #expect(try bench.ask("other.test") == expected)
    bench.core.replaceHosts(HostsFile())
    #expect(try bench.ask("www.test") == nil)
  }

  @Test("flush forgets")
  func flush() throws {
    var bench = try ResolverBench()
    try bench.ask("www.test")
    try bench.reply(.a, Self.answer("www.test 3600 A 11.11.0.10"))
    bench.core.flush()
    #expect(try bench.ask("www.test") == nil)
  }

  @Test("A family that went missing with its name's cache entry is asked again, and everybody told once")
  func evictedWhileOut() throws {
    var bench = try ResolverBench(ipv6: true, cachedNames: 1)
    try bench.ask("www.test")
    try bench.reply(.a, Self.answer("www.test 60 A 11.11.0.10"))
    try bench.wait(50)
    let late = try bench.query(.aaaa)
    try bench.ask("other.test")
    for type in [DNSRecordType.aaaa, .a] { try bench.reply(type, DNSReply(responseCode: 3)) }
    #expect(try bench.ask("www.test") == nil)
    try bench.wait(50)
    let host = try Hostname("www.test")
    #expect(bench.results[host]?.count == 2)
    #expect(bench.open.map(\.token) == [late.token])
  }

  @Test("DNS-15: whatever upstreams send, everybody who asks is told once within 4.5 s")
  func hostileUpstream() throws {
    var generator = DNSStoryGenerator(state: 7)
    for round in 0..<400 {
      var bench = try ResolverBench(upstreams: ["11.11.0.53", "11.11.0.54"], ipv6: round % 2 == 0)
      let host = try Hostname("www.test")
      try bench.ask("www.test")
      for _ in 0..<20 {
        try bench.wait(Int.random(in: 0..<300, using: &generator))
        guard let query = bench.open.randomElement(using: &generator) else { continue }
        try bench.deliver(try Self.mutated(query.query, &generator), to: query, from: query.upstream)
      }
      try bench.wait(4500)
      #expect(bench.results[host]?.count == 1, "round \(round)")
      #expect(bench.open.isEmpty)
      #expect(bench.core.lookupsInFlight == 0)
      #expect(bench.alarms.isEmpty)
      // OPS-07: nobody else is ever asked.
      #expect(bench.sent.allSatisfy { ["11.11.0.53:53", "11.11.0.54:53"].contains("\($0.upstream)") })
    }
  }

  /// A right answer with up to four wrong bytes, or a short one.
  private static func mutated(_ query: DNSQuery, _ generator: inout DNSStoryGenerator) throws -> [UInt8] {
    var bytes = try answer("www.test 60 CNAME b.test", "b.test 60 A 11.11.0.10").bytes(to: query)
    for _ in 0..<Int.random(in: 0...4, using: &generator) {
      bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
    }
    if Int.random(in: 0..<4, using: &generator) == 0 {
      bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
    }
    return bytes
  }
}

/// A generator whose numbers are the same in each run.
struct DNSStoryGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 33
  }
}

import Addressing
import EventLoop
import Testing
import Wire

@testable import Gateway

/// A story about a resolver, one step a line:
///
///     ask NAME                        somebody asks
///     sent TYPE UPSTREAM [tcp|tls]        that query is under way there
///     quiet                           no query is under way
///     reply TYPE [WORD]… [RECORD; …]  its upstream says this
///     fail TYPE                       its socket fails
///     wait MILLISECONDS
///     result NAME OUTCOME             and this was told once more, to everybody who asked
///     waiting NAME                    nothing (more) was told
///     count COUNTER NUMBER
///
/// Words before the records: `nxdomain`, `servfail`, `refused`, `formerr`, `tc`,
/// `garbage`, `wrong-id`, `wrong-name`, `wrong-type`, `wrong-case`, `wrong-address`,
/// `wrong-port`, `query` (the QR bit is missing). `auth` and `more` before a record
/// put it into the authority or additional section. An OUTCOME is the addresses, then
/// `via` and the chain; or the failure.
struct ResolverScenario: Sendable, CustomTestStringConvertible {
  var name: String
  var upstreams = ["11.11.0.53"]
  var forwards: [String] = []
  var hosts = ""
  var ipv6 = false
  var steps: String

  var testDescription: String { name }

  func run() throws {
    var bench = try ResolverBench(upstreams: upstreams, forwards: forwards, hosts: hosts, ipv6: ipv6)
    for line in steps.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      guard let verb = words.first else { continue }
      try step(verb, Array(words.dropFirst()), &bench, String(line))
    }
  }

  private func step(
    _ verb: String, _ words: [String], _ bench: inout ResolverBench, _ line: String
  ) throws {
    switch verb {
    case "ask": try bench.ask(words[0])
    case "sent":
      let query = try bench.query(try type(words[0]))
      #expect(query.upstream.address == IPAddress(words[1]), "\(name): \(line)")
      #expect(query.transport == (try transport(words.dropFirst(2).first)), "\(name): \(line)")
    case "quiet": #expect(bench.open.isEmpty, "\(name): \(line)")
    case "reply": try reply(words, &bench)
    case "fail": try bench.handle(.failed(try bench.query(try type(words[0])).token))
    case "wait": try bench.wait(try #require(Int(words[0])))
    case "result":
      let told = bench.results.removeValue(forKey: try Hostname(words[0])) ?? []
      #expect(told.map(outcome) == [words.dropFirst().joined(separator: " ")], "\(name): \(line)")
    case "waiting": #expect(bench.results[try Hostname(words[0])] == nil, "\(name): \(line)")
    case "count":
      #expect(try counter(words[0], bench.core.statistics) == UInt64(words[1]), "\(name): \(line)")
    default: throw ScenarioError.unknown(verb)
    }
  }

  private func type(_ word: String) throws -> DNSRecordType {
    switch word {
    case "A": .a
    case "AAAA": .aaaa
    default: throw ScenarioError.unknown(word)
    }
  }

  private func transport(_ word: String?) throws -> Attempt.Transport {
    switch word {
    case nil: .datagram
    case "tcp": .stream
    case "tls": .secure
    case let other?: throw ScenarioError.unknown(other)
    }
  }

  private func outcome(_ result: Result<Resolution, ResolveFailure>) -> String {
    switch result {
    case .failure(let failure): return "\(failure)"
    case .success(let resolution):
      let chain = resolution.chain.isEmpty ? [] : ["via"] + resolution.chain.map(\.text)
      return (resolution.addresses.map(\.description) + chain).joined(separator: " ")
    }
  }

  private func counter(_ word: String, _ statistics: ResolverStatistics) throws -> UInt64 {
    switch word {
    case "mismatches": statistics.mismatches
    case "timeouts": statistics.timeouts
    case "udp": statistics.datagramQueries
    case "tcp": statistics.streamQueries
    case "tls": statistics.secureQueries
    case "bad": statistics.badResponses
    case "failures": statistics.upstreamFailures
    case "hits": statistics.cacheHits
    default: throw ScenarioError.unknown(word)
    }
  }

  private func reply(_ words: [String], _ bench: inout ResolverBench) throws {
    let query = try bench.query(try type(words[0]))
    let flags = words.dropFirst().prefix { Self.flags.contains($0) }
    let records = words.dropFirst(1 + flags.count).joined(separator: " ").split(separator: ";").map(
      String.init)
    let message = try Self.message(flags: Set(flags), records: records, to: query.query)
    try bench.deliver(message, to: query, from: sender(flags: Set(flags), query))
  }

  private static let flags: Set<String> = [
    "nxdomain", "servfail", "refused", "formerr", "tc", "garbage", "wrong-id", "wrong-name", "wrong-type",
    "wrong-case", "wrong-address", "wrong-port", "query",
  ]

  private static func message(flags: Set<String>, records: [String], to query: DNSQuery) throws -> [UInt8] {
    var reply = DNSReply()
    for record in records { try add(record.split(separator: " ").map(String.init), to: &reply) }
    for (word, code) in [("formerr", 1), ("servfail", 2), ("nxdomain", 3), ("refused", 5)]
      as [(String, UInt16)]
    where flags.contains(word) { reply.responseCode = code }
    if flags.contains("tc") { reply.flags |= 0x0200 }
    if flags.contains("query") { reply.flags &= 0x7fff }
    var question = query.question
    if flags.contains("wrong-name") { question.name = DNSName(try Hostname("wrong.test")) }
    if flags.contains("wrong-type") { question.type = DNSRecordType(rawValue: 16) }
    if flags.contains("wrong-case") { question.name = try flipped(question.name) }
    let bytes = reply.bytes(id: flags.contains("wrong-id") ? query.id &+ 1 : query.id, question: question)
    return flags.contains("garbage") ? bytes + [0xff] : bytes
  }

  private static func add(_ words: [String], to reply: inout DNSReply) throws {
    switch words.first {
    case "auth": reply.authorities.append(try DNSReply.record(words.dropFirst().joined(separator: " ")))
    case "more": reply.additionals.append(try DNSReply.record(words.dropFirst().joined(separator: " ")))
    default: reply.answers.append(try DNSReply.record(words.joined(separator: " ")))
    }
  }

  /// The name with the case of its first letter turned.
  private static func flipped(_ name: DNSName) throws -> DNSName {
    var bytes = [UInt8](repeating: 0, count: 12) + name.wire
    bytes[13] ^= 0x20
    var offset = 12
    return try DNSName.read(from: bytes, at: &offset)
  }

  private func sender(flags: Set<String>, _ query: ResolverBench.Query) throws -> Endpoint {
    var sender = query.upstream
    if flags.contains("wrong-address") { sender.address = .v4(0x0b42_0042) }
    if flags.contains("wrong-port") { sender.port = .https }
    return sender
  }
}

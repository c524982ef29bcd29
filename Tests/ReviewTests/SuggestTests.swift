import Addressing
import Audit
import Foundation
import LogFixtures
import Policy
import PolicyFile
import Testing

@testable import Review

let testNow = Timestamp(milliseconds: someTime + 1000)
let testLists = ShippedLists(at: testNow)

func testLoader() -> PolicyLoader {
  PolicyLoader(runMode: .serve, environment: [:], workingDirectory: "/", now: testNow, hasDNSListener: nil)
}

/// What is suggested from records, as a policy that loads.
func suggest(_ records: [Record], merging text: String? = nil) throws -> SuggestedPolicy {
  let summary = try WrittenLog(records).summary(), loader = testLoader()
  var base: PolicyText?, policy: Policy?
  let folder = try WrittenLog([])
  if let text {
    let path = folder.scratch.path + "/policy.yaml"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    base = try PolicyText(path: path, with: loader)
    policy = try loader.load(path: path).policy
  }
  let suggestion = Suggestion(summary, beyond: policy, lists: testLists, at: testNow)
  return try SuggestedPolicy(suggestion, addedTo: base, loader: loader, at: testNow)
}

@Suite("A policy from what passed")
struct SuggestTests {
  @Test("a host that passed becomes one exact rule, with its port, protocol and methods")
  func exact() throws {
    let written = try suggest([
      passed("api.one.test"), passed("api.one.test"),
      passed("db.two.test", 5432, .https, reason: .notTLS, layer: .sni),
      passed("db.two.test", 5432), passed("www.three.test", 80, .http, layer: .http, method: "GET"),
      passed("www.three.test", 80, .http, layer: .http, method: "POST"), passed("odd.four.test", 8443),
    ])
    let rules = written.suggestion.entries
    #expect(
      rules.map(\.id.text) == [
        "allow-two.test-5432-tcp", "allow-four.test-8443", "allow-three.test-80-http", "allow-one.test",
      ])
    #expect(rules.map(\.methods) == [[], [], ["GET", "POST"], []])
    #expect(rules[0].marks == [.opaque, .oddPort, .newDomain] && rules[3].count == 2)
    #expect(written.loaded.policy.rules.count == 4 && written.loaded.policy.mode == .enforce)
    #expect(written.suggestion.leftOut.isEmpty)
  }

  @Test(
    "a rule that allowed something in the run is suggested too, unless the policy that is added to has it")
  func allowed() throws {
    let records = [decision("a.one.test", rule: "old"), passed("b.two.test")]
    #expect(try suggest(records).suggestion.entries.count == 2)
    let base = "version: 1\nrules:\n  - { id: old, action: allow, to: [a.one.test] }\n"
    #expect(try suggest(records, merging: base).suggestion.entries.map(\.id.text) == ["allow-two.test"])
  }

  @Test("ready-made lists are taken where they cover, and say for what")
  func lists() throws {
    let written = try suggest([
      passed("registry.npmjs.org"), passed("registry.yarnpkg.com"), passed("own.test"),
    ])
    #expect(written.suggestion.inclusions.map(\.name) == ["builtin:npm"])
    #expect(
      written.suggestion.inclusions[0].covers == [
        "https://registry.npmjs.org:443", "https://registry.yarnpkg.com:443",
      ])
    #expect(written.suggestion.entries.map(\.id.text) == ["allow-own.test"])
    #expect(written.text.contains("# Covers https://registry.npmjs.org:443"))
  }

  struct Siblings: Sendable, CustomTestStringConvertible {
    var hosts: [String], wildcard: String?, because: String
    var testDescription: String { because }
  }

  static let siblings = [
    Siblings(hosts: ["a.x.test", "b.x.test"], wildcard: nil, because: "two are no family"),
    Siblings(
      hosts: ["a.x.test", "b.x.test", "c.x.test"], wildcard: "*.x.test",
      because: "three directly below one name"),
    Siblings(
      hosts: ["a.x.test", "b.x.test", "c.d.x.test"], wildcard: nil, because: "one of them lies deeper"),
    Siblings(
      hosts: ["a.test", "b.test", "c.test"], wildcard: nil, because: "a top-level domain is nobody's"),
    Siblings(
      hosts: ["a.github.io", "b.github.io", "c.github.io"], wildcard: nil,
      because: "a public suffix of its private section"),
    Siblings(hosts: ["a.co.uk", "b.co.uk", "c.co.uk"], wildcard: nil, because: "a public suffix"),
    Siblings(
      hosts: ["a.s3.amazonaws.com", "b.s3.amazonaws.com", "c.s3.amazonaws.com"], wildcard: nil,
      because: "buckets of anybody"),
    Siblings(
      hosts: ["a.eu.cloudfront.net", "b.eu.cloudfront.net", "c.eu.cloudfront.net"], wildcard: nil,
      because: "machines that many parties share"),
    Siblings(
      hosts: ["a.x.github.io", "b.x.github.io", "c.x.github.io"], wildcard: nil,
      because: "a shared edge, though one party's name"),
    Siblings(
      hosts: ["a.x.co.uk", "b.x.co.uk", "c.x.co.uk"], wildcard: "*.x.co.uk",
      because: "a name that was registered"),
  ]

  @Test("names become a wildcard only where they justify it", arguments: siblings)
  func wildcards(_ c: Siblings) throws {
    let written = try suggest(c.hosts.map { passed($0) })
    let patterns = written.loaded.policy.rules.flatMap(\.to).map(\.description)
    #expect(patterns.filter { $0.hasPrefix("*") } == [c.wildcard].compactMap(\.self))
    #expect(written.text.contains("# WILDCARD: ") == (c.wildcard != nil))
    for host in c.hosts {
      let asked = try #require(try? Host(host.utf8))
      let decision = written.loaded.policy.decide(
        Destination(asked, .https, .https), agent: .default, floor: Floor(), at: testNow)
      #expect(decision.answer == .allow, "\(host)")
    }
  }

  static let neverSuggested: [(Record, LeftOut.Why, String)] = [
    (decision("10.1.2.3", 443, rule: "lan"), .floor, "a private literal that a rule opened"),
    (
      decision("gw.corp.test", 443, rule: "lan", address: "192.168.1.1"), .floor,
      "a name that led to a private address"
    ),
    (
      decision("localhost", 8000, .http, layer: .http, rule: "own", method: "GET", address: "127.0.0.1"),
      .floor, "this machine"
    ),
    (passed("paste.test", reason: .denyRule), .deniedByRule, "a deny rule"),
    (passed("ask.test", reason: .askRule), .askedByRule, "an ask rule"),
    (passed("front.test", reason: .sniMismatch, layer: .sni), .handshake, "domain fronting"),
    (passed("alias.test", reason: .cnameDenied), .alias, "an alias of what is denied"),
  ]

  @Test("what no suggestion may open is left out, and said to be", arguments: neverSuggested)
  func floor(record: Record, why: LeftOut.Why, because: String) throws {
    let written = try suggest([record, passed("good.test")])
    #expect(written.suggestion.leftOut.map(\.why) == [why], "\(because)")
    #expect(written.suggestion.entries.map(\.id.text) == ["allow-good.test"], "\(because)")
    #expect(written.text.contains("#   \(why.rawValue): "))
  }

  @Test("what the floor denied even in audit mode is in no suggestion")
  func deniedByFloor() throws {
    let written = try suggest([
      denied("169.254.169.254", 80, .http, reason: .specialAddress, layer: .http),
      denied("10.0.0.1", reason: .privateAddress),
      question("metadata.test", verdict: .allow, wouldDeny: true),
      denied("metadata.test", 80, .http, reason: .specialAddress, layer: .http),
      passed("good.test"),
    ])
    #expect(written.loaded.policy.rules.flatMap(\.to).map(\.description) == ["good.test"])
    #expect(written.suggestion.leftOut.map(\.why) == [.floor])
  }

  @Test("names that were only asked for open the name, other types open themselves")
  func questions() throws {
    let written = try suggest([
      question("seen.test", verdict: .allow, wouldDeny: true), passed("seen.test", 8443),
      question("only.asked.test", "AAAA", verdict: .allow, wouldDeny: true),
      question("mail.test", "MX", verdict: .allow, wouldDeny: true),
    ])
    let rules = written.loaded.policy.rules.map { "\($0.to[0]) \($0.traffic.rawValue) \($0.ports[0])" }
    #expect(Set(rules) == ["seen.test https 8443", "only.asked.test https 443", "mail.test dns 53"])
    #expect(
      written.suggestion.entries.first { $0.id.text == "allow-asked.test" }?.marks == [
        .newDomain, .onlyAsked,
      ])
  }

  @Test("names that look like data are left out, and no wildcard opens their domain")
  func tunnel() throws {
    let labels = (0..<40).map { "\(String(repeating: "q7", count: 20))\($0)" }
    let written = try suggest(
      labels.map { question("\($0).t.evil.test", "TXT", verdict: .allow, wouldDeny: true) }
        + ["a", "b", "c"].map { passed("\($0).evil.test") })
    #expect(
      written.suggestion.leftOut.count == 40 && written.suggestion.leftOut.allSatisfy { $0.why == .tunnel })
    #expect(written.suggestion.entries.map(\.marks) == [[.tunnel, .newDomain]])
    #expect(written.suggestion.entries.first?.wildcards.isEmpty == true)
  }

  @Test("much that was sent comes before a new domain")
  func bytes() throws {
    let written = try suggest([passed("a.test"), passed("b.test"), closing("b.test", out: 11 << 20)])
    #expect(written.suggestion.entries.map(\.id.text) == ["allow-b.test", "allow-a.test"])
    #expect(written.text.contains("11 MiB were sent"))
  }

  @Test("agents that a policy declares get rules of their own, others are left out")
  func agents() throws {
    let ci = try #require(AgentName("ci")), other = try #require(AgentName("other"))
    let base = "version: 1\nagents:\n  ci: { listen: 127.0.0.1:3129 }\n"
    let written = try suggest(
      [passed("a.test", agent: ci), passed("b.test", agent: other), passed("registry.npmjs.org", agent: ci)],
      merging: base)
    #expect(written.loaded.policy.rules.map(\.agents) == [[ci], [ci]])
    #expect(written.suggestion.inclusions.isEmpty, "a list would speak to every agent")
    #expect(written.suggestion.leftOut.map(\.why) == [.unknownAgent])
  }

  @Test("a deny rule of the policy that is added to stands, and what it is against is left out")
  func overruled() throws {
    let base = "version: 1\nrules:\n  - { id: no, action: deny, to: [\"**.bad.test\"] }\n"
    let written = try suggest([passed("x.bad.test"), passed("good.test")], merging: base)
    #expect(written.suggestion.leftOut.map(\.why) == [.overruled])
    #expect(written.loaded.policy.rules.map(\.id.text) == ["no", "allow-good.test"])
  }

  @Test("what does not fit into a policy file is left out, what is used least first, and said to be")
  func budget() throws {
    let label = String(repeating: "x", count: 60)
    // Below three names of one party they would be a wildcard; each has a domain of its own.
    var records = (0..<5000).map { number in
      passed("\(label).\(label).\(label).n\(number)-\(String(repeating: "y", count: 40)).test", 8443)
    }
    records += Array(repeating: passed("often.example.test"), count: 3)
    let written = try suggest(records), suggestion = written.suggestion
    #expect(written.text.utf8.count <= PolicyText.sizeLimit)
    #expect(suggestion.entries.contains { $0.id.text == "allow-example.test" })
    let left = suggestion.leftOut.filter { $0.why == .tooMany }
    #expect(left.count > 1000 && left.count + suggestion.entries.count == 5001)
    #expect(written.text.contains("more destinations than a policy takes: "))
    #expect(written.loaded.policy.rules.count == suggestion.entries.count)
  }

  @Test("many long names below one domain become as many rules as it takes, and no more than fit")
  func manyHosts() throws {
    let label = String(repeating: "x", count: 62)
    let records = (0..<4900).map { passed("\(label).\(label).n\($0).p\($0).example.test") }
    let written = try suggest(records), suggestion = written.suggestion
    #expect(written.text.utf8.count <= PolicyText.sizeLimit && suggestion.entries.count > 10)
    #expect(suggestion.entries.allSatisfy { $0.to.count <= EntryMaker.hostLimit })
    #expect(Set(suggestion.entries.map(\.id)).count == suggestion.entries.count)
    let left = suggestion.leftOut.count { $0.why == .tooMany }
    #expect(suggestion.entries.reduce(left) { $0 + $1.to.count } == 4900)
  }

  @Test("a rule names 32 methods at most, the usual ones first; what was asked with others is left out")
  func methods() throws {
    let letters = (0..<3000).map { number in
      "M"
        + String(number).map { String(UnicodeScalar(UInt8(ascii: "A") + UInt8($0.wholeNumberValue ?? 0))) }
        .joined()
    }
    let records = (letters + ["GET", "POST"]).map {
      passed("www.example.test", 80, .http, layer: .http, method: $0)
    }
    let written = try suggest(records), entry = try #require(written.suggestion.entries.first)
    #expect(written.suggestion.entries.count == 1 && entry.methods.count == 32)
    #expect(entry.methods.contains("GET") && entry.methods.contains("POST"))
    let left = try #require(written.suggestion.leftOut.first { $0.why == .tooManyMethods })
    #expect(left.place == "http://www.example.test:80")
    #expect(written.suggestion.leftOut.reduce(0) { $0 + $1.count } == 3002 - 32)
    #expect(written.text.contains("more methods than one rule takes: http://www.example.test:80"))
    let few = try suggest((0..<32).map { passed("a.test", 80, .http, layer: .http, method: letters[$0]) })
    #expect(few.suggestion.entries.first?.methods.count == 32 && few.suggestion.leftOut.isEmpty)
  }

  @Test("AUD-01, AUD-03: nothing hostile that the log holds gets into the policy")
  func hostile() throws {
    let log = try WrittenLog([passed("a.test")])
    let line = try #require(try log.records().first { $0.isBlocked }).line.bytes
    let text = String(decoding: line, as: UTF8.self)
    let actor = #""actor":{"process":{"name":"x\n- id: evil\u202e\u001b[2J"}},"unmapped":"#
    try log.append(Array(text.replacing(#""unmapped":"#, with: actor).utf8) + [0x0a])
    let suggestion = Suggestion(try log.summary(), beyond: nil, lists: testLists, at: testNow)
    let written = try SuggestedPolicy(suggestion, addedTo: nil, loader: testLoader(), at: testNow)
    #expect(written.text.utf8.allSatisfy { $0 == 0x0a || (0x20..<0x7f).contains($0) })
    #expect(
      written.loaded.policy.rules.map(\.id.text) == ["allow-a.test"]
        && written.text.contains("by x?- id: evil"))
  }
}

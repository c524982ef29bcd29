import Addressing
import EventLoop
import Policy
import Testing
import Wire

@testable import Gateway

@Suite("What upstreams said, as far as the policy and the floor let it stand")
struct AnswerAssemblyTests {
  static let rules = """
      - { id: web, action: allow, to: ["**.web.test"] }
      - { id: inside, action: allow, to: [in.web.test], ports: [8443], allow-private: true }
      - { id: host, action: allow, to: [lo.web.test], ports: [8443], allow-loopback: true }
      - { id: evil, action: deny, to: ["**.evil.test"] }
      - { id: mail, action: allow, to: [mail.test], protocol: dns, types: [TXT] }
    """
  static let moment = MonotonicTime(nanoseconds: 50_000_000_000)

  /// Assembles an answer for a question that the policy let pass.
  static func conclude(
    _ name: String, type typeName: String = "A", _ result: Result<InquiryAnswer.Content, ResolveFailure>,
    chain: [String] = [], mode: Mode = .enforce, seconds: Int = 60
  ) throws -> Answered {
    let snapshot = try Bench.snapshot(rules, mode: mode)
    let type = DNSRecordType(rawValue: try #require(RecordTypes.number(of: typeName)))
    let question = Question(name: try Hostname(name), type: type)
    let judge = QuestionJudgeTests.judge(snapshot.policy)
    guard case .forward(let decision, let verdict) = judge.judge(question, as: Bench.agent, at: Bench.now)
    else {
      throw GaveUp(description: "\(name) \(type.mnemonic) is not asked upstream")
    }
    let assembly = AnswerAssembly(
      snapshot: snapshot, question: question, agent: Bench.agent, decision: decision, verdict: verdict)
    let outcome = InquiryAnswer(
      result: result, chain: try chain.map { try Hostname($0) }, until: moment + .seconds(seconds))
    return assembly.conclude(outcome, at: Bench.now, moment)
  }

  static func addresses(_ texts: [String]) throws -> Result<InquiryAnswer.Content, ResolveFailure> {
    .success(.addresses(try texts.map { try Bench.address($0) }))
  }

  struct Found: Sendable, CustomTestStringConvertible {
    var name: String, type: String, addresses: [String], reply: String, verdict: String, because: String
    var testDescription: String { "\(name) \(type) \(addresses): \(because)" }

    init(
      _ name: String, _ type: String, _ addresses: [String], _ reply: String, _ verdict: String,
      _ because: String
    ) {
      (self.name, self.type, self.addresses) = (name, type, addresses)
      (self.reply, self.verdict, self.because) = (reply, verdict, because)
    }
  }

  static let withheld = "deny rebinding web"

  static let found = [
    Found(
      "web.test", "A", ["11.11.0.10"], "0 web.test/A=11.11.0.10", "allow rule web @11.11.0.10", "a public one"
    ),
    Found(
      "web.test", "A", ["11.11.0.10", "11.11.0.11"], "0 web.test/A=11.11.0.10 web.test/A=11.11.0.11",
      "allow rule web @11.11.0.10", "all of them, in order"),
    Found(
      "web.test", "A", ["10.0.0.5", "11.11.0.10", "169.254.169.254"], "0 web.test/A=11.11.0.10",
      "allow rule web @11.11.0.10", "DNS-22: each is judged alone"),
    Found("web.test", "A", ["10.0.0.5"], "0 17", withheld + " @10.0.0.5", "DNS-20: private"),
    Found("web.test", "A", ["169.254.169.254"], "0 17", withheld + " @169.254.169.254", "metadata"),
    Found("web.test", "A", ["127.0.0.1"], "0 17", withheld + " @127.0.0.1", "loopback"),
    Found("web.test", "A", ["0.0.0.0"], "0 17", withheld + " @0.0.0.0", "unspecified: the agent itself"),
    Found("web.test", "A", ["11.11.0.1"], "0 17", withheld + " @11.11.0.1", "an address of this machine"),
    Found(
      "web.test", "A", ["10.0.0.5", "127.0.0.1"], "0 17", withheld + " @10.0.0.5", "the first is recorded"),
    Found("web.test", "AAAA", ["::ffff:10.0.0.5"], "0 17", withheld + " @::ffff:a00:5", "mapped"),
    Found(
      "web.test", "AAAA", ["::ffff:127.0.0.1"], "0 17", withheld + " @::ffff:7f00:1", "mapped loopback"),
    Found("web.test", "AAAA", ["::1"], "0 17", withheld + " @::1", "loopback"),
    Found("web.test", "AAAA", ["fd00:ec2::254"], "0 17", withheld + " @fd00:ec2::254", "metadata"),
    Found("web.test", "AAAA", ["64:ff9b::a9fe:a9fe"], "0 17", withheld + " @64:ff9b::a9fe:a9fe", "by NAT64"),
    Found(
      "in.web.test", "A", ["10.0.0.5"], "0 in.web.test/A=10.0.0.5", "allow rule inside @10.0.0.5",
      "a rule opens private addresses to this name"),
    Found(
      "in.web.test", "A", ["127.0.0.1"], "0 17", "deny rebinding inside @127.0.0.1", "that is not loopback"),
    Found(
      "in.web.test", "A", ["169.254.169.254"], "0 17", "deny rebinding inside @169.254.169.254",
      "nor metadata"),
    Found("a.web.test", "A", ["10.0.0.5"], "0 17", withheld + " @10.0.0.5", "nor does it to another name"),
    Found(
      "lo.web.test", "A", ["127.0.0.1"], "0 lo.web.test/A=127.0.0.1", "allow rule host @127.0.0.1",
      "one of several rules opens loopback"),
  ]

  @Test("DNS-20, DNS-22: addresses", arguments: found)
  func floor(_ c: Found) throws {
    for mode in [Mode.enforce, .audit] {
      let answered = try Self.conclude(c.name, type: c.type, Self.addresses(c.addresses), mode: mode)
      let type = DNSRecordType(rawValue: try #require(RecordTypes.number(of: c.type)))
      let reply = try answered.answer.reply(to: c.name, type)
      #expect("\(reply)" == c.reply, "\(c.because) \(mode)")
      #expect(answered.verdict.words == c.verdict, "\(c.because) \(mode)")
      #expect(answered.until == Self.moment + .seconds(60))
    }
  }

  @Test("how many addresses were taken away is recorded, and why the first was when none is left")
  func details() throws {
    let some = try Self.conclude("web.test", Self.addresses(["11.11.0.10", "10.0.0.5", "10.0.0.6"]))
    #expect(some.verdict.detail == "addresses withheld: 2")
    let none = try Self.conclude("web.test", Self.addresses(["10.0.0.5", "127.0.0.1"]))
    #expect(none.verdict.detail == "private-address")
    #expect(try Self.conclude("web.test", Self.addresses(["11.11.0.10"])).verdict.detail == nil)
  }

  @Test("an alias chain comes before what it leads to, each record with the owner before it")
  func chain() throws {
    let answered = try Self.conclude(
      "www.web.test", Self.addresses(["11.11.0.10"]), chain: ["a.cdn.test", "b.cdn.test"])
    #expect(
      "\(try answered.answer.reply(to: "www.web.test"))"
        == "0 www.web.test/CNAME=a.cdn.test a.cdn.test/CNAME=b.cdn.test b.cdn.test/A=11.11.0.10")
  }

  @Test("the longest chain of the longest names with 64 addresses is whole")
  func largest() throws {
    let label = String(repeating: "x", count: 62)
    let chain = (0..<8).map { "\($0)\(label).\(label).\(label).\(String(repeating: "y", count: 61))" }
    let all = (0..<64).map { "11.11.1.\($0)" }
    let reply = try Self.conclude("www.web.test", Self.addresses(all), chain: chain).answer.reply(
      to: "www.web.test")
    #expect(reply.answers.count == 72)
  }

  @Test(
    "DNS-19: a chain through a denied name is denied, wherever it stands and whatever it ends in",
    arguments: [
      ["x.evil.test"], ["a.cdn.test", "evil.test"], ["evil.test", "a.cdn.test", "b.cdn.test"],
    ])
  func deniedLink(_ chain: [String]) throws {
    let results: [Result<InquiryAnswer.Content, ResolveFailure>] = [
      try Self.addresses(["11.11.0.10"]), try Self.addresses(["10.0.0.1"]), .failure(.noAddresses),
      .failure(.nameDoesNotExist), .failure(.timeout),
    ]
    for result in results {
      let answered = try Self.conclude("web.test", result, chain: chain)
      #expect("\(try answered.answer.reply(to: "web.test"))" == "3 15", "nothing of the chain is shown")
      #expect(answered.verdict.words == "deny cname-denied evil")
    }
    let audited = try Self.conclude("web.test", Self.addresses(["11.11.0.10"]), chain: chain, mode: .audit)
    #expect(audited.verdict.words == "allow cname-denied evil would-deny @11.11.0.10", "row 13")
    #expect(try audited.answer.reply(to: "web.test").answers.count == chain.count + 1)
  }

  @Test("DNS-19: an alias that is asked for by itself is denied as well")
  func deniedTarget() throws {
    let result = Result<InquiryAnswer.Content, ResolveFailure>.success(.alias(try Hostname("x.evil.test")))
    let answered = try Self.conclude("web.test", type: "CNAME", result)
    #expect("\(try answered.answer.reply(to: "web.test", .cname))" == "3 15")
    #expect(answered.verdict.words == "deny cname-denied evil")
    let audited = try Self.conclude("web.test", type: "CNAME", result, mode: .audit)
    #expect(audited.verdict.words == "allow cname-denied evil would-deny")
    #expect("\(try audited.answer.reply(to: "web.test", .cname))" == "0 web.test/CNAME=x.evil.test")
    let allowed = try Self.conclude("web.test", type: "CNAME", .success(.alias(try Hostname("a.cdn.test"))))
    #expect("\(try allowed.answer.reply(to: "web.test", .cname))" == "0 web.test/CNAME=a.cdn.test")
  }

  @Test("records of a type that a rule opens are whole")
  func records() throws {
    let answered = try Self.conclude("mail.test", type: "TXT", .success(.records([[2, 0x68, 0x69], [0]])))
    #expect(
      "\(try answered.answer.reply(to: "mail.test"))" == "0 mail.test/TXT=3 bytes mail.test/TXT=1 bytes")
    #expect(answered.verdict.words == "allow rule mail")
  }

  static let negatives: [(failure: ResolveFailure, chain: [String], reply: String)] = [
    (.nameDoesNotExist, [], "3"), (.noAddresses, [], "0"),
    (.nameDoesNotExist, ["a.cdn.test"], "3 web.test/CNAME=a.cdn.test"),
    (.noAddresses, ["a.cdn.test", "b.cdn.test"], "0 web.test/CNAME=a.cdn.test a.cdn.test/CNAME=b.cdn.test"),
    (.timeout, [], "2 22"), (.serverFailure, [], "2 23"), (.badResponse, [], "2 23"),
    (.chainTooLong, ["a.cdn.test"], "2 0"), (.overload, [], "2 0"),
  ]

  @Test("failures as codes; NXDOMAIN behind an alias keeps the aliases (RFC 6604)", arguments: negatives)
  func failures(_ failure: ResolveFailure, _ chain: [String], _ reply: String) throws {
    let answered = try Self.conclude("web.test", .failure(failure), chain: chain)
    #expect("\(try answered.answer.reply(to: "web.test"))" == reply)
    #expect(
      answered.verdict.words == "allow rule web", "the policy let it pass; what the upstream said is its own")
  }

  @Test(
    "RFC 2308: that there is nothing may be remembered for as long as the upstream said",
    arguments: [(5, 5), (60, 60), (3600, 3600), (0, 1), (-3, 1)] as [(Int, UInt32)])
  func minimum(_ seconds: Int, _ minimum: UInt32) throws {
    for failure in [ResolveFailure.nameDoesNotExist, .noAddresses] {
      let answered = try Self.conclude("web.test", .failure(failure), seconds: seconds)
      let reply = try answered.answer.reply(to: "web.test")
      #expect(reply.authorities.map(\.data) == [.startOfAuthority(minimum: minimum)])
    }
  }

  @Test("DESIGN 4: a denial may be remembered for 5 s, whatever the upstream said")
  func denial() throws {
    for (addresses, chain) in [(["10.0.0.5"], []), (["11.11.0.10"], ["evil.test"])] {
      let reply = try Self.conclude("web.test", Self.addresses(addresses), chain: chain).answer.reply(
        to: "web.test")
      #expect(reply.authorities.map(\.data) == [.startOfAuthority(minimum: 5)])
    }
  }
}

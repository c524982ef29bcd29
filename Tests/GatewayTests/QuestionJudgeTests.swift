import Addressing
import EventLoop
import Policy
import Testing
import Wire

@testable import Gateway

@Suite("What becomes of a question, by name and type")
struct QuestionJudgeTests {
  static let rules = """
      - { id: web, action: allow, to: [web.test, "*.web.test"] }
      - { id: mail, action: allow, to: [mail.test], protocol: dns, types: [TXT, MX] }
      - { id: no-mx, action: deny, to: [mail.test], protocol: dns, types: [MX] }
      - { id: later, action: ask, to: [later.test] }
      - { id: notes, action: ask, to: [notes.test], protocol: dns, types: [TXT] }
      - { id: evil, action: deny, to: ["**.evil.test"] }
      - { id: wild, action: allow, to: ["*.wild.test"] }
      - { id: bad, action: deny, to: [bad.wild.test] }
      - { id: mine, action: allow, agents: [other], to: [mine.test] }
    """

  static let asksByDefault = "\ndefaults: { action: ask }"

  /// What each kind of type gets; every type of one kind gets the same.
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    /// A, AAAA and CNAME.
    var address: String
    /// HTTPS and SVCB.
    var empty: String
    var any: String
    var txt: String
    /// SRV and NAPTR, which no rule names.
    var others: String
    var because: String
    var testDescription: String { "\(name): \(because)" }

    init(
      _ name: String, _ address: String, empty: String, any: String, txt: String, others: String,
      _ because: String
    ) {
      (self.name, self.address, self.empty, self.any) = (name, address, empty, any)
      (self.txt, self.others, self.because) = (txt, others, because)
    }

    /// The same for every type.
    init(_ name: String, all: String, _ because: String) {
      self.init(name, all, empty: all, any: all, txt: all, others: all, because)
    }
  }

  static let unnamed = "0 18 deny record-type"

  static let enforced = [
    Case(
      "web.test", "forward allow rule web", empty: "0 allow rule web", any: "HINFO allow rule web",
      txt: "\(unnamed) web", others: "\(unnamed) web", "row 11: an https rule opens addresses, nothing else"),
    Case(
      "a.web.test", "forward allow rule web", empty: "0 allow rule web", any: "HINFO allow rule web",
      txt: "\(unnamed) web", others: "\(unnamed) web", "a wildcard as well"),
    Case(
      "mail.test", "forward allow rule mail", empty: "0 allow rule mail", any: "HINFO allow rule mail",
      txt: "forward allow rule mail", others: "\(unnamed) mail", "`types` opens what it names"),
    Case(
      "later.test", "forward allow ask-rule later", empty: "0 allow ask-rule later",
      any: "HINFO allow ask-rule later", txt: "\(unnamed) later", others: "\(unnamed) later",
      "an ask rule could let it pass; nobody is asked about a name"),
    Case(
      "notes.test", "forward allow ask-rule notes", empty: "0 allow ask-rule notes",
      any: "HINFO allow ask-rule notes", txt: "\(unnamed) notes", others: "\(unnamed) notes",
      "an ask rule with types: nobody is asked about a question, so it opens none"),
    Case("evil.test", all: "3 15 deny deny-rule evil", "DNS-07: denied, whatever the type"),
    Case("a.b.evil.test", all: "3 15 deny deny-rule evil", "below it too"),
    Case("bad.wild.test", all: "3 15 deny deny-rule bad", "all that the wildcard opens is denied"),
    Case("none.test", all: "3 18 deny no-rule", "DNS-07: no rule, whatever the type"),
    Case("mine.test", all: "3 18 deny no-rule", "another agent's rule"),
    Case("evilweb.test", all: "3 18 deny no-rule", "POL-02: no label boundary"),
  ]

  @Test("DNS-07, DNS-08: enforce mode", arguments: enforced)
  func enforce(_ c: Case) throws {
    try Self.check(c, Self.judge(Bench.policy(Self.rules)))
  }

  static let asking =
    enforced.filter { $0.name != "none.test" && $0.name != "mine.test" && $0.name != "evilweb.test" } + [
      Case(
        "none.test", all: "3 18 deny no-rule",
        "DNS-01: that anybody might be asked about any name must not send every name upstream")
    ]

  @Test("the default is ask: names that no rule speaks of stay denied", arguments: asking)
  func askByDefault(_ c: Case) throws {
    try Self.check(c, Self.judge(Bench.policy(Self.rules + Self.asksByDefault)))
  }

  static let audited = [
    Case(
      "web.test", "forward allow rule web", empty: "0 allow rule web", any: "HINFO allow rule web",
      txt: "forward allow no-rule would-deny", others: "forward allow no-rule would-deny",
      "row 13: a type that no rule names would have been denied, and passes"),
    Case(
      "evil.test", "forward allow deny-rule evil would-deny", empty: "0 allow deny-rule evil would-deny",
      any: "HINFO allow deny-rule evil would-deny", txt: "forward allow no-rule would-deny",
      others: "forward allow no-rule would-deny", "row 13: would-be denials pass and say so"),
    Case(
      "none.test", "forward allow no-rule would-deny", empty: "0 allow no-rule would-deny",
      any: "HINFO allow no-rule would-deny", txt: "forward allow no-rule would-deny",
      others: "forward allow no-rule would-deny", "no rule at all"),
    Case(
      "later.test", "forward allow ask-rule later", empty: "0 allow ask-rule later",
      any: "HINFO allow ask-rule later", txt: "forward allow no-rule would-deny",
      others: "forward allow no-rule would-deny", "enforce mode would have let it pass too"),
  ]

  @Test("audit mode", arguments: audited)
  func audit(_ c: Case) throws {
    try Self.check(c, Self.judge(Bench.policy(Self.rules, mode: .audit)))
  }

  static let synthetic = [
    Case(
      "web.test", "lease allow rule web", empty: "0 allow rule web", any: "HINFO allow rule web",
      txt: "\(unnamed) web", others: "\(unnamed) web", "the name gets an address of the pool"),
    Case(
      "later.test", "lease allow ask-rule later", empty: "0 allow ask-rule later",
      any: "HINFO allow ask-rule later", txt: "\(unnamed) later", others: "\(unnamed) later",
      "its connection will be asked about"),
    Case("evil.test", all: "3 15 deny deny-rule evil", "a denied name gets none"),
    Case("none.test", all: "3 18 deny no-rule", "nor does an unknown one"),
  ]

  @Test("DESIGN 5: synthetic answers ask nobody, and give no alias away", arguments: synthetic)
  func pool(_ c: Case) throws {
    var judge = try Self.judge(Bench.policy(Self.rules))
    for hasIPv6 in [true, false] {
      judge = QuestionJudge(
        policy: judge.policy, suffixes: judge.suffixes, hasIPv6: hasIPv6, isSynthetic: true)
      let alias = c.address.hasPrefix("lease") ? "0 " + c.address.dropFirst(6) : c.address
      #expect(try Self.words("A", c.name, judge) == c.address, "\(c.because)")
      #expect(try Self.words("AAAA", c.name, judge) == c.address, "\(c.because)")
      #expect(try Self.words("CNAME", c.name, judge) == alias, "\(c.because)")
      #expect(try Self.words("HTTPS", c.name, judge) == c.empty, "\(c.because)")
      #expect(try Self.words("TXT", c.name, judge) == c.txt, "\(c.because)")
    }
  }

  @Test(
    "where everything else is asked about, an unknown name gets an address of the pool, which asks nobody")
  func poolAsks() throws {
    let policy = try Bench.policy(Self.rules + Self.asksByDefault)
    let judge = QuestionJudge(policy: policy, suffixes: SearchSuffixes(), hasIPv6: true, isSynthetic: true)
    #expect(try Self.words("A", "none.test", judge) == "lease allow no-rule")
    #expect(try Self.words("TXT", "none.test", judge) == Self.unnamed, "nothing but addresses is made up")
  }

  @Test("no IPv6 way out: AAAA is empty at once, and nobody is asked")
  func withoutIPv6() throws {
    let judge = QuestionJudge(
      policy: try Bench.policy(Self.rules), suffixes: SearchSuffixes(), hasIPv6: false, isSynthetic: false)
    #expect(try Self.words("AAAA", "web.test", judge) == "0 allow rule web")
    #expect(try Self.words("A", "web.test", judge) == "forward allow rule web")
    #expect(try Self.words("AAAA", "evil.test", judge) == "3 15 deny deny-rule evil", "denied before that")
  }

  @Test("what is denied may be remembered for 5 s, with the generation as its serial")
  func authority() throws {
    let judge = Self.judge(try Bench.policy(Self.rules, generation: 0x1_0000_0007))
    let question = Question(name: try Hostname("none.test"), type: .a)
    guard case .settled(let settled) = judge.judge(question, as: Bench.agent, at: Bench.now) else {
      throw GaveUp(description: "not settled")
    }
    let answer = settled.answer
    #expect(answer.authorityCount == 1 && answer.lifetimes.count == 1)
    #expect(answer.records.suffix(20) == [0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 5])
  }

  static let noise: [(name: String, noise: Bool, because: String)] = [
    ("web.test.default.svc.cluster.local", true, "ndots:5, the first suffix"),
    ("web.test.svc.cluster.local", true, "the second"), ("web.test.cluster.local", true, "the third"),
    ("web.test.corp.example", true, "the gate's own resolv.conf"),
    ("a.web.test.svc.cluster.local", true, "by a wildcard"),
    ("later.test.cluster.local", true, "an ask rule"),
    ("evil.test.cluster.local", false, "DNS-01: a denied prefix is a denial like any other"),
    ("none.test.cluster.local", false, "no rule speaks of it"),
    ("mine.test.cluster.local", false, "another agent's rule"),
    ("test.cluster.local", false, "a single label may be a service of the cluster"),
    ("web.test.cluster.local.evil.test", false, "the suffix is not at the end"),
    ("web.test.notcluster.local", false, "whole labels"),
    ("web.test", false, "no suffix"),
  ]

  @Test(
    "DNS-27: an allowed name with a search suffix behind it is no denial of a destination", arguments: noise)
  func suffixes(_ name: String, _ isNoise: Bool, _ because: String) throws {
    for mode in [Mode.enforce, .audit] {
      for more in ["", Self.asksByDefault] {
        let judge = QuestionJudge(
          policy: try Bench.policy(Self.rules + more, mode: mode),
          suffixes: SearchSuffixes([try Hostname("corp.example")]), hasIPv6: true,
          isSynthetic: false)
        for type in ["A", "AAAA", "TXT", "HTTPS"] {
          let isCalledSo = try Self.words(type, name, judge) == "3 deny search-suffix"
          #expect(isCalledSo == isNoise, "\(because) \(mode) \(type)\(more)")
        }
      }
    }
  }

  @Test("a rule counts until it expires, to the millisecond")
  func expiry() throws {
    let rules = "  - { id: web, action: allow, to: [web.test], expires: 2027-01-31T00:00:00Z }"
    let judge = Self.judge(try Bench.policy(rules))
    let end = try #require(Timestamp("2027-01-31T00:00:00Z"))
    let before = Timestamp(milliseconds: end.milliseconds - 1)
    #expect(try Self.words("A", "web.test", judge, at: before) == "forward allow rule web")
    #expect(try Self.words("A", "web.test", judge, at: end) == "3 18 deny no-rule")
  }

  // MARK: -

  static func judge(_ policy: Policy) -> QuestionJudge {
    QuestionJudge(policy: policy, suffixes: SearchSuffixes(), hasIPv6: true, isSynthetic: false)
  }

  static func words(
    _ type: String, _ name: String, _ judge: QuestionJudge, at now: Timestamp = Bench.now
  ) throws -> String {
    let type = DNSRecordType(rawValue: try #require(RecordTypes.number(of: type)))
    switch judge.judge(Question(name: try Hostname(name), type: type), as: Bench.agent, at: now) {
    case .forward(_, let verdict): return "forward \(verdict.words)"
    case .lease(_, let verdict): return "lease \(verdict.words)"
    case .settled(let settled):
      let answer = settled.answer
      let code = answer.answerCount > 0 ? "HINFO" : "\(answer.responseCode.rawValue)"
      let error = answer.error.map { " \($0.code)" } ?? ""
      return "\(code)\(error) \(settled.verdict.words)"
    }
  }

  static func check(_ c: Case, _ judge: QuestionJudge) throws {
    let kinds: [(types: [String], words: String)] = [
      (["A", "AAAA", "CNAME"], c.address), (["HTTPS", "SVCB"], c.empty), (["ANY"], c.any), (["TXT"], c.txt),
      (["SRV", "NAPTR"], c.others),
      (
        ["AXFR", "IXFR", "NULL", "MAILA", "MAILB", "OPT", "TYPE0", "TYPE128", "TYPE65280", "TYPE65535"],
        "5 18 deny record-type"
      ),
    ]
    for kind in kinds {
      for type in kind.types { #expect(try words(type, c.name, judge) == kind.words, "\(type) \(c.because)") }
    }
  }
}

import Addressing
import Audit
import LogFixtures
import Policy
import PolicyFile
import Testing

@testable import Review

@Suite("The log under another policy")
struct ReplayTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var rules: String, record: Record, change: ReplayReport.Change?, because: String
    var testDescription: String { because }
  }

  static let get = "http: [{ methods: [GET], path: \"/a/**\" }]"
  static let cases = [
    Case(
      rules: "", record: decision("a.test", rule: "old"), change: .newlyDenied, because: "its rule is gone"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test] }", record: decision("a.test", rule: "old"), change: nil,
      because: "another rule, the same answer"),
    Case(
      rules: "{ id: n, action: deny, to: [a.test] }", record: decision("a.test", rule: "old"),
      change: .newlyDenied, because: "a deny rule"),
    Case(
      rules: "{ id: n, action: ask, to: [a.test] }", record: decision("a.test", rule: "old"),
      change: .newlyDenied, because: "to be asked is not to be allowed"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test] }", record: denied("a.test"), change: .newlyAllowed,
      because: "a rule was missing"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test] }", record: passed("a.test"), change: .newlyAllowed,
      because: "audit mode's passing is no allowing"),
    Case(rules: "", record: passed("a.test"), change: nil, because: "it would still be denied"),
    Case(
      rules: "{ id: n, action: deny, to: [a.test] }", record: approved("a.test"), change: .newlyDenied,
      because: "what a person allowed would be denied"),
    Case(
      rules: "{ id: n, action: ask, to: [a.test] }", record: approved("a.test"), change: nil,
      because: "a person would be asked again"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test] }", record: approved("a.test"), change: nil,
      because: "nobody need be asked, and it passes as it did"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test], protocol: tcp, ports: [443] }",
      record: decision("a.test", rule: "old"), change: nil, because: "a tunnel may carry opaque bytes"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test], protocol: tcp, ports: [22] }",
      record: decision("a.test", rule: "old"), change: .newlyDenied, because: "another port"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test] }",
      record: decision("a.test", rule: "old", address: "10.0.0.1"), change: .newlyDenied,
      because: "the name led to a private address"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test], allow-private: true }",
      record: denied("a.test", reason: .privateAddress), change: .newlyAllowed,
      because: "private addresses are opened"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test], protocol: http, \(get) }",
      record: decision("a.test", 80, .http, layer: .http, rule: "old", method: "GET"), change: .undecidable,
      because: "no log holds paths"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test], protocol: http, \(get) }",
      record: decision("a.test", 80, .http, layer: .http, rule: "old", method: "PUT"), change: .newlyDenied,
      because: "the method decides"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test] }", record: question("a.test"), change: .newlyAllowed,
      because: "a name that may be reached may be asked for"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test], protocol: dns, types: [TXT] }",
      record: question("a.test", "MX"), change: nil, because: "another type"),
    Case(
      rules: "{ id: n, action: allow, to: [a.test], agents: [ci] }", record: decision("a.test", rule: "old"),
      change: .newlyDenied, because: "another agent"),
  ]

  @Test("each way a decision can change", arguments: cases)
  func changes(_ c: Case) throws {
    let report = try replay([c.record], under: c.rules)
    #expect(report.groups.map(\.change) == [c.change].compactMap(\.self))
    #expect(report.hasNewDenials == (c.change == .newlyDenied) && report.others == 0)
    #expect(report.unchanged == (c.change == nil ? 1 : 0))
  }

  @Test("what the rules did not decide is only counted")
  func others() throws {
    let report = try replay(
      [
        denied("a b", reason: .malformed), denied("169.254.169.254", reason: .specialAddress),
        passed("a.test", reason: .sniMismatch, layer: .sni), denied("a.test", reason: .overload),
      ], under: "{ id: n, action: allow, to: [a.test] }")
    #expect(report.groups.isEmpty && report.others == 4)
  }

  @Test("groups come with how often, first and last, and what was allowed stands first")
  func order() throws {
    let records = [
      denied("new.test", at: 5), denied("new.test", at: 6), denied("new.test", at: 9),
      decision("gone.test", rule: "old", at: 7), decision("gone.test", rule: "old", at: 8),
    ]
    let report = try replay(records, under: "{ id: n, action: allow, to: [new.test] }")
    #expect(report.groups.map(\.change) == [.newlyDenied, .newlyAllowed])
    #expect(report.groups.map(\.count) == [2, 3])
    #expect(report.groups[0].first.milliseconds == 7 && report.groups[0].oldRule == "old")
  }

  private func replay(_ records: [Record], under rules: String) throws -> ReplayReport {
    let text = "version: 1\nagents: { ci: { listen: 127.0.0.1:3129 } }\nrules: [\(rules)]\n"
    let policy = try testLoader().load(text: text, named: "new").policy
    return ReplayReport(try WrittenLog(records).summary(), under: policy, at: testNow)
  }

  @Test(
    "what was allowed at places beyond those that are told apart is unknown, and what was denied there is not"
  )
  func folded() throws {
    var allowed = RecordKind(event: .decision), refused = allowed
    (allowed.agent, allowed.verdict, allowed.reason) = ("default", .allow, Reason.allowed.rawValue)
    (refused.agent, refused.verdict, refused.reason) = ("default", .deny, Reason.noRule.rawValue)
    let amount = Amount(count: 3, first: 0, last: 0, earliest: 0, bytesOut: 0, bytesIn: 0, lostEvents: 0)
    var counters = CounterTable()
    for kind in [Int32(0), 1] { counters.add(Counter(kind: kind, hour: 0, amount: amount)) }
    let summary = LogSummary(kinds: [allowed, refused], counters, unreadable: 0)
    let report = ReplayReport(summary, under: Policy(), at: Timestamp(milliseconds: someTime))
    #expect(report.unknown == 3 && report.others == 3 && report.groups.isEmpty)
  }
}

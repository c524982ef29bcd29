import Addressing
import Audit
import LogFixtures
import Policy
import Testing

@testable import Review

@Suite("What was blocked")
struct BlockedTests {
  static func records() throws -> [Record] {
    let other = try #require(AgentName("other"))
    var records: [Record] = []
    for flow in 1...20 {
      records.append(decision("api.example.test", rule: "test/1", flow: UInt64(flow)))
      records.append(closing("api.example.test", out: 1000, in: 5))
      records.append(denied("evil.example.test", at: Int64(flow)))
    }
    return records + [
      denied("evil.example.test", agent: other, at: 500),
      denied("b.example.test", reason: .denyRule, rule: "no-b", at: 600), passed("c.example.test", at: 700),
      denied("a b", reason: .malformed, at: 800),
    ]
  }

  @Test("groups by agent and destination, with roll-ups, first and last, and the rule that would allow it")
  func groups() throws {
    let log = try WrittenLog(rotateAt: 6000, Self.records()), summary = try log.summary()
    #expect(summary.unreadable == 0)
    let groups = BlockedOrder.count.sorted(BlockedReport(summary).groups)
    #expect(groups.map(\.count).sorted() == [1, 1, 1, 1, 20])
    let first = try #require(groups.first { $0.count == 20 })
    #expect(first.destination?.description == "https://evil.example.test:443" && first.agent == "default")
    #expect(first.first.milliseconds == 1 && first.last.milliseconds == 20)
    #expect(first.layers == [.connect] && first.reason == "no-rule" && first.domain == "example.test")
    #expect(first.suggestedRule?.contains("evil.example.test") == true)
    let byHost = Dictionary(grouping: groups) { $0.destination.map { "\($0.host)" } ?? "" }
    #expect(byHost["b.example.test"]?.first?.suggestedRule == nil, "a deny rule wins over any allow")
    #expect(byHost["b.example.test"]?.first?.rule == "no-b")
    #expect(byHost["c.example.test"]?.first?.passed == 1)
    #expect(byHost[""]?.first?.suggestedRule == nil)
  }

  @Test("a log in any number of files gives the same groups")
  func segments() throws {
    let whole = BlockedReport(try WrittenLog(Self.records()).summary()).groups
    let parts = BlockedReport(try WrittenLog(rotateAt: 3000, Self.records()).summary()).groups
    let shown = { (groups: [BlockedReport.Group]) in
      BlockedOrder.destination.sorted(groups).map { "\($0)" }
    }
    #expect(shown(whole) == shown(parts) && whole.count == 5)
  }

  @Test("orders: by domain and count, by time, by name")
  func orders() throws {
    let log = try WrittenLog([
      denied("z.one.test", at: 10), denied("a.two.test", at: 30), denied("b.two.test", at: 20),
      denied("b.two.test", at: 25),
    ])
    let groups = BlockedReport(try log.summary()).groups
    let hosts = { (order: BlockedOrder) in
      order.sorted(groups).map { $0.destination.map { "\($0.host)" } ?? "" }
    }
    #expect(hosts(.count) == ["b.two.test", "a.two.test", "z.one.test"])
    #expect(hosts(.destination) == ["z.one.test", "a.two.test", "b.two.test"])
    #expect(hosts(.last) == ["a.two.test", "b.two.test", "z.one.test"])
    #expect(hosts(.first) == ["z.one.test", "b.two.test", "a.two.test"])
  }

  @Test("what the gate counted together, and what the kernel did not sample, is told of")
  func others() throws {
    let lost = { (agent: AgentName?, count: UInt64) in
      Record.lifecycle(
        LifecycleRecord(
          time: Timestamp(milliseconds: someTime), event: .notice, detail: "packets", agent: agent,
          reason: agent == nil ? nil : "no-rule", counts: [("events_lost", count)]))
    }
    let log = try WrittenLog([
      try rollUp("", verdict: .deny, reason: .noRule, count: 40, isOverflow: true), lost(nil, 12),
      denied("evil.test"), lost(.default, 7), lost(.default, 1),
    ])
    let report = BlockedReport(try log.summary())
    #expect(report.others == 40 && report.lostEvents == 12 && report.groups.count == 2)
    let counted = try #require(report.groups.first { $0.destination == nil })
    #expect(
      counted.count == 8 && counted.layers == [.kernel] && counted.reason == "no-rule"
        && counted.agent == "default")
    #expect(StatsReport(try log.summary()).lostEvents == 20)
  }

  @Test("a roll-up is blocked or not by its verdict, in every report")
  func rollUps() throws {
    let log = try WrittenLog([
      try rollUp("good.test", verdict: .allow, reason: .allowed),
      try rollUp("late.test", verdict: .ask, reason: .askRule),
      try rollUp("watched.test", verdict: .allow, reason: .noRule, wouldDeny: true),
      try rollUp("evil.test", verdict: .deny, reason: .noRule),
    ])
    let summary = try log.summary(), groups = BlockedOrder.count.sorted(BlockedReport(summary).groups)
    #expect(groups.map { "\($0.destination?.host, default: "")" } == ["evil.test", "watched.test"])
    #expect(groups.map(\.passed) == [0, 9])
    let totals = StatsReport(summary).totals
    #expect(totals.allowed == 18 && totals.held == 9 && totals.denied == 9 && totals.wouldDeny == 9)
  }

  @Test("a name that was asked for is suggested as https, a type as that type")
  func suggestions() throws {
    let log = try WrittenLog([
      question("evil.test", "A"), question("evil.test", "AAAA"),
      question("mail.test", "TXT", reason: .recordType),
      question("both.test", "TXT", reason: .recordType), question("both.test", "A"),
      question("good.test.cluster.local", "A", reason: .searchSuffix),
      question("new.test", "A", reason: .dnsBudget),
    ])
    let report = BlockedReport(try log.summary())
    #expect(report.suffixed == 1 && report.groups.count == 4)
    let groups = Dictionary(
      uniqueKeysWithValues: report.groups.map { ("\($0.destination?.host, default: "")", $0) })
    #expect(
      groups["evil.test"]?.suggestedRule
        == #"{ id: "allow-evil.test-443", action: allow, to: ["evil.test"] }"#)
    #expect(groups["evil.test"]?.recordTypes == ["A", "AAAA"])
    #expect(groups["mail.test"]?.suggestedRule?.contains("protocol: dns, types: [TXT]") == true)
    #expect(groups["both.test"]?.suggestedRule?.contains("allow-both.test-443") == true)
    #expect(groups["new.test"]?.suggestedRule == nil, "no rule by host helps against a budget")
  }

  @Test(
    "AUD-04: a flood of distinct names is bounded, all of it is counted, and what is frequent is not crowded out"
  )
  func flood() throws {
    var lines = LineSummarizer(RecordFilter())
    let template = try #require(try WrittenLog([denied("x.flood.test")]).records().first { $0.isBlocked })
    let text = String(decoding: template.line.bytes, as: UTF8.self)
    for number in 0..<150_000 {
      let host = number % 100 == 0 ? "often.test" : "n\(number).flood.test"
      var line = text.replacing("x.flood.test", with: host)
      line.withUTF8 { lines.add(UnsafeRawBufferPointer($0)) }
    }
    let summary = lines.summary, report = BlockedReport(summary)
    #expect(summary.tallies.count <= FoldTree.limit + 10)
    #expect(report.groups.count == 2 && report.folded == 148_500)
    #expect(report.groups.reduce(report.others) { $0 + $1.count } == 150_000)
    #expect(
      report.groups.contains { $0.count == 1500 && "\($0.destination?.host, default: "")" == "often.test" })
  }
}

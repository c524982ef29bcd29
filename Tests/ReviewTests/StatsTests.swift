import Addressing
import Audit
import LogFixtures
import Policy
import Testing

@testable import Review

@Suite("Totals over a log")
struct StatsTests {
  @Test("totals, reasons, agents, top destinations")
  func totals() throws {
    let report = StatsReport(try WrittenLog(try BlockedTests.records()).summary())
    #expect(report.totals.allowed == 21 && report.totals.denied == 23 && report.totals.wouldDeny == 1)
    #expect(report.totals.closed == 20 && report.totals.bytesOut == 20_000 && report.totals.bytesIn == 100)
    #expect(report.reasons == ["rule": 20, "no-rule": 22, "deny-rule": 1, "malformed-request": 1])
    #expect(report.agents["other"]?.denied == 1)
    #expect(report.topByBytes(3).map { "\($0.destination.host)" } == ["api.example.test"])
    #expect(report.topByDenials(1).first?.totals.denied == 21)
  }

  @Test("an hour ends where the next one begins")
  func hours() throws {
    let hour = Tally.hourLength * 500_000
    let report = StatsReport(
      try WrittenLog([decision(at: hour - 1), decision(at: hour), decision(at: hour + Tally.hourLength - 1)])
        .summary())
    #expect(report.hours.mapValues(\.allowed) == [499_999: 1, 500_000: 2])
  }

  @Test("AUD-08: a record from the future moves no chart, and is counted; before all others there is none")
  func future() throws {
    let hour = Tally.hourLength, begin = hour * 500_000
    let report = StatsReport(
      try WrittenLog([
        decision(at: begin), denied("x.test", at: begin + 2 * hour), decision(at: begin + 3 * hour - 1),
        decision(at: begin + 90_000 * hour), passed("y.test", at: begin + 90_001 * hour),
      ]).summary())
    let chart = try #require(report.chart(of: 24, at: Timestamp(milliseconds: begin + 10 * hour)))
    #expect(chart.hours == 499_979...500_002 && chart.later == 2)
    let after = try #require(report.chart(of: 24, at: Timestamp(milliseconds: begin + 100_000 * hour)))
    #expect(after.hours.upperBound == 590_001 && after.later == 0)
    let before = try #require(report.chart(of: 24, at: Timestamp(milliseconds: 0)))
    #expect(
      before.hours.upperBound == 590_001 && before.later == 5, "where there is nothing else it is shown")
    #expect(StatsReport(try WrittenLog([]).summary()).chart(of: 24, at: testNow) == nil)
  }

  @Test("rules that nothing needed, that nothing needed for long, and that run out")
  func rules() throws {
    let day: Int64 = 86_400_000
    let rule = { (id: String, action: Action, expires: Int64?) in
      Rule(
        id: try #require(RuleID(id)), action: action, to: [.exact(try Hostname("\(id).test"))],
        ports: [PortRange(.https)], expires: expires.map { Timestamp(milliseconds: $0) })
    }
    let now = Timestamp(milliseconds: someTime)
    let policy = Policy(rules: [
      try rule("used", .allow, nil), try rule("never", .allow, nil), try rule("old", .allow, nil),
      try rule("no", .deny, nil), try rule("ending", .ask, someTime + 3 * day),
      try rule("over", .allow, someTime - 1),
    ])
    let log = try WrittenLog([
      decision("used.test", rule: "used", at: someTime - day),
      decision("old.test", rule: "old", at: someTime - 40 * day),
      decision("other.test", rule: "gone", at: someTime - 50 * day),
    ])
    let use = RuleUse(of: policy, in: StatsReport(try log.summary()), at: now)
    #expect(use.unused.map(\.rule.id.text) == ["never", "ending"])
    #expect(use.unused.first?.idle == .seconds(50 * 86_400))
    #expect(use.stale.map(\.rule.id.text) == ["old"] && use.stale.first?.idle == .seconds(40 * 86_400))
    #expect(use.expiring.map(\.rule.id.text) == ["ending"])
  }
}

import Audit
import EventLoop
import Policy
import Testing

@testable import Gateway

@Suite("The clock that rules run out by")
struct RuleClockTests {
  /// What the two clocks say, in seconds, and what the rules are told.
  struct Reading: Sendable {
    var wall: Int64, passed: Int64, rules: Int64, because: String
  }
  static let readings = [
    Reading(wall: 1000, passed: 0, rules: 1000, because: "it begins at the time of day"),
    Reading(wall: 1060, passed: 60, rules: 1060, because: "and goes with it"),
    Reading(wall: 500, passed: 70, rules: 1070, because: "a time of day set back is not followed"),
    Reading(wall: 600, passed: 170, rules: 1170, because: "time passes nevertheless"),
    Reading(wall: 5000, passed: 180, rules: 5000, because: "forwards it follows at once"),
    Reading(wall: 1200, passed: 200, rules: 5020, because: "and what was once over stays over"),
    Reading(wall: 5030, passed: 210, rules: 5030, because: "where the clocks meet again they go together"),
  ]

  @Test("OPS-06: it never goes back, and never slower than time passes")
  func readings() {
    let clock = RuleClock(wall: Self.time(1000), sinceBoot: 7000)
    for reading in Self.readings {
      let moment = clock.moment(wall: Self.time(reading.wall), sinceBoot: 7000 + reading.passed * 1000)
      #expect(moment.rules == Self.time(reading.rules), "\(reading.because)")
      #expect(moment.wall == Self.time(reading.wall), "records keep the time of day")
    }
  }

  @Test("OPS-06: another floor goes on with the clock, another policy begins anew")
  func generations() throws {
    let first = try Bench.snapshot("  - { id: r, action: allow, to: [a.test] }")
    let day = Int64(86_400_000), now = first.clock.now()
    let ahead = Timestamp(milliseconds: now.wall.milliseconds + day)
    _ = first.clock.moment(wall: ahead, sinceBoot: 0)
    #expect(first.clock.now().rules >= ahead)
    #expect(first.replacingFloor(first.floor).clock.now().rules >= ahead)
    #expect(try Bench.snapshot("  - { id: r, action: allow, to: [a.test] }").clock.now().rules < ahead)
  }

  @Test("OPS-06: a rule and the end of an alias are judged by the rules' time, records by the time of day")
  func judged() throws {
    let rules = "  - { id: r, action: allow, to: [a.test], expires: 2027-01-01T00:00:00Z }"
    let end = try #require(Timestamp("2027-01-01T00:00:00Z"))
    let snapshot = try Bench.snapshot(rules)
    for (time, words) in [(Bench.now, "resolve a.test"), (end, "deny no-rule")] {
      var approach = Approach(
        .tunnel, to: try Bench.authority("a.test"), from: Bench.origin, id: 1, at: Bench.now)
      let effects = approach.handle(.begin, under: snapshot, at: Moment(wall: Bench.now, rules: time))
      #expect(effects.first?.words == words)
      guard case .record(let record)? = effects.first else { continue }
      guard case .decision(let decision) = record else { continue }
      #expect(decision.time == Bench.now)
    }
  }

  private static func time(_ seconds: Int64) -> Timestamp { Timestamp(milliseconds: seconds * 1000) }
}

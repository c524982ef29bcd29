import EventLoop
import Testing

@testable import Gateway

@Suite("The rate of questions")
struct QueryRateTests {
  static let start: UInt64 = 5_000_000_000

  static func at(_ nanoseconds: UInt64) -> MonotonicTime { MonotonicTime(nanoseconds: start + nanoseconds) }

  static func verdicts(_ rate: inout QueryRate, _ count: Int, agent: UInt16 = 0, at time: UInt64 = 0)
    -> [QueryRate.Verdict: Int]
  {
    (0..<count).reduce(into: [:]) { result, _ in result[rate.take(agent, at: at(time)), default: 0] += 1 }
  }

  @Test("twice the rate passes at once, as much again is cut short, the rest is dropped")
  func burst() {
    var rate = QueryRate(perSecond: 50)
    #expect(Self.verdicts(&rate, 500) == [.pass: 100, .truncate: 100, .drop: 300])
    #expect(
      Self.verdicts(&rate, 500, agent: 7) == [.pass: 100, .truncate: 100, .drop: 300],
      "each agent has its own")
  }

  @Test("a second later there is a second's worth, and never more than the burst")
  func refill() {
    var rate = QueryRate(perSecond: 50)
    _ = Self.verdicts(&rate, 500)
    #expect(Self.verdicts(&rate, 500, at: 19_999_999) == [.drop: 500])
    #expect(Self.verdicts(&rate, 500, at: 20_000_000) == [.pass: 1, .truncate: 1, .drop: 498])
    #expect(Self.verdicts(&rate, 500, at: 1_020_000_000) == [.pass: 50, .truncate: 50, .drop: 400])
    #expect(Self.verdicts(&rate, 500, at: 900_000_000_000) == [.pass: 100, .truncate: 100, .drop: 300])
  }

  @Test(
    "at the rate, nothing is ever cut; at one and a half times the rate a third is; at three times a third passes"
  )
  func steady() {
    for (every, pass, truncate) in [
      (20_000_000, 1.0, 0.0), (13_333_334, 0.667, 0.333), (6_666_667, 0.333, 0.333),
    ] as [(UInt64, Double, Double)] {
      var rate = QueryRate(perSecond: 50)
      _ = Self.verdicts(&rate, 500)
      var counts: [QueryRate.Verdict: Double] = [:]
      for step in 1...30_000 as ClosedRange<UInt64> {
        counts[rate.take(0, at: Self.at(step * every)), default: 0] += 1
      }
      #expect(
        abs((counts[.pass] ?? 0) / 30_000 - pass) < 0.01
          && abs((counts[.truncate] ?? 0) / 30_000 - truncate) < 0.01)
    }
  }

  @Test("over TCP a question waits for its token, and takes none before")
  func stream() {
    var rate = QueryRate(perSecond: 50)
    for _ in 0..<100 { #expect(rate.wait(3, at: Self.at(0)) == nil) }
    for _ in 0..<5 { #expect(rate.wait(3, at: Self.at(0)) == .milliseconds(20)) }
    #expect(rate.wait(3, at: Self.at(5_000_000)) == .milliseconds(15))
    #expect(rate.wait(3, at: Self.at(20_000_000)) == nil)
    #expect(rate.wait(3, at: Self.at(20_000_000)) == .milliseconds(20))
    #expect(rate.take(3, at: Self.at(20_000_000)) == .truncate, "both ways draw from one bucket")
    #expect(rate.take(3, at: Self.at(40_000_000)) == .pass)
  }

  @Test("without a rate everything passes", arguments: [0, -1, Int.min, Int.max])
  func none(_ perSecond: Int) {
    var rate = QueryRate(perSecond: perSecond)
    #expect(Self.verdicts(&rate, 10_000) == [.pass: 10_000])
    #expect(rate.wait(0, at: Self.at(0)) == nil)
  }

  @Test("odd rates and the ends of time", arguments: [1, 3, 7, 999_999, 1_000_000])
  func extremes(_ perSecond: Int) {
    for time in [0, 1, UInt64.max / 2, .max] as [UInt64] {
      var rate = QueryRate(perSecond: perSecond), passed = 0
      while passed < 3_000_000, rate.take(.max, at: MonotonicTime(nanoseconds: time)) == .pass { passed += 1 }
      #expect(passed == 2 * perSecond, "at \(time)")
      _ = rate.take(.max, at: MonotonicTime(nanoseconds: 0))
      _ = rate.wait(.max, at: MonotonicTime(nanoseconds: 0))
    }
  }

  @Test("it agrees with a bucket that counts tokens", arguments: 1...20 as ClosedRange<UInt64>)
  func property(_ seed: UInt64) {
    var random = SeededStory(seed: seed)
    let perSecond = [1, 2, 4, 5, 10, 50, 100].randomElement(using: &random) ?? 1
    var rate = QueryRate(perSecond: perSecond), now: UInt64 = 0
    // Counted in billionths of a token, each nanosecond adds as many as the rate.
    let token: Int = 1_000_000_000, most = 2 * perSecond * token
    var answers = most, truncations = most
    for _ in 0..<5000 {
      let step = UInt64.random(in: 0...1_600_000_000 / UInt64(perSecond), using: &random)
      now += step
      answers = min(most, answers + Int(step) * perSecond)
      truncations = min(most, truncations + Int(step) * perSecond)
      if UInt8.random(in: 0..<4, using: &random) == 0 {
        let missing = max(0, token - answers)
        #expect(
          rate.wait(0, at: Self.at(now))
            == (missing == 0 ? nil : .nanoseconds((missing + perSecond - 1) / perSecond)))
        if missing == 0 { answers -= token }
        continue
      }
      let expected: QueryRate.Verdict = answers >= token ? .pass : truncations >= token ? .truncate : .drop
      #expect(rate.take(0, at: Self.at(now)) == expected)
      if expected == .pass { answers -= token }
      if expected == .truncate { truncations -= token }
    }
  }
}

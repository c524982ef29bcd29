import EventLoop
import Policy
import Testing

@testable import Gateway

@Suite("How long a connection may last in all")
struct DeadlineTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var limits: String, longest: Duration, because: String
    var testDescription: String { because }
  }
  static let cases = [
    Case(limits: "", longest: .seconds(86_400), because: "a day where nothing is said"),
    Case(limits: ", limits: { bytes-out: 1GiB }", longest: .seconds(86_400), because: "nor by other limits"),
    Case(limits: ", limits: { duration: 90s }", longest: .seconds(90), because: "a rule may say less"),
    Case(limits: ", limits: { duration: 7d }", longest: .seconds(604_800), because: "or more"),
    Case(limits: ", limits: { duration: none }", longest: Limits.longestDuration, because: "or no end"),
  ]

  @Test("DOS-04: a tunnel has a deadline for the whole of it, its rule's or the gate's", arguments: cases)
  func longest(_ c: Case) throws {
    let snapshot = try Bench.snapshot("  - { id: r, action: allow, to: [a.test]\(c.limits) }")
    let flow = try Bench.flow(to: "a.test", rule: "r", under: snapshot)
    let now = MonotonicTime(nanoseconds: 5_000_000_000)
    let options = RelayOptions(flow, account: nil, from: now)
    #expect(options.until == now + c.longest)
    #expect(options.idle == Deadlines.idle)
  }

  @Test("DOS-04: what no rule let through, but audit mode, has the gate's deadline")
  func withoutRule() throws {
    let flow = try Bench.flow(to: "a.test", under: try Bench.snapshot(ApproachTests.tls, mode: .audit))
    #expect(flow.longest == Deadlines.total)
  }
}

import Addressing
import LogFixtures
import Policy
import Testing

@testable import Audit

/// A table by reference, since an expectation cannot call what mutates.
private final class Table {
  private var chatter = Chatter()

  var count: Int { chatter.count }
  /// The clocks go together unless a test says otherwise.
  func admit(_ record: DecisionRecord, at now: UInt64? = nil) -> Bool {
    chatter.admit(record, at: now ?? UInt64(clamping: record.time.milliseconds) &* 1_000_000)
  }
  func rollUps(atMilliseconds now: UInt64) -> [RollUpRecord] { chatter.rollUps(at: now &* 1_000_000) }
  func drain() -> [RollUpRecord] { chatter.drain() }
}

@Suite("Chatter is counted, and nothing of it is lost")
struct ChatterTests {
  @Test("the first denial at once, then one roll-up each ten seconds with count, first and last")
  func rollUp() {
    let chatter = Table()
    #expect(chatter.admit(denial("a.test", at: 0)))
    for time in stride(from: Int64(100), through: 9000, by: 100) {
      #expect(!chatter.admit(denial("a.test", at: time)))
    }
    #expect(chatter.rollUps(atMilliseconds: 9999).isEmpty)
    let rollUps = chatter.rollUps(atMilliseconds: 10_000)
    #expect(rollUps.map(\.count) == [90])
    #expect(rollUps.first?.first.milliseconds == 100 && rollUps.first?.last.milliseconds == 9000)
    #expect(chatter.count == 1)
    #expect(chatter.rollUps(atMilliseconds: 30_000).isEmpty)
    #expect(chatter.count == 0, "a quiet kind is forgotten")
    #expect(chatter.admit(denial("a.test", at: 30_001)), "and written at once when it comes back")
  }

  @Test("what differs is never counted together")
  func kinds() throws {
    let chatter = Table()
    let other = try #require(AgentName("other"))
    #expect(chatter.admit(denial("a.test")))
    #expect(chatter.admit(denial("b.test")))
    #expect(chatter.admit(denial("a.test", agent: other)))
    #expect(chatter.admit(decision("a.test", verdict: .deny, reason: .denyRule)))
    #expect(chatter.admit(decision("a.test", verdict: .deny, reason: .noRule, layer: .dns)))
    #expect(!chatter.admit(denial("a.test")))
  }

  @Test("allows and held requests are never counted")
  func allows() {
    let chatter = Table()
    for _ in 0..<3 {
      #expect(chatter.admit(decision("a.test")))
      #expect(chatter.admit(decision("a.test", verdict: .ask, reason: .askRule)))
      #expect(chatter.admit(decision("a.test", verdict: .allow, reason: .noRule, wouldDeny: true)))
    }
    #expect(chatter.count == 0)
  }

  @Test("DOS-06: a million destinations of one agent take bounded room, and the other agent is still heard")
  func million() throws {
    let chatter = Table()
    var written: UInt64 = 0, counted: UInt64 = 0
    var record = denial("a.test")
    for index in 0..<1_000_000 {
      record.destination?.host = .address(.v4(UInt32(index)))
      if chatter.admit(record) { written += 1 }
    }
    #expect(chatter.count == Chatter.keysPerAgent && written == UInt64(Chatter.keysPerAgent) + 1)
    #expect(chatter.admit(denial("b.test", agent: try #require(AgentName("quiet")))))
    for rollUp in chatter.drain() { counted += rollUp.count }
    #expect(written + counted == 1_000_000)
  }

  @Test("DOS-06: of agents without number each is heard by its own name, and none is counted under another")
  func agents() throws {
    let chatter = Table()
    let names = try (0..<2000).map { try #require(AgentName("a\($0)")) } + [.default]
    var written: [AgentName: UInt64] = [:]
    for name in names {
      for host in ["a.test", "b.test", "c.test"] where chatter.admit(denial(host, agent: name)) {
        written[name, default: 0] += 1
      }
    }
    #expect(Set(written.keys) == Set(names), "the first denial of each is in the log")
    #expect(chatter.count <= Chatter.agentLimit * 3, "those who came late have no kinds of their own")
    for rollUp in chatter.drain() { written[rollUp.agent, default: 0] += rollUp.count }
    #expect(written.values.allSatisfy { $0 == 3 }, "what is not written is counted, each under its own name")
  }

  @Test("an agent that came late has kinds of its own once there is room")
  func room() throws {
    let chatter = Table()
    for index in 0...Chatter.agentLimit {
      _ = chatter.admit(denial("a.test", at: 0, agent: try #require(AgentName("a\(index)"))))
    }
    let late = try #require(AgentName("a\(Chatter.agentLimit)"))
    #expect(!chatter.admit(denial("b.test", at: 1, agent: late)), "counted with what else it was denied")
    #expect(chatter.rollUps(atMilliseconds: 10_000).map(\.agent) == [late])
    _ = chatter.rollUps(atMilliseconds: 30_000)
    #expect(chatter.admit(denial("b.test", at: 30_001, agent: late)))
    #expect(chatter.admit(denial("c.test", at: 30_001, agent: late)))
  }

  @Test("times at the ends of their type do not trap")
  func extremes() {
    let chatter = Table()
    for (time, now) in [(Int64.min, UInt64.max), (.max, 0), (0, .max)] {
      _ = chatter.admit(denial("a.test", at: time), at: now)
    }
    for now in [UInt64.max, 0] { _ = chatter.rollUps(atMilliseconds: now) }
  }

  @Test("the log writes the first denial, the roll-up on a tick, and the rest at its end")
  func inTheLog() throws {
    let scratch = try Scratch(), clock = ManualClock()
    let log = try AuditLog.open(scratch.options(), clock: clock.clock) { $0 }
    let start = clock.now.milliseconds
    for offset in 0..<50 { log.append(.decision(denial("a.test", at: start + Int64(offset)))) }
    clock.advance(milliseconds: 10_000)
    log.tick(clock.now)
    for offset in 0..<7 { log.append(.decision(denial("a.test", at: start + 10_000 + Int64(offset)))) }
    log.close()
    let denials = try scratch.records().filter(\.isBlocked)
    #expect(denials.map(\.event) == ["decision", "rollup", "rollup"] && denials.map(\.count) == [1, 49, 7])
    #expect(denials[1].first?.milliseconds == start + 1)
    #expect(denials[1].destination?.description == "https://a.test:443")
  }
}

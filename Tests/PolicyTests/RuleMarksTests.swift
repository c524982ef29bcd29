import Addressing
import Policy
import Testing

/// Flows in the kernel are told apart by these numbers, so none may ever stand for two rules.
@Suite struct RuleMarksTests {
  private func adopt(_ rules: [Rule], in marks: inout RuleMarks, at time: Timestamp = now) throws
    -> RuleMarks.Change
  {
    let change = marks.adopt(Policy(rules: rules), agents: [.default], at: time)
    return try #require(change)
  }

  private func ntp(_ ports: String = "123", note: String? = nil, expires: Timestamp? = nil) throws -> Rule {
    try rule("ntp", to: ["11.11.0.10/32"], .udp, ports: [ports], note: note, expires: expires)
  }

  @Test("only rules that let datagrams of this agent pass have a number, and never the gate's own")
  func whoHasOne() throws {
    var marks = RuleMarks()
    let rules = [
      try ntp(), try rule("asks", .ask, to: ["11.11.0.11/32"], .udp), try rule("web", to: ["web.test"]),
      try rule("denied", .deny, to: ["11.11.0.12/32"], .udp), try rule("stun", to: ["stun.test"], .udp),
      try rule("others", to: ["stun.test"], .udp, agents: ["b"]),
    ]
    let change = try adopt(rules, in: &marks)
    #expect(change.granted.count == 2 && change.revoked.isEmpty)
    #expect(!marks.live.contains(RuleMarks.own) && !marks.live.contains(0))
    #expect(rules.map { marks.mark(of: $0) != nil } == [true, false, false, false, true, false])
    let mark = try #require(marks.mark(of: rules[0]))
    #expect(marks.rule(of: mark)?.text == "ntp")
    #expect(marks.rule(of: RuleMarks.own) == nil)
  }

  @Test("NFT-14 a gate that starts behind another number gives none that the one before gave")
  func startedAnew() throws {
    var before = RuleMarks(after: 10), after = RuleMarks(after: 1000)
    _ = try adopt([try ntp()], in: &before)
    _ = try adopt([try ntp()], in: &after)
    #expect(before.live == [11] && after.live == [1001])
    var lowest = RuleMarks(after: 0)
    _ = try adopt([try ntp()], in: &lowest)
    #expect(!lowest.live.contains(RuleMarks.own))
  }

  @Test("NFT-14 a rule keeps its number while it says the same, and a changed one gets another")
  func changes() throws {
    var marks = RuleMarks()
    _ = try adopt([try ntp()], in: &marks)
    let first = try #require(marks.mark(of: try ntp()))
    let same = try adopt([try ntp(note: "clocks")], in: &marks)
    #expect(same.isEmpty)
    #expect(try marks.mark(of: ntp()) == first)
    let changed = try adopt([try ntp("124")], in: &marks)
    #expect(changed.revoked == [first] && changed.granted.isDisjoint(with: [first]))
    #expect(try marks.mark(of: ntp()) == nil)
    let back = try adopt([try ntp()], in: &marks)
    #expect(!back.granted.contains(first), "a number is never given twice")
  }

  @Test("a rule that is gone, or has run out, loses its number")
  func endings() throws {
    var marks = RuleMarks()
    let until = Timestamp(milliseconds: now.milliseconds + 1000)
    let lasting = try ntp(expires: until)
    _ = try adopt([lasting], in: &marks)
    let mark = try #require(marks.mark(of: lasting))
    let ended = try adopt([lasting], in: &marks, at: until)
    #expect(ended.revoked == [mark])
    #expect(marks.live.isEmpty)
    _ = try adopt([try ntp()], in: &marks)
    let second = try #require(marks.mark(of: try ntp()))
    let removed = try adopt([], in: &marks)
    #expect(removed.revoked == [second])
  }
}

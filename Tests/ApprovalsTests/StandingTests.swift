import Addressing
import Policy
import Testing

@testable import Approvals

@Suite("What stands, and how it is taken back")
struct StandingTests {
  @Test("A refusal for the session and one that ended the asking are listed, and taken back by their ids")
  func refusals() throws {
    var rig = BookRig()
    let (_, session) = try rig.held("https://x.evil.test:443")
    _ = try rig.answer(session, .refuse(.session))
    #expect(rig.book.standingRefusals.map(\.id) == [session.id])
    var last = session
    for _ in 0..<3 {
      last = try rig.held("https://y.evil.test:443").question
      _ = try rig.answer(last, .refuse(.once))
      rig.pass(.seconds(1000))
    }
    let listed = rig.book.standingRefusals
    #expect(listed.map(\.id) == [session.id, last.id] && listed.map(\.hasEnded) == [false, true])
    #expect(listed[0].keys == [try BookRig.key("https://x.evil.test:443")] && listed[0].person == BookRig.me)
    let taken = ["nothing", session.id.text, last.id.text].map { rig.book.takeBackRefusal($0) }
    #expect(taken == [false, true, true])
    #expect(rig.book.standingRefusals.isEmpty)
    #expect(try rig.ask("https://x.evil.test:443").reply.isHeld)
    #expect(try rig.ask("https://y.evil.test:443").reply.isHeld)
  }

  @Test("A refusal that is over by itself is not listed")
  func passing() throws {
    var rig = BookRig()
    _ = try rig.answer(try rig.held("https://x.evil.test:443").question, .refuse(.once))
    #expect(rig.book.standingRefusals.isEmpty)
  }

  @Test("CTL-14: what was refused for good is refused, whatever was approved for a while")
  func never() throws {
    var rig = BookRig()
    let place = "https://x.evil.test:443"
    _ = try rig.answer(try rig.held(place).question, .allow(.session))
    #expect(try rig.ask(place).reply.reason == nil)
    let rule = Rule(
      id: try #require(RuleID("never")), action: .deny, to: [.exact(try Hostname("x.evil.test"))],
      ports: [PortRange(.https)])
    rig.book.standing = Policy(rules: [rule])
    #expect(try rig.ask(place).reply == .denied(.refused))
    rig.book.standing = Policy()
    // The control: the approval stands all the same.
    #expect(try rig.ask(place).reply.reason == nil)
    #expect(!rig.book.standingGrants.isEmpty)
  }

  @Test("Whoever is stopped is not asked about any more, and another agent is")
  func stop() throws {
    var rig = BookRig()
    let (waiter, question) = try rig.held("https://x.evil.test:443")
    let (other, kept) = try rig.held("https://x.evil.test:443", agent: "a2")
    let order = StopOrder(agents: [try #require(AgentName("a1"))])
    _ = rig.book.takeEvents()
    #expect(rig.book.stop(order) == [waiter])
    #expect(rig.book.take(waiter) == .again && rig.book.take(other) == nil)
    #expect(rig.book.takeEvents() == [.closed(question, .stopped)])
    #expect(throws: AnswerRefusal.late(.stopped)) { try rig.answer(question, .allow(.session)) }
    #expect(rig.book.questions == [kept])
    #expect(rig.book.stop(StopOrder(everybody: true)) == [other])
  }
}

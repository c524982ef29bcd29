import Addressing
import Policy
import Testing

@testable import Approvals

@Suite("An approval holds as long as the rule that asked has the same effect")
struct LeaveTests {
  static let place = "https://x.evil.test:443"

  static func rule(
    id: String = "q", note: String? = nil, ports: [PortRange] = [PortRange(.https)],
    traffic: TrafficProtocol = .https,
    requests: [RequestPattern] = [], limits: Limits = .none, isPrivate: Bool = false,
    isLoopback: Bool = false,
    to: [String] = ["x.evil.test"], expires: Timestamp? = nil
  ) throws -> Rule {
    Rule(
      id: try #require(RuleID(id)), action: .ask, to: try to.map { .exact(try Hostname($0)) }, ports: ports,
      traffic: traffic, requests: requests, limits: limits, allowPrivate: isPrivate,
      allowLoopback: isLoopback,
      note: note, expires: expires)
  }

  static func wider() throws -> [Rule?] {
    [
      try rule(isPrivate: true), try rule(isLoopback: true), try rule(to: ["x.evil.test", "y.evil.test"]),
      try rule(ports: [PortRange(.https), PortRange(.http)]), try rule(traffic: .tcp),
      try rule(requests: [RequestPattern()]), try rule(id: "other"),
      try rule(expires: BookRig.start + .seconds(9)), nil,
    ]
  }

  static func asks(_ rule: Rule?) -> Decision { Decision(answer: .ask, reason: .askRule, rule: rule) }

  @Test(
    "CTL-14: under a rule of another effect nobody has approved anything",
    arguments: [Scope.once, .session, .time(.seconds(60))])
  func widened(_ scope: Scope) throws {
    for wider in try Self.wider() {
      var rig = BookRig()
      let (waiter, question) = try rig.held(Self.place, under: try Self.rule())
      rig.book.leave(waiter, at: rig.now)
      _ = try rig.answer(question, .allow(scope))
      var moved = rig
      #expect(try moved.ask(Self.place, under: wider).reply.isHeld, "\(String(describing: wider))")
      #expect(moved.book.standingGrants.count == 1, "it may be asked under the old rule still")
      moved = rig
      #expect(moved.book.endChanged { _ in Self.asks(wider) }.map(\.approval.id) == [question.id.text])
      #expect(moved.book.standingGrants.isEmpty)
      #expect(try moved.ask(Self.place, under: try Self.rule()).reply.isHeld, "it does not come back")
      let same = try Self.rule(note: "another line, and another reason")
      #expect(rig.book.endChanged { _ in Self.asks(same) }.isEmpty)
      #expect(try rig.ask(Self.place, under: same).reply.isAllowed, "the control: the same effect")
    }
  }

  @Test("CTL-14: what the policy denies or allows by itself by now is not approved any more")
  func settled() throws {
    for decision in [Decision(answer: .deny, reason: .noRule), Decision(answer: .allow, reason: .allowed)] {
      var rig = BookRig()
      let (_, question) = try rig.held(Self.place, under: try Self.rule())
      _ = try rig.answer(question, .allow(.session))
      #expect(rig.book.endChanged { _ in decision }.count == 1)
    }
  }

  @Test("Of a list, what is still asked under the same rule stays approved")
  func partly() throws {
    var rig = BookRig(), last: PendingQuestion?
    for number in 0..<7 { last = try rig.held("https://n\(number).evil.test:443").question }
    _ = try rig.answer(try #require(last), .allow(.session))
    let gone = try BookRig.key("https://n3.evil.test:443")
    let ended = rig.book.endChanged {
      $0 == gone ? Decision(answer: .deny, reason: .denyRule) : Self.asks(nil)
    }
    #expect(ended.map(\.keys) == [[gone]])
    rig.pass(.seconds(61))  // the asking of a minute is used up
    #expect(try rig.ask("https://n2.evil.test:443").reply.isAllowed)
    #expect(try rig.ask("https://n3.evil.test:443").reply.isHeld)
    #expect(rig.book.revoke(try #require(last).id.text)?.keys.count == 6)
  }

  @Test("CTL-14: a question says what its rule opens, and an answer to less has no effect")
  func shown() throws {
    var rig = BookRig()
    let (waiter, narrow) = try rig.held(Self.place, under: try Self.rule())
    #expect(
      narrow.members[0].leave.isEmpty && narrow.members[0].candidate?.contains("allow-private") == false)
    let (_, wide) = try rig.held(Self.place, under: try Self.rule(isPrivate: true, isLoopback: true))
    #expect(wide.id == narrow.id && wide.digest != narrow.digest)
    #expect(wide.members[0].leave == [.privateAddresses, .thisMachine])
    #expect(wide.members[0].candidate?.contains("allow-private: true, allow-loopback: true") == true)
    #expect(throws: AnswerRefusal.otherCandidate) { try rig.answer(narrow, .allow(.session)) }
    _ = rig.book.adopt(generation: 2) { _ in Self.asks(try? Self.rule(isPrivate: true)) }
    let adopted = try #require(rig.book.question(narrow.id))
    #expect(adopted.members[0].leave == [.privateAddresses])
    _ = try rig.answer(adopted, .allow(.session))
    #expect(rig.book.take(waiter)?.isAllowed == true)
    #expect(try rig.ask(Self.place, under: try Self.rule(isPrivate: true)).reply.isAllowed)
  }

  @Test("CTL-14: what was written down for less asks again under a rule with more leave")
  func written() throws {
    let agent = try #require(AgentName("a1"))
    for (isPrivate, isAllowed) in [(false, false), (true, true)] {
      let rule = Rule(
        id: try #require(RuleID("approved-1")), action: .allow, agents: [agent],
        to: [.exact(try Hostname("x.evil.test"))], ports: [PortRange(.https)], allowPrivate: isPrivate)
      var rig = BookRig(standing: [rule])
      #expect(try rig.ask(Self.place, under: try Self.rule(isPrivate: true)).reply.isAllowed == isAllowed)
      #expect(try rig.ask(Self.place, under: try Self.rule()).reply.isAllowed, "the control")
    }
  }
}

import Addressing
import Dispatch
import Policy
import Synchronization
import Testing

@testable import Approvals

@Suite("What an answer does")
struct AnsweringTests {
  @Test("CTL-12: the first answer counts, every later one is told which that was")
  func first() throws {
    var rig = BookRig()
    let (waiter, question) = try rig.held("https://x.evil.test:443")
    _ = try rig.answer(question, .refuse(.once))
    let outcome = Outcome.answered(.refuse(.once), BookRig.me)
    #expect(throws: AnswerRefusal.late(outcome)) { try rig.answer(question, .allow(.session)) }
    #expect(rig.book.take(waiter)?.isDenied == true)
    #expect(rig.book.take(waiter) == nil, "a verdict is given once")
    #expect(rig.book.standingGrants.isEmpty)
  }

  @Test("CTL-12: an answer of two people at the same time counts once, a thousand times over")
  func race() throws {
    for _ in 0..<1000 {
      var rig = BookRig()
      let (waiter, question) = try rig.held("https://x.evil.test:443")
      let shared = Mutex(rig.book), won = Mutex<[Bool]>([])
      let now = rig.now,
        bounds = [rig.bound(question, .allow(.once)), rig.bound(question, .refuse(.session))]
      DispatchQueue.concurrentPerform(iterations: 2) { number in
        let counted = shared.withLock { book in
          (try? book.answer(bounds[number], by: BookRig.me, at: now)) != nil
        }
        if counted { won.withLock { $0.append(number == 0) } }
      }
      let verdict = shared.withLock { $0.take(waiter) }
      let winners = won.withLock { $0 }
      #expect(winners.count == 1)
      #expect(verdict?.isAllowed == winners[0])
    }
  }

  @Test(
    "CTL-12: a client that gives up while it is answered has the answer or leaves it for its retry, never both"
  )
  func raceWithTheEnd() throws {
    for _ in 0..<1000 {
      var rig = BookRig()
      let (waiter, question) = try rig.held("https://x.evil.test:443")
      let shared = Mutex(rig.book), taken = Mutex(0)
      let now = rig.now, bound = rig.bound(question, .allow(.once))
      DispatchQueue.concurrentPerform(iterations: 2) { number in
        shared.withLock { book in
          if number == 0 {
            _ = try? book.answer(bound, by: BookRig.me, at: now)
          } else {
            if book.take(waiter)?.isAllowed == true { taken.withLock { $0 += 1 } }
            book.leave(waiter, at: now)
          }
        }
      }
      let key = try BookRig.key("https://x.evil.test:443")
      let later = shared.withLock { book in
        book.leave(waiter, at: now)
        return (0..<3).count { book.ask(ApprovalRequest(key), as: 100 + UInt64($0), at: now).isAllowed }
      }
      #expect(taken.withLock { $0 } + later == 1)
    }
  }

  @Test("CTL-12: a replaced question does not hear what was said to the one before")
  func replaced() throws {
    var rig = BookRig()
    let (waiter, question) = try rig.held("https://x.evil.test:443")
    rig.book.leave(waiter, at: rig.now)
    rig.pass(.seconds(601))
    _ = rig.book.tick(at: rig.now)
    let (_, next) = try rig.held("https://x.evil.test:443")
    #expect(next.id != question.id)
    #expect(throws: AnswerRefusal.late(.expired)) { try rig.answer(question, .allow(.session)) }
    #expect(rig.book.question(next.id) != nil)
  }

  static let wrong: [(@Sendable (inout BoundAnswer) -> Void, String)] = [
    ({ $0.generation = 2 }, "another policy"), ({ $0.digest = "other" }, "another candidate"),
    ({ $0.answer = .allow(.time(.zero)) }, "no time at all"),
    ({ $0.answer = .allow(.time(.seconds(31 * 86_400))) }, "longer than any"),
    ({ $0.answer = .refuse(.time(.seconds(60))) }, "never offered"),
    ({ $0.id = PendingID("aaaaaaaaaaaaaaaa") ?? $0.id }, "no such question"),
  ]
  @Test("CTL-12: an answer to anything but what was asked has no effect")
  func wrongAnswers() throws {
    for (change, what) in Self.wrong {
      var rig = BookRig()
      let (waiter, question) = try rig.held("https://x.evil.test:443")
      var bound = rig.bound(question, .allow(.session))
      change(&bound)
      #expect(throws: AnswerRefusal.self, "\(what)") {
        try rig.book.answer(bound, by: BookRig.me, at: rig.now)
      }
      #expect(rig.book.take(waiter) == nil && rig.book.question(question.id) == question, "\(what)")
      #expect(throws: Never.self, "\(what): the control") { try rig.answer(question, .allow(.session)) }
    }
  }

  @Test("CTL-11: 'once' is for one connection: the first that is held, and the others ask anew")
  func onceHeld() throws {
    var rig = BookRig()
    let (first, _) = try rig.held("https://x.evil.test:443")
    let (second, question) = try rig.held("https://x.evil.test:443")
    _ = try rig.answer(question, .allow(.once))
    #expect(rig.book.take(first)?.isAllowed == true)
    #expect(rig.book.take(second) == .again)
    #expect(try rig.ask("https://x.evil.test:443", as: second).reply.isHeld)
  }

  @Test("CTL-11: 'once' without a held connection is for the next retry, and for ten minutes")
  func onceLater() throws {
    var rig = BookRig()
    let (waiter, question) = try rig.held("https://x.evil.test:443")
    rig.book.leave(waiter, at: rig.now)
    _ = try rig.answer(question, .allow(.once))
    #expect(try rig.ask("https://x.evil.test:443").reply.isAllowed)
    #expect(try rig.ask("https://x.evil.test:443").reply.isHeld, "it is used up")
    let (other, next) = try rig.held("https://y.evil.test:443")
    rig.book.leave(other, at: rig.now)
    _ = try rig.answer(next, .allow(.once))
    rig.pass(.seconds(600))
    #expect(try rig.ask("https://y.evil.test:443").reply.isHeld)
  }

  @Test("'For' ends when its time is over, on the tick and before it")
  func time() throws {
    var rig = BookRig()
    let (_, question) = try rig.held("https://x.evil.test:443")
    _ = try rig.answer(question, .allow(.time(.seconds(60))))
    rig.pass(.milliseconds(59_999))
    #expect(rig.book.tick(at: rig.now).isEmpty)
    #expect(try rig.ask("https://x.evil.test:443").reply.isAllowed)
    rig.pass(.milliseconds(1))
    var unticked = rig
    #expect(try unticked.ask("https://x.evil.test:443").reply.isHeld)
    #expect(
      unticked.book.tick(at: rig.now).map(\.approval.id) == [question.id.text], "who asks again ends nothing")
    #expect(rig.book.tick(at: rig.now).map(\.approval.id) == [question.id.text])
  }

  @Test("CTL-10: a refusal keeps people from being asked for longer each time; the third is the last")
  func backOff() throws {
    var rig = BookRig()
    for wait in [30, 120] {
      let (_, question) = try rig.held("https://x.evil.test:443")
      _ = try rig.answer(question, .refuse(.once))
      #expect(try rig.ask("https://x.evil.test:443").reply.reason == .refused)
      #expect(try rig.ask("https://y.evil.test:443", agent: "a2").reply.isHeld, "the control: another key")
      rig.pass(.seconds(wait))
    }
    let (_, question) = try rig.held("https://x.evil.test:443")
    _ = try rig.answer(question, .refuse(.once))
    rig.pass(.seconds(30 * 86_400))
    #expect(try rig.ask("https://x.evil.test:443").reply.reason == .askingEnded)
  }

  @Test("'Refuse for the session' asks nobody again, and tells those who wait")
  func refuseSession() throws {
    var rig = BookRig()
    let (waiter, question) = try rig.held("https://x.evil.test:443")
    _ = try rig.answer(question, .refuse(.session))
    #expect(rig.book.take(waiter) == .denied(.refused, by: BookRig.me))
    rig.pass(.seconds(86_400))
    #expect(try rig.ask("https://x.evil.test:443").reply.reason == .refused)
  }

  @Test("What was taken back asks again, and the approval that replaced another is the one that counts")
  func revoke() throws {
    var rig = BookRig()
    let (_, question) = try rig.held("https://x.evil.test:443")
    _ = try rig.answer(question, .allow(.session))
    #expect(rig.book.revoke("nothing") == nil)
    #expect(rig.book.revoke(question.id.text)?.keys.count == 1)
    #expect(try rig.ask("https://x.evil.test:443").reply.isHeld)
  }

  @Test("What was written down is read by the one evaluator, and asks nobody")
  func written() throws {
    let pattern = HostPattern.exact(try Hostname("x.evil.test"))
    let agent = try #require(AgentName("a1")), ports = [PortRange(.https)]
    let rule = { (id: String, action: Action) throws -> Rule in
      Rule(
        id: try #require(RuleID(id)), action: action, agents: [agent], to: [pattern], ports: ports)
    }
    var rig = BookRig(isAttended: false, standing: [try rule("approved-1", .allow)])
    guard case .allowed(let approval) = try rig.ask("https://x.evil.test:443").reply else {
      throw Unexpected(what: "not allowed")
    }
    #expect(approval.id == "approved-1" && approval.scope == .always)
    #expect(try rig.ask("https://x.evil.test:443", agent: "a2").reply.reason == .noApprover)
    #expect(try rig.ask("tcp://x.evil.test:443").reply.reason == .noApprover)
    var other = BookRig(standing: [try rule("approved-2", .deny)])
    #expect(try other.ask("https://x.evil.test:443").reply.reason == .refused)
  }

  @Test("CTL-14: under a policy that does not ask any more a question is over; its answer comes too late")
  func superseded() throws {
    var rig = BookRig()
    let (waiter, question) = try rig.held("https://x.evil.test:443")
    let denial = Decision(answer: .deny, reason: .denyRule)
    #expect(rig.book.adopt(generation: 2) { _ in denial } == [waiter])
    #expect(rig.book.take(waiter) == .again)
    #expect(throws: AnswerRefusal.late(.superseded)) { try rig.answer(question, .allow(.session)) }
    #expect(rig.book.standingGrants.isEmpty)
  }

  @Test("CTL-14: under a policy that still asks, an answer that was shown under the old one has no effect")
  func stale() throws {
    var rig = BookRig()
    let (waiter, question) = try rig.held("https://x.evil.test:443")
    #expect(rig.book.adopt(generation: 2) { _ in Decision(answer: .ask, reason: .askRule) } == [])
    #expect(throws: AnswerRefusal.otherPolicy(now: 2)) { try rig.answer(question, .allow(.session)) }
    let shown = try #require(rig.book.question(question.id))
    _ = try rig.answer(shown, .allow(.once))
    #expect(rig.book.take(waiter)?.isAllowed == true)
  }

  @Test("Those who follow hear of each question and its end")
  func events() throws {
    var rig = BookRig()
    let (_, question) = try rig.held("https://x.evil.test:443")
    _ = try rig.answer(question, .allow(.session))
    #expect(
      rig.book.takeEvents() == [
        .asked(question), .closed(question, .answered(.allow(.session), BookRig.me)),
      ])
    #expect(rig.book.takeEvents().isEmpty)
    #expect(rig.book.outcome(of: question.id) == .answered(.allow(.session), BookRig.me))
  }
}

import Addressing
import Policy
import Testing

@testable import Approvals

@Suite("Who asks, and what a question is about")
struct AskingTests {
  @Test("Nobody there: denied at once, and nothing is kept")
  func unattended() throws {
    var rig = BookRig(isAttended: false)
    #expect(try rig.ask("https://x.evil.test:443").reply.reason == .noApprover)
    #expect(rig.book.questions.isEmpty)
    let token = rig.book.attach(.page)
    #expect(try rig.ask("https://x.evil.test:443").reply.isHeld, "the control: somebody came")
    rig.book.detach(token)
    #expect(try rig.ask("https://y.evil.test:443").reply.reason == .noApprover)
  }

  @Test("What stands approved passes, whether or not somebody is there")
  func grantsNeedNobody() throws {
    var rig = BookRig()
    let (_, question) = try rig.held("https://x.evil.test:443")
    _ = try rig.answer(question, .allow(.session))
    rig.book.detach(1)
    #expect(!rig.book.isAttended)
    #expect(try rig.ask("https://x.evil.test:443").reply.isAllowed)
    #expect(try rig.ask("https://y.evil.test:443").reply.reason == .noApprover)
  }

  @Test("A second connection for the same joins the question, which counts both")
  func joins() throws {
    var rig = BookRig()
    let (first, question) = try rig.held("https://x.evil.test:443")
    rig.pass(.seconds(3))
    let (_, again) = try rig.held("https://x.evil.test:443")
    #expect(again.id == question.id && again.count == 2 && again.waiting == 2)
    #expect(again.first == BookRig.start && again.last == rig.now)
    rig.book.leave(first, at: rig.now)
    #expect(rig.book.question(question.id)?.waiting == 1)
  }

  @Test("What several programs ask, none of them speaks for; one that asks again is still the one")
  func programs() throws {
    var rig = BookRig()
    let (first, question) = try rig.held("https://x.evil.test:443")
    let (second, _) = try rig.held("https://x.evil.test:443")
    func note(_ name: String, _ process: Int32, of waiter: UInt64) -> Program? {
      rig.book.note(
        Program(
          command: "/bin/\(name) (\(name))", file: "/bin/\(name)", workingDirectory: "/w", processID: process),
        of: waiter)
      return rig.book.question(question.id)?.program
    }
    #expect(note("python", 7, of: first)?.processID == 7)
    #expect(note("python", 8, of: second)?.processID == 8)
    let both = note("curl", 9, of: second)
    #expect(both?.command == "several programs: /bin/python (python), and /bin/curl (curl)")
    #expect(both?.processID == nil && both?.file == nil)
    #expect(note("python", 10, of: first) == both && note("git", 11, of: second) == both)
  }

  static let others = [
    ("https://x.evil.test:22", "a1"), ("http://x.evil.test:443", "a1"), ("tcp://x.evil.test:443", "a1"),
    ("https://y.x.evil.test:443", "a1"), ("https://evil.test:443", "a1"), ("https://x.evil.test:443", "a2"),
    ("https://x.evil.test.other.test:443", "a1"),
  ]
  @Test("CTL-11: what is approved is one agent, host, port and protocol; every other asks", arguments: others)
  func exactly(_ place: String, _ agent: String) throws {
    for scope in [Scope.once, .time(.seconds(60)), .session] {
      var rig = BookRig()
      let (waiter, question) = try rig.held("https://x.evil.test:443")
      rig.book.leave(waiter, at: rig.now)
      _ = try rig.answer(question, .allow(scope))
      #expect(try rig.ask(place, agent: agent).reply.isHeld, "\(scope)")
      #expect(try rig.ask("https://x.evil.test:443").reply.isAllowed, "\(scope): the control")
    }
  }

  @Test("CTL-11: where the rule looks at requests, another method or path asks")
  func requests() throws {
    var rig = BookRig()
    let (_, question) = try rig.held("http://x.test:80", RequestFacts(method: "GET", path: "/a"))
    _ = try rig.answer(question, .allow(.session))
    #expect(try rig.ask("http://x.test:80", RequestFacts(method: "GET", path: "/a")).reply.isAllowed)
    #expect(try rig.ask("http://x.test:80", RequestFacts(method: "POST", path: "/a")).reply.isHeld)
    #expect(try rig.ask("http://x.test:80", RequestFacts(method: "GET", path: "/a/b")).reply.isHeld)
  }

  static let candidates: [(String, RequestFacts?, String?)] = [
    ("https://x.test:443", nil, #"action: allow, agents: ["a1"], to: ["x.test"] }"#),
    (
      "tcp://x.test:5432", nil,
      #"action: allow, agents: ["a1"], to: ["x.test"], protocol: tcp, ports: [5432] }"#
    ),
    (
      "http://x.test:80", RequestFacts(method: "GET", path: "/a"),
      #"agents: ["a1"], to: ["x.test"], protocol: http, http: [{ methods: ["GET"], path: "/a" }] }"#
    ),
    ("http://x.test:80", RequestFacts(method: "GET", path: "/a/*"), nil),
    ("http://x.test:80", RequestFacts(method: "GET", path: "/a/../b"), nil),
    ("http://x.test:80", RequestFacts(method: "GET", path: "/\"}"), nil),
  ]
  @Test(
    "The candidate is the exact rule; where none says exactly this, 'always' is not offered",
    arguments: candidates)
  func candidate(_ place: String, _ request: RequestFacts?, _ yaml: String?) throws {
    var rig = BookRig()
    let (_, question) = try rig.held(place, request)
    let candidate = question.members[0].candidate
    if let yaml {
      #expect(candidate?.hasSuffix(yaml) == true, "\(candidate ?? "-")")
      #expect(candidate?.hasPrefix("{ id: \"approved-\(question.id)\"") == true)
    } else {
      #expect(candidate == nil)
      #expect(throws: AnswerRefusal.unoffered(question.offers)) { try rig.answer(question, .allow(.always)) }
      #expect(throws: Never.self) { try rig.answer(question, .allow(.session)) }
    }
  }

  @Test("CTL-10: one agent's questions are bounded in number and in a minute, and another's are not counted")
  func flood() throws {
    var rig = BookRig(), reasons: [Reason?: Int] = [:]
    for number in 0..<10_000 {
      let reply = try rig.ask("https://x.evil\(number).test:443").reply
      reasons[reply.reason, default: 0] += 1
      rig.pass(.milliseconds(6))
    }
    #expect(reasons == [nil: 6, .approvalRate: 9_994])
    #expect(try rig.ask("https://registry.test:443", agent: "a2").reply.isHeld)
    reasons = [:]
    for number in 0..<40 {
      rig.pass(.seconds(11))
      reasons[try rig.ask("https://y.evil\(number).test:443").reply.reason, default: 0] += 1
    }
    #expect(reasons == [nil: 14, .approvalQueueFull: 26], "20 at most, six of which were there")
    #expect(rig.book.questions.count { $0.agent.text == "a1" } == 20)
  }

  @Test("CTL-10: more than five under one domain become one, and its approval covers what it lists")
  func collapse() throws {
    var rig = BookRig(), waiters: [UInt64] = []
    for number in 0..<5 { waiters.append(try rig.held("https://n\(number).evil.test:443").waiter) }
    #expect(rig.book.questions.count == 5)
    let shown = rig.book.questions[0]
    let (_, joined) = try rig.held("https://n5.evil.test:443")
    #expect(rig.book.questions.map(\.id) == [joined.id])
    #expect(
      joined.isJoined && joined.members.count == 6 && joined.waiting == 6
        && joined.domain?.text == "evil.test")
    #expect(throws: AnswerRefusal.late(.joined(joined.id))) { try rig.answer(shown, .allow(.session)) }
    let (_, larger) = try rig.held("https://n6.evil.test:443")
    #expect(larger.id == joined.id && larger.members.count == 7)
    #expect(throws: AnswerRefusal.otherCandidate, "it lists more than was shown") {
      try rig.answer(joined, .allow(.session))
    }
    #expect(throws: AnswerRefusal.unoffered(larger.offers)) { try rig.answer(larger, .allow(.once)) }
    #expect(throws: AnswerRefusal.unoffered(larger.offers)) { try rig.answer(larger, .allow(.always)) }
    let decided = try rig.answer(larger, .allow(.session))
    #expect(decided.waiters.count == 7)
    #expect(waiters.allSatisfy { rig.book.take($0)?.isAllowed == true })
    #expect(try rig.ask("https://n3.evil.test:443").reply.isAllowed)
    #expect(try rig.ask("https://n7.evil.test:443").reply.isAllowed == false, "it was not listed")
  }

  @Test("CTL-10: what a joined question lists is bounded")
  func fullCollapse() throws {
    var rig = BookRig(), reasons: [Reason?: Int] = [:]
    for number in 0..<100 {
      reasons[try rig.ask("https://n\(number).evil.test:443").reply.reason, default: 0] += 1
    }
    #expect(reasons == [nil: 20, .approvalQueueFull: 80])
  }

  @Test("Many keys and agents leave a book of bounded size")
  func bounded() throws {
    var rig = BookRig()
    for number in 0..<2000 {
      rig.pass(.seconds(11))
      let (waiter, reply) = try rig.ask("https://x.evil\(number).test:443")
      guard case .held(let id, _) = reply, let question = rig.book.question(id) else { continue }
      _ = try rig.answer(question, number.isMultiple(of: 2) ? .allow(.once) : .refuse(.session))
      _ = rig.book.take(waiter)
      _ = rig.book.tick(at: rig.now)
    }
    #expect(rig.book.waiting.isEmpty && rig.book.verdicts.isEmpty && rig.book.places.isEmpty)
    #expect(rig.book.outcomes.count <= Bounds().outcomes)
    #expect(rig.book.entries.isEmpty)
  }
}

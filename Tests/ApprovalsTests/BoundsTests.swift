import Addressing
import Policy
import Testing

@testable import Approvals

@Suite("How large a question grows, and how often it is counted")
struct BoundsTests {
  /// A path that takes `size` bytes in a message, and has no candidate: a rule cannot say it.
  static func path(_ number: Int, size: Int) -> RequestFacts {
    RequestFacts(method: "GET", path: "/\(number)/" + String(repeating: "\"", count: size / 2))
  }

  @Test("CTL-10: a list ends where it would not fit a message, and says how many more there were")
  func growing() throws {
    var rig = BookRig(), reasons: [Reason?: Int] = [:]
    for number in 0..<30 {
      let reply = try rig.ask("http://n\(number).evil.test:80", Self.path(number, size: 5_000)).reply
      reasons[reply.reason, default: 0] += 1
    }
    #expect(reasons == [nil: 9, .approvalQueueFull: 21])
    let question = try #require(rig.book.questions.first)
    #expect(rig.book.questions.count == 1 && question.members.count == 9 && question.more == 21)
    #expect(question.size <= Bounds().questionBytes)
    #expect(throws: Never.self, "the control: what it lists can be answered") {
      try rig.answer(question, .allow(.session))
    }
  }

  @Test("CTL-10: questions that do not fit one list stay as they are, and the next is denied")
  func unjoinable() throws {
    var rig = BookRig(), reasons: [Reason?] = []
    for number in 0..<8 {
      reasons.append(
        try rig.ask("http://n\(number).evil.test:80", Self.path(number, size: 20_000)).reply.reason)
    }
    #expect(reasons == [nil, nil, nil, nil, nil] + Array(repeating: Reason.approvalQueueFull, count: 3))
    #expect(rig.book.questions.count == 5 && rig.book.questions.reduce(0) { $0 + $1.more } == 3)
    #expect(try rig.ask("http://n.other.test:80", Self.path(0, size: 20_000)).reply.isHeld, "the control")
  }

  static let sizes: [(String, Reason?)] = [
    (String(repeating: "x", count: 40_000), nil), (String(repeating: "\"", count: 40_000), .approvalTooLarge),
    (String(repeating: "\u{e9}", count: 9_000), .approvalTooLarge),
    (String(repeating: "\u{1f600}", count: 4_500), .approvalTooLarge),
  ]
  @Test(
    "CTL-10: nobody is asked about what is longer than a message, counted as it is written", arguments: sizes)
  func single(_ path: String, _ reason: Reason?) throws {
    var rig = BookRig()
    #expect(
      try rig.ask("http://x.test:80", RequestFacts(method: "GET", path: "/" + path)).reply.reason == reason)
    #expect(rig.book.questions.count == (reason == nil ? 1 : 0))
  }

  @Test("CTL-10: so many connections wait for one question; a further one is denied, and counted")
  func waiters() throws {
    var rig = BookRig(), reasons: [Reason?: Int] = [:]
    for _ in 0..<100 { reasons[try rig.ask("https://x.evil.test:443").reply.reason, default: 0] += 1 }
    #expect(reasons == [nil: 64, .approvalQueueFull: 36])
    let question = try #require(rig.book.questions.first)
    #expect(question.waiting == 64 && question.count == 100)
    #expect(try rig.answer(question, .allow(.session)).waiters.count == 64)
    #expect(try rig.ask("https://x.evil.test:443").reply.isAllowed, "the control")
  }

  @Test("Whoever follows hears of the first, the second, the fourth … time, and of all else that changes")
  func events() throws {
    var rig = BookRig()
    for _ in 0..<40 { rig.book.leave(try rig.held("https://x.evil.test:443").waiter, at: rig.now) }
    let counts = rig.book.takeEvents().map { event -> UInt64 in
      if case .asked(let question) = event { question.count } else { 0 }
    }
    #expect(counts == [1, 2, 4, 8, 16, 32])
  }

  @Test("A held connection that asks anew, as at each reload, is neither counted nor a new question")
  func again() throws {
    var rig = BookRig()
    let (waiter, question) = try rig.held("https://x.evil.test:443")
    for generation in 2..<20 {
      _ = rig.book.adopt(generation: UInt64(generation)) { _ in Decision(answer: .ask, reason: .askRule) }
      #expect(
        try rig.ask("https://x.evil.test:443", as: waiter).reply == .held(question.id, isFirst: false))
    }
    let shown = try #require(rig.book.question(question.id))
    #expect(shown.count == 1 && shown.waiting == 1 && shown.last == question.last)
    rig.book.detach(1)
    #expect(try rig.ask("https://x.evil.test:443", as: waiter).reply.isHeld, "whoever is held stays so")
    for number in 0..<5 { _ = try? rig.held("https://y.evil\(number).test:443") }
    _ = rig.book.attach(.control)
    for number in 0..<5 { #expect(try rig.ask("https://y.evil\(number).test:443").reply.isHeld, "the rate") }
  }

  @Test("Only what opens a question, or is listed anew, is told apart as the first")
  func first() throws {
    var rig = BookRig(), firsts: [Bool] = []
    for place in ["n0", "n0", "n1", "n2", "n3", "n4", "n5", "n5", "n6", "n6"] {
      guard case .held(_, let isFirst) = try rig.ask("https://\(place).evil.test:443").reply else { continue }
      firsts.append(isFirst)
    }
    #expect(firsts == [true, false, true, true, true, true, true, false, true, false])
  }

  @Test("A question shows so many addresses")
  func addresses() throws {
    var rig = BookRig()
    let many = (0..<100).map { IPAddress.v4(0x0b0b_0000 + $0) }
    let request = ApprovalRequest(try BookRig.key("https://x.evil.test:443"), addresses: many)
    _ = rig.book.ask(request, as: 1, at: rig.now)
    #expect(rig.book.questions.first?.addresses == Array(many.prefix(32)))
  }
}

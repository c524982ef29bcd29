import Addressing
import Approvals
import EventLoop
import Policy
import Testing

@testable import exitgate

@Suite("Which question is shown at the terminal, and what a key means to it")
struct PromptQueueTests {
  /// A book with questions about these hosts, all of which somebody waits for.
  struct Rig {
    var book: ApprovalBook
    var queue = PromptQueue()
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    var waiters: UInt64 = 0

    init(_ hosts: [String], offering domain: String? = nil) throws {
      let numbers = Numbers()
      book = ApprovalBook(generation: 3, drawID: numbers.next, digest: { "digest of \($0.count) \($0)" })
      _ = book.attach(.terminal)
      for host in hosts { try ask(host, domain) }
    }

    mutating func ask(_ host: String, _ domain: String? = nil) throws {
      waiters += 1
      let name = try #require(try? Hostname(host.utf8)), port = try #require(Port(80))
      let destination = Destination(.name(name), port, .http)
      let key = ApprovalKey(destination, agent: try #require(AgentName("default")), request: nil, under: nil)
      var request = ApprovalRequest(key)
      request.domain = domain.flatMap { try? Hostname($0.utf8) }
      _ = book.ask(request, as: waiters, at: Timestamp(milliseconds: 0))
    }

    mutating func look(canShow: Bool = true) {
      queue.look(book.questions, canShow: canShow, at: now)
      queue.layOut(pages: 1)
      queue.drawn(at: now)
    }

    mutating func press(_ key: Character, after wait: Duration = .seconds(1)) -> PromptQueue.Effect {
      now = now + wait
      return queue.take(.character(key.asciiValue ?? 0), at: now)
    }

    /// Chooses and, once that is drawn, confirms.
    mutating func answer(_ key: Character, after wait: Duration = .seconds(2)) -> PromptQueue.Effect {
      #expect(press(key, after: wait) == .changed)
      queue.drawn(at: now)
      return press("\r", after: .milliseconds(300))
    }

    /// What is veiled is read by the space bar, and then answered.
    @discardableResult
    mutating func expectRead() throws -> BoundAnswer {
      #expect(press(" ", after: .seconds(3)) == .changed && !queue.isVeiled)
      queue.layOut(pages: 1)
      queue.drawn(at: now)
      guard case .answer(let bound) = answer("o") else { throw Unanswered() }
      return bound
    }
  }

  struct Unanswered: Error {}

  final class Numbers: Sendable {
    func next() -> PendingID {
      var generator = SystemRandomNumberGenerator()
      return PendingID.random(using: &generator)
    }
  }

  struct Key: Sendable, CustomTestStringConvertible {
    var key: Character, answer: ApprovalAnswer
    var testDescription: String { "\(key)" }
  }

  static let keys = [
    Key(key: "o", answer: .allow(.once)), Key(key: "t", answer: .allow(.time(.seconds(3600)))),
    Key(key: "s", answer: .allow(.session)), Key(key: "a", answer: .allow(.always)),
    Key(key: "n", answer: .refuse(.session)), Key(key: "N", answer: .refuse(.always)),
  ]
  @Test("each key answers exactly what is shown", arguments: keys)
  func answers(_ c: Key) throws {
    var rig = try Rig(["a.test"])
    rig.look()
    let shown = try #require(rig.queue.shown)
    let bound = BoundAnswer(shown.id, generation: 3, digest: shown.digest, c.answer)
    #expect(rig.answer(c.key) == .answer(bound))
    #expect(rig.press(c.key) == .nothing && rig.press("\r") == .nothing, "once")
  }

  @Test(
    "CTL-08: one key alone answers nothing, nor does Enter before the choice could be read", arguments: keys)
  func confirmation(_ c: Key) throws {
    var rig = try Rig(["a.test"])
    rig.look()
    #expect(rig.press(c.key) == .changed && rig.queue.chosen?.answer == c.answer)
    rig.queue.drawn(at: rig.now)
    #expect(rig.press("\r", after: .milliseconds(299)) == .changed && rig.queue.chosen == nil)
    #expect(rig.queue.note?.contains("too soon") == true)
    #expect(rig.press("\r", after: .seconds(3)) == .changed, "it is taken back")
    // What is drawn late is confirmed late.
    #expect(rig.press(c.key, after: .seconds(3)) == .changed)
    rig.queue.drawn(at: rig.now + .seconds(1))
    #expect(rig.press("\r", after: .milliseconds(1200)) == .changed && rig.queue.chosen == nil)
    #expect(rig.answer(c.key, after: .seconds(3)) != .changed, "the control")
  }

  @Test(
    "CTL-08: who types on, slowly or fast, or holds a key down, answers nothing",
    arguments: [
      "yes\r", "no\r", "oooooooooooo\r", "so it goes on\r", "nab\r", "o\u{1b}[B\r", "do\r", "\r\r\r\r",
    ],
    [600, 1100, 1900])
  func typing(_ text: String, _ milliseconds: Int) throws {
    var rig = try Rig(["a.test"])
    rig.look()
    for key in text {
      let effect = rig.press(key, after: .milliseconds(milliseconds))
      rig.queue.drawn(at: rig.now)
      #expect(effect == .changed, "\(key)")
    }
    #expect(rig.answer("o", after: .seconds(3)) != .changed, "the control")
  }

  @Test("CTL-08: a key that is held down when the question comes chooses nothing")
  func holding() throws {
    var rig = try Rig(["a.test"])
    rig.look()
    _ = rig.press("o", after: .milliseconds(100))
    #expect(rig.press("o", after: .milliseconds(700)) == .changed && rig.queue.chosen == nil)
    for _ in 0..<100 {
      #expect(rig.press("o", after: .milliseconds(30)) == .changed && rig.queue.chosen == nil)
    }
    #expect(rig.answer("o", after: .seconds(3)) != .changed, "the control")
  }

  @Test("CTL-08: any other key, pasted text or a page that is turned takes the choice back")
  func takenBack() throws {
    for key: PromptKey in [.character(UInt8(ascii: " ")), .character(UInt8(ascii: "x")), .next, .other] {
      var rig = try Rig(["a.test"])
      rig.look()
      _ = rig.press("o")
      rig.queue.drawn(at: rig.now)
      rig.now = rig.now + .seconds(1)
      #expect(rig.queue.take(key, at: rig.now) == .changed && rig.queue.chosen == nil)
      #expect(rig.press("\r", after: .seconds(3)) == .changed, "\(key)")
    }
  }

  @Test("CTL-08: a key counts when none has come for half a second since it was drawn, and not before")
  func typeAhead() throws {
    var rig = try Rig(["a.test"])
    rig.look()
    #expect(rig.press("o", after: .milliseconds(499)) == .changed && rig.queue.chosen == nil)
    for key in "tsantsantsan" {
      #expect(rig.press(key, after: .milliseconds(400)) == .changed && rig.queue.chosen == nil)
    }
    #expect(rig.press("o", after: .milliseconds(500)) == .changed && rig.queue.chosen != nil, "it counts now")
    // A terminal that takes its time.
    var slow = try Rig(["a.test"])
    slow.queue.look(slow.book.questions, canShow: true, at: slow.now)
    slow.queue.layOut(pages: 1)
    slow.queue.drawn(at: slow.now + .seconds(5))
    #expect(slow.press("o", after: .milliseconds(5400)) == .changed && slow.queue.chosen == nil)
  }

  @Test("CTL-12: what is shown anew is read anew: another question, or more in the same")
  func changes() throws {
    var rig = try Rig(["a.test", "b.test"])
    rig.look()
    let first = try #require(rig.queue.shown)
    rig.now = rig.now + .seconds(5)
    _ = rig.press("o")
    _ = try rig.book.answer(
      BoundAnswer(first.id, generation: 3, digest: first.digest, .refuse(.once)), by: Person(.control),
      at: Timestamp(milliseconds: 1))
    rig.look()
    #expect(rig.queue.shown?.id != first.id && rig.queue.isVeiled && rig.queue.chosen == nil)
    for key: Character in ["\r", "o", "\r"] {
      #expect(rig.press(key, after: .seconds(3)) == .changed, "unread")
    }
    try rig.expectRead()
    // A policy that is loaded binds its answers anew.
    var other = try Rig(["a.test"])
    other.look()
    _ = other.book.adopt(generation: 4) { _ in Decision(answer: .ask, reason: .askRule) }
    other.now = other.now + .seconds(5)
    other.look()
    #expect(other.queue.isVeiled)
    #expect(other.press("o", after: .milliseconds(100)) == .changed)
    let bound = try other.expectRead()
    #expect(bound.generation == 4)
  }

  @Test("CTL-12: a question that comes by itself in the place of another is veiled until a key asks for it")
  func succession() throws {
    // Time goes by, and the next of two has its turn.
    var rig = try Rig(["a.test", "b.test"])
    rig.look()
    rig.now = rig.now + .seconds(25)
    #expect(rig.queue.tick(at: rig.now) != nil && rig.queue.isVeiled)
    rig.queue.layOut(pages: 1)
    rig.queue.drawn(at: rig.now)
    try rig.expectRead()
    // One is gone, and another is there a moment later.
    var other = try Rig(["a.test"])
    other.look()
    _ = other.queue.tick(at: other.now + .seconds(25))
    #expect(other.queue.shown == nil)
    other.now = other.now + .seconds(30)
    try other.ask("b.test")
    other.look()
    #expect(other.queue.isVeiled)
    // Much later nobody's finger is on the way, and after an answer the next one was to be expected.
    var later = try Rig(["a.test"])
    later.look()
    _ = later.queue.tick(at: later.now + .seconds(25))
    later.now = later.now + .seconds(60)
    try later.ask("b.test")
    later.look()
    #expect(later.queue.shown != nil && !later.queue.isVeiled)
    var after = try Rig(["a.test", "b.test"])
    after.look()
    guard case .answer(let bound) = after.answer("n") else {
      Issue.record("it counts")
      return
    }
    _ = try after.book.answer(bound, by: Person(.terminal), at: Timestamp(milliseconds: 1))
    after.look()
    #expect(after.queue.shown != nil && !after.queue.isVeiled && after.queue.number == 2)
    #expect(after.press("o", after: .milliseconds(400)) == .changed && after.queue.chosen == nil)
  }

  @Test("what cannot be shown as it is cannot be allowed, and can be refused")
  func obstacles() throws {
    var rig = try Rig(["a.test"])
    rig.look()
    rig.queue.layOut(pages: 1, obstacle: "too narrow")
    #expect(rig.press("o") == .changed && rig.queue.chosen == nil && rig.queue.note == "too narrow")
    guard case .answer(let bound) = rig.answer("n") else {
      Issue.record("a refusal needs no reading")
      return
    }
    #expect(!bound.answer.isAllowing)
    for size in [(6, 24), (19, 24), (80, 1), (80, 4), (20, 24)] {
      let view = PromptView(size: size, word: "tomuka", rest: 25)
      #expect((view.rows(of: rig.queue).obstacle == nil) == (size == (20, 24)), "\(size)")
    }
  }

  @Test("what goes over several pages is allowed when the last one was shown, and refused at any time")
  func pages() throws {
    var rig = try Rig(["a.test"])
    rig.queue.look(rig.book.questions, canShow: true, at: rig.now)
    rig.queue.layOut(pages: 3)
    #expect(rig.press("s") == .changed)
    #expect(rig.press(" ") == .changed)
    rig.queue.layOut(pages: 3)
    #expect(rig.press("s") == .changed, "the second of three")
    _ = rig.press(" ")
    rig.queue.layOut(pages: 3)
    _ = rig.press("b")
    guard case .answer = rig.answer("s") else {
      Issue.record("all of it was shown")
      return
    }
    var other = try Rig(["a.test"])
    other.queue.look(other.book.questions, canShow: true, at: other.now)
    other.queue.layOut(pages: 3)
    guard case .answer(let bound) = other.answer("n") else {
      Issue.record("a refusal needs no reading")
      return
    }
    #expect(!bound.answer.isAllowing)
  }

  @Test("only what is offered has a key")
  func offers() throws {
    var rig = try Rig((1...6).map { "h\($0).x.test" }, offering: "x.test")
    rig.look()
    #expect(rig.queue.shown?.isJoined == true && rig.queue.shown?.members.count == 6)
    for key: Character in ["o", "a", "N", "x", "\r", "y"] {
      #expect(rig.press(key, after: .seconds(3)) == .changed && rig.queue.chosen == nil, "\(key)")
    }
    guard case .answer = rig.answer("s", after: .seconds(3)) else {
      Issue.record("for as long as it runs")
      return
    }
  }

  @Test("Escape leaves it for a minute, time until it is asked anew; in the background none begins")
  func leaving() throws {
    var rig = try Rig(["a.test"])
    rig.look(canShow: false)
    #expect(rig.queue.shown == nil)
    rig.look()
    rig.now = rig.now + .seconds(1)
    #expect(rig.queue.take(.escape, at: rig.now) == .changed && rig.queue.shown == nil)
    try rig.ask("a.test")
    rig.look()
    #expect(rig.queue.shown == nil, "asked again at once")
    rig.now = rig.now + .seconds(61)
    rig.look()
    #expect(rig.queue.shown != nil)
    #expect(rig.queue.tick(at: rig.now + .seconds(24)) == nil)
    rig.now = rig.now + .seconds(25)
    #expect(rig.queue.tick(at: rig.now) != nil && rig.queue.shown == nil)
    rig.look()
    #expect(rig.queue.shown == nil, "nobody asked anew")
    try rig.ask("a.test")
    rig.look()
    #expect(rig.queue.shown != nil)
  }

  @Test("an interrupt is the command's, at any time, and leaves all")
  func interrupts() throws {
    for byte: UInt8 in [0x03, 0x1a, 0x1c] {
      var rig = try Rig(["a.test", "b.test"])
      rig.look()
      #expect(rig.queue.take(.character(byte), at: rig.now) == .pass(byte))
      #expect(rig.queue.questions.isEmpty)
    }
  }

  @Test("an answer without effect is told, and another may be given")
  func failures() throws {
    var rig = try Rig(["a.test"])
    rig.look()
    let id = try #require(rig.queue.shown?.id)
    _ = rig.answer("a")
    rig.queue.fail("the disk is full", id, at: rig.now)
    #expect(rig.queue.note == "no effect: the disk is full")
    guard case .answer = rig.answer("o") else {
      Issue.record("another is taken")
      return
    }
  }

  @Test("CTL-09: each row fits, nothing of a question is cut off, at any size", arguments: [20, 40, 80, 200])
  func layout(_ columns: Int) throws {
    let host = "github.com." + String(repeating: "aaaa.", count: 30) + "evil.test"
    var rig = try Rig([host])
    rig.look()
    for rows in [1, 4, 8, 24] {
      let view = PromptView(size: (columns, rows), word: "tomuka", rest: 25)
      var seen = "", page = 0, pages = 1
      repeat {
        let shown = view.rows(of: rig.queue)
        pages = shown.pages
        #expect(shown.rows.count <= rows)
        for row in shown.rows { #expect(row.columns <= max(columns, 12), "\(row.plain)") }
        #expect((shown.obstacle == nil) == (columns == 200 && rows >= 8), "\(columns)x\(rows)")
        seen += shown.rows.map(\.plain).joined()
        rig.queue.layOut(pages: pages)
        _ = rig.press(" ")
        page += 1
      } while page < pages
      if rows >= 8, columns >= 40 {
        #expect(seen.replacing("│ ", with: "").contains("evil.test") && seen.contains(":80"))
      }
      for _ in 0..<pages { _ = rig.press("b") }
    }
  }
}

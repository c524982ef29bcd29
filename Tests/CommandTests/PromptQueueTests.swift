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
    }

    mutating func press(_ key: Character, after wait: Duration = .seconds(1)) -> PromptQueue.Effect {
      now = now + wait
      return queue.take(.character(key.asciiValue ?? 0), at: now)
    }
  }

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
    #expect(rig.press(c.key) == .answer(bound))
    #expect(rig.press(c.key) == .nothing, "once")
  }

  @Test("CTL-08: a key counts when none has come for half a second, and not before")
  func typeAhead() throws {
    var rig = try Rig(["a.test"])
    rig.look()
    #expect(rig.press("o", after: .milliseconds(499)) == .changed)
    for _ in 0..<20 { #expect(rig.press("o", after: .milliseconds(400)) == .changed) }
    guard case .answer = rig.press("o", after: .milliseconds(500)) else {
      Issue.record("it counts now")
      return
    }
  }

  @Test("CTL-12: what is shown anew is read anew: another question, or more in the same")
  func changes() throws {
    var rig = try Rig(["a.test", "b.test"])
    rig.look()
    let first = try #require(rig.queue.shown)
    rig.now = rig.now + .seconds(5)
    _ = try rig.book.answer(
      BoundAnswer(first.id, generation: 3, digest: first.digest, .refuse(.once)), by: Person(.control),
      at: Timestamp(milliseconds: 1))
    rig.look()
    #expect(rig.queue.shown?.id != first.id)
    #expect(rig.press("o", after: .milliseconds(100)) == .changed, "meant for the one before")
    // A policy that is loaded binds its answers anew.
    var other = try Rig(["a.test"])
    other.look()
    _ = other.book.adopt(generation: 4) { _ in Decision(answer: .ask, reason: .askRule) }
    other.now = other.now + .seconds(5)
    other.look()
    #expect(other.press("o", after: .milliseconds(100)) == .changed)
    guard case .answer(let bound) = other.press("o") else {
      Issue.record("it counts now")
      return
    }
    #expect(bound.generation == 4)
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
    guard case .answer = rig.press("s") else {
      Issue.record("all of it was shown")
      return
    }
    var other = try Rig(["a.test"])
    other.queue.look(other.book.questions, canShow: true, at: other.now)
    other.queue.layOut(pages: 3)
    guard case .answer(let bound) = other.press("n") else {
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
    for key: Character in ["o", "a", "N", "x", "\r", "y"] { #expect(rig.press(key) == .changed, "\(key)") }
    guard case .answer = rig.press("s") else {
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
    _ = rig.press("a")
    rig.queue.fail("the disk is full", id, at: rig.now)
    #expect(rig.queue.note == "no effect: the disk is full")
    guard case .answer = rig.press("o") else {
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

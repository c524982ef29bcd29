import Approvals
import EventLoop

/// Which question is shown to the person at the terminal, and what a key means to it. Without I/O; time is an argument.
struct PromptQueue: Sendable {
  /// What a key leads to.
  enum Effect: Hashable, Sendable {
    /// Nothing.
    case nothing
    /// What is shown is another.
    case changed
    /// This is the answer.
    case answer(BoundAnswer)
    /// The key is the command's after all, and the terminal with it.
    case pass(UInt8)
  }

  /// How long no key may have come before one counts, from when a question is shown.
  static let quiet = Duration.milliseconds(500)
  /// How long a question is shown when no key comes.
  static let patience = Duration.seconds(25)
  /// How long a question that was left is not shown again, however often it is asked.
  static let leftFor = Duration.seconds(60)
  /// What `t` allows.
  static let time = Duration.seconds(3600)

  /// The one that is shown first.
  private(set) var questions: [PendingQuestion] = []
  private(set) var isDetailed = false
  /// Which page of it is shown, from 0.
  private(set) var page = 0
  /// What the person is told about the last key.
  private(set) var note: String?
  /// When what is shown is left.
  private(set) var deadline = MonotonicTime(nanoseconds: 0)
  private var pages = 1
  private var hasSeenAll = false
  private var isAnswered = false
  private var counts = MonotonicTime(nanoseconds: 0)
  private var left: [PendingID: (count: UInt64, until: MonotonicTime)] = [:]

  /// The question that is shown.
  var shown: PendingQuestion? { questions.first }

  /// Takes all that wait now. A question that is other than the one shown is shown anew, and keys wait again.
  ///
  /// - Parameter canShow: Whether one may begin to be shown.
  mutating func look(_ all: [PendingQuestion], canShow: Bool, at now: MonotonicTime) {
    let before = shown.map { ($0.id, $0.digest) }
    let known = Dictionary(all.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    left = left.filter { known[$0.key] != nil }
    questions = questions.compactMap { known[$0.id] }
    let queued = Set(questions.map(\.id))
    for question in all where canShow && question.waiting > 0 && !queued.contains(question.id) {
      if let rest = left[question.id], question.count <= rest.count || now < rest.until { continue }
      left[question.id] = nil
      questions.append(question)
    }
    guard let shown, before.map({ $0 == (shown.id, shown.digest) }) != true else { return }
    show(at: now, note: before?.0 == shown.id ? "the question has changed; look again" : nil)
  }

  private mutating func show(at now: MonotonicTime, note: String? = nil) {
    (page, pages, hasSeenAll, isDetailed, isAnswered) = (0, 1, false, false, false)
    self.note = note
    counts = now + Self.quiet
    deadline = now + Self.patience
  }

  /// Says into how many pages it was laid out; who may allow has been shown each.
  mutating func layOut(pages: Int) {
    self.pages = max(1, pages)
    page = min(page, self.pages - 1)
    if !isDetailed, page == self.pages - 1 { hasSeenAll = true }
  }

  /// Says that an answer had no effect.
  mutating func fail(_ why: String, _ id: PendingID, at now: MonotonicTime) {
    guard shown?.id == id else { return }
    (isAnswered, note) = (false, "no effect: \(why)")
    deadline = now + Self.patience
  }

  /// Leaves what nobody has answered in time.
  ///
  /// - Returns: The question, which goes on waiting.
  mutating func tick(at now: MonotonicTime) -> PendingQuestion? {
    guard let shown, now >= deadline else { return nil }
    leave(shown, until: now)
    // Nobody is there: the rest is shown where somebody waits for it.
    questions.removeAll { $0.waiting == 0 }
    if !questions.isEmpty { show(at: now) }
    return shown
  }

  private mutating func leave(_ question: PendingQuestion, until: MonotonicTime) {
    left[question.id] = (question.count, until)
    questions.removeAll { $0.id == question.id }
  }

  /// Leaves all there are.
  mutating func leaveAll(until: MonotonicTime) { questions.forEach { leave($0, until: until) } }
}

// MARK: - Keys

extension PromptQueue {
  /// A key was pressed.
  mutating func take(_ key: PromptKey, at now: MonotonicTime) -> Effect {
    guard let shown else { return .nothing }
    if case .character(let byte) = key, [0x03, 0x1a, 0x1c].contains(byte) {
      leaveAll(until: now + Self.leftFor)
      return .pass(byte)
    }
    guard now >= counts else {
      counts = now + Self.quiet
      note = "that key came before you could read this; press it again"
      return .changed
    }
    deadline = now + Self.patience
    note = nil
    switch key {
    case .character(UInt8(ascii: " ")), .next: page = min(page + 1, pages - 1)
    case .character(UInt8(ascii: "b")), .previous: page = max(page - 1, 0)
    case .character(UInt8(ascii: "d")): (isDetailed, page) = (!isDetailed, 0)
    case .escape:
      leave(shown, until: now + Self.leftFor)
      if !questions.isEmpty { show(at: now) }
    case .character(let byte): return answer(byte, shown)
    case .other: note = "several keys at once, or pasted text: nothing was answered"
    }
    return .changed
  }

  /// The answers that are offered, each with its key, in the order in which they are shown.
  static let answers: [(key: Character, offer: Offer, words: String, answer: ApprovalAnswer)] = [
    ("o", .allowOnce, "once", .allow(.once)),
    ("t", .allowTime, "for 1 hour", .allow(.time(time))),
    ("s", .allowSession, "for this run", .allow(.session)),
    ("a", .allowAlways, "always", .allow(.always)),
    ("n", .refuseSession, "not in this run", .refuse(.session)),
    ("N", .refuseAlways, "never", .refuse(.always)),
  ]

  private mutating func answer(_ byte: UInt8, _ question: PendingQuestion) -> Effect {
    guard !isAnswered else { return .nothing }
    let pressed = Character(Unicode.Scalar(byte))
    guard let choice = Self.answers.first(where: { $0.key == pressed && question.offers.contains($0.offer) })
    else {
      note = "that key means nothing here"
      return .changed
    }
    guard hasSeenAll || !choice.answer.isAllowing else {
      note = "there is more of it: press the space bar, and allow it when you have seen all"
      return .changed
    }
    isAnswered = true
    return .answer(
      BoundAnswer(
        question.id, generation: question.generation, digest: question.digest, choice.answer))
  }
}

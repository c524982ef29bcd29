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
  /// The same after a key that answers nothing, and between two letters: whoever types something else goes on.
  static let deaf = Duration.seconds(2)
  /// How long a choice must have been shown before Enter confirms it.
  static let steady = Duration.milliseconds(300)
  /// Within this the same key again is one that is held down.
  static let held = Duration.seconds(1)
  /// How long a question is shown when no key comes.
  static let patience = Duration.seconds(25)
  /// How long a question that was left is not shown again, however often it is asked.
  static let leftFor = Duration.seconds(60)
  /// How long after a question went by itself the next one counts as taking its place.
  static let succession = Duration.seconds(10)
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
  /// What was chosen, which Enter confirms.
  private(set) var chosen: Answer?
  /// Whether what is shown came by itself in the place of another: nothing of it is shown, nor counts, before a key asks for it.
  private(set) var isVeiled = false
  /// How many questions were shown; no two have the same number.
  private(set) var number = 0
  private var pages = 1
  private var hasSeenAll = false
  /// Why nothing may be allowed here, however long one looks.
  private var obstacle: String?
  private var isAnswered = false
  private var isFresh = false
  private var wait = quiet
  private var counts = MonotonicTime(nanoseconds: 0)
  private var confirms = MonotonicTime(nanoseconds: 0)
  private var last: (key: PromptKey, at: MonotonicTime)?
  private var letter: MonotonicTime?
  private var vanished: MonotonicTime?
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
    guard let shown else {
      if before != nil, !isAnswered { vanished = now }
      return
    }
    guard before.map({ $0 == (shown.id, shown.digest) }) != true else { return }
    let isSame = before?.0 == shown.id
    show(
      at: now, isVeiled: before == nil ? hasJustVanished(at: now) : isSame || !isAnswered,
      note: isSame ? "the question has changed; look again" : nil)
  }

  private func hasJustVanished(at now: MonotonicTime) -> Bool {
    vanished.map { now < $0 + Self.succession } ?? false
  }

  private mutating func show(at now: MonotonicTime, isVeiled: Bool, note: String? = nil) {
    (page, pages, hasSeenAll, isDetailed, isAnswered) = (0, 1, false, false, false)
    (chosen, obstacle, letter, vanished) = (nil, nil, nil, nil)
    (self.isVeiled, self.note, isFresh) = (isVeiled, note, true)
    number += 1
    (counts, wait) = (max(counts, now + Self.quiet), Self.quiet)
    deadline = now + Self.patience
  }

  /// Says into how many pages it was laid out; who may allow has been shown each.
  ///
  /// - Parameter obstacle: Why it cannot be shown so that one may allow it.
  mutating func layOut(pages: Int, obstacle: String? = nil) {
    (self.pages, self.obstacle) = (max(1, pages), obstacle)
    page = min(page, self.pages - 1)
    if obstacle != nil {
      hasSeenAll = false
    } else if !isVeiled, !isDetailed, page == self.pages - 1 {
      hasSeenAll = true
    }
    if obstacle != nil, chosen?.answer.isAllowing == true { chosen = nil }
  }

  /// Says that the terminal has it: what is new counts from now.
  mutating func drawn(at now: MonotonicTime) {
    guard isFresh else { return }
    isFresh = false
    if chosen == nil { counts = max(counts, now + wait) } else { confirms = now + Self.steady }
  }

  /// Says that an answer had no effect.
  mutating func fail(_ why: String, _ id: PendingID, at now: MonotonicTime) {
    guard shown?.id == id else { return }
    (isAnswered, chosen, note) = (false, nil, "no effect: \(why)")
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
    if questions.isEmpty { vanished = now } else { show(at: now, isVeiled: true) }
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
    guard !isAnswered else { return .nothing }
    let isHeld = last.map { $0.key == key && now < $0.at + Self.held } ?? false
    last = (key, now)
    // Whatever comes between a choice and Enter takes it back.
    let choice = chosen
    chosen = nil
    guard now >= counts else {
      counts = now + wait
      note = "that key came before you could read this; wait, and press it again"
      return .changed
    }
    wait = Self.quiet
    deadline = now + Self.patience
    note = nil
    switch key {
    case .escape:
      leave(shown, until: now + Self.leftFor)
      if !questions.isEmpty { show(at: now, isVeiled: false) }
    case .character(UInt8(ascii: "\r")): return confirm(choice, shown, isHeld, at: now)
    case .other: deafen("several keys at once, or pasted text", at: now)
    case .character(UInt8(ascii: " ")) where isVeiled: show(at: now, isVeiled: false)
    case _ where isVeiled: deafen("that key means nothing before you have read it", at: now)
    case .character(UInt8(ascii: " ")), .next: page = min(page + 1, pages - 1)
    case .previous: page = max(page - 1, 0)
    case .character(let byte): take(byte, isHeld, at: now)
    }
    return .changed
  }

  /// An answer that is offered.
  struct Answer: Sendable {
    /// Its key.
    var key: Character
    /// What must be offered for it to be.
    var offer: Offer
    /// How far it goes.
    var words: String
    /// What it is.
    var answer: ApprovalAnswer
  }

  /// In the order in which they are shown.
  static let answers = [
    Answer(key: "o", offer: .allowOnce, words: "once", answer: .allow(.once)),
    Answer(key: "t", offer: .allowTime, words: "for 1 hour", answer: .allow(.time(time))),
    Answer(key: "s", offer: .allowSession, words: "for this run", answer: .allow(.session)),
    Answer(key: "a", offer: .allowAlways, words: "always", answer: .allow(.always)),
    Answer(key: "n", offer: .refuseSession, words: "not in this run", answer: .refuse(.session)),
    Answer(key: "N", offer: .refuseAlways, words: "never", answer: .refuse(.always)),
  ]

  /// Nothing counts until no key has come for a while.
  private mutating func deafen(_ why: String, at now: MonotonicTime) {
    (wait, counts, letter) = (Self.deaf, now + Self.deaf, nil)
    note = "\(why): nothing was answered, and no key counts for 2 s"
  }

  private mutating func take(_ byte: UInt8, _ isHeld: Bool, at now: MonotonicTime) {
    let pressed = Character(Unicode.Scalar(byte))
    let answer = Self.answers.first { $0.key == pressed && shown?.offers.contains($0.offer) == true }
    switch pressed {
    case "b": page = max(page - 1, 0)
    case "d": (isDetailed, page) = (!isDetailed, 0)
    default:
      guard let answer else { return deafen("that key means nothing here", at: now) }
      if isHeld { return deafen("a key that is held down", at: now) }
      if let letter, now < letter + Self.deaf { return deafen("one letter after another is a word", at: now) }
      choose(answer, at: now)
    }
    letter = now
  }

  private mutating func choose(_ answer: Answer, at now: MonotonicTime) {
    guard hasSeenAll || !answer.answer.isAllowing else {
      note = obstacle ?? "there is more of it: press the space bar, and allow it when you have seen all"
      return
    }
    (chosen, confirms, isFresh) = (answer, now + Self.steady, true)
  }

  private mutating func confirm(
    _ choice: Answer?, _ question: PendingQuestion, _ isHeld: Bool, at now: MonotonicTime
  ) -> Effect {
    guard let choice, !isHeld, !isVeiled, now >= confirms else {
      deafen(choice == nil ? "Enter without a choice" : "Enter came too soon", at: now)
      return .changed
    }
    (isAnswered, chosen) = (true, choice)
    return .answer(
      BoundAnswer(question.id, generation: question.generation, digest: question.digest, choice.answer))
  }
}

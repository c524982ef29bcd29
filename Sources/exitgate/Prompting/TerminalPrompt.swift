import Approvals
import Dispatch
import EventLoop
import Gateway
import Glibc
import Synchronization

/// Asks the person at the terminal that `run` was started on.
///
/// While a question is shown the terminal is the gate's alone: the command's
/// output waits where it is, so its terminal is full at some time and the
/// command waits too; what the command did to the terminal is not in force; keys
/// go to nobody else. In the background nothing is read and nothing is drawn.
///
/// `@unchecked Sendable`: everything that changes is touched on `queue` alone.
final class TerminalPrompt: @unchecked Sendable {
  /// How long keys are nobody's after a question went by itself: the one that was meant for it.
  private static let after = Duration.milliseconds(500)
  private static let signals: [UInt8: Int32] = [0x03: SIGINT, 0x1c: SIGQUIT]

  private let queue: DispatchQueue
  private let gate: Gate
  private let person: PersonTerminal
  private let relay: TerminalRelay?
  private let lines: TerminalLines
  private let signal: @Sendable (Int32) -> Void
  private let tells: Bool
  private let control: String
  private let word = RunWord.draw()
  private var questions = PromptQueue()
  private var reader = KeyReader()
  private var screen: PromptScreen?
  /// Left as it was when others came in front.
  private var stranded: PromptScreen?
  private var isTrying = false
  private var watch: (any DispatchSourceTimer)?
  private var channel: AttachedChannel?
  private var follower: UInt64?
  private var ticker: (any DispatchSourceTimer)?
  private var rung: Set<PendingID> = []
  private var deafUntil = MonotonicTime(nanoseconds: 0)
  private let isLooking = Mutex(false)

  /// - Parameters:
  ///   - person: The person's terminal, which is not the command's.
  ///   - relay: What passes the command's terminal on, where it has one.
  ///   - lines: What the gate says otherwise, which waits while a question is shown.
  ///   - tells: Whether the gate says anything otherwise.
  ///   - control: Where the gate is spoken to else.
  ///   - signal: Passes a signal on to the command.
  init(
    _ gate: Gate, on person: PersonTerminal, _ relay: TerminalRelay?, _ lines: TerminalLines, tells: Bool,
    control: String, signal: @escaping @Sendable (Int32) -> Void
  ) {
    self.signal = signal
    (self.gate, self.person, self.relay, self.lines) = (gate, person, relay, lines)
    (self.tells, self.control) = (tells, control)
    queue = relay?.queue ?? DispatchQueue(label: "exitgate.terminal")
  }

  /// Begins: from now on somebody can be asked. A policy that asks nothing yet may be loaded anew, so the word is said
  /// whatever it is.
  func begin() {
    queue.sync {
      lines.say(
        "exitgate: questions on this terminal bear the word \(word); what does not is not the gate's")
      relay?.keys = { [unowned self] in typed($0) }
      relay?.hungUp = { [unowned self] in hangUp() }
      channel = gate.approvals.attach(.terminal)
      follower = gate.approvals.follow { [self] _ in lookSoon() }
      watch = everySecond { [unowned self] in if person.isGone() { hangUp() } }
    }
  }

  /// Asks nobody any more, and leaves the terminal to the command.
  func end() { queue.sync { hangUp() } }

  /// The terminal has another size.
  func resize() { queue.async { [self] in draw() } }

  private func hangUp() {
    if let follower { gate.approvals.unfollow(follower) }
    (follower, channel) = (nil, nil)
    watch?.cancel()
    watch = nil
    questions = PromptQueue()
    ticker?.cancel()
    ticker = nil
    giveBack()
  }

  // MARK: - Questions

  /// However often a question changes, it is looked at once: what is to be looked at is not kept.
  private func lookSoon() {
    let isFirst = isLooking.withLock { isLooking in
      defer { isLooking = true }
      return !isLooking
    }
    guard isFirst else { return }
    queue.async { [self] in
      isLooking.withLock { $0 = false }
      look()
    }
  }

  private func look() {
    guard channel != nil else { return }
    let all = gate.approvals.questions, isHere = person.isForeground
    if !isHere { leaveBehind(for: all) }
    questions.look(all, canShow: isHere, at: .now())
    settle()
    if ticker == nil, !all.isEmpty { tick() }
  }

  /// Draws what is shown, or gives the terminal back.
  private func settle() {
    guard questions.shown != nil else {
      if screen != nil { deafUntil = .now() + Self.after }
      giveBack()
      if person.isForeground { stranded?.leave() } else { return }
      stranded = nil
      return
    }
    if screen == nil, person.isForeground { take() }
    draw()
  }

  /// Somebody else is in front: a bell, and nothing is read or drawn.
  private func leaveBehind(for all: [PendingQuestion]) {
    if let screen {
      (self.screen, stranded) = (nil, screen)
      person.forgetKeys()
      release()
    }
    let fresh = all.filter { $0.waiting > 0 && !rung.contains($0.id) }
    rung = Set(all.map(\.id))
    guard !fresh.isEmpty, !person.stopsWriters else { return }
    person.write("\u{7}")
  }

  /// Each second while anything waits: time goes on, a waiting connection leaves, this becomes the foreground.
  private func tick() {
    ticker = everySecond { [unowned self] in
      if let left = questions.tick(at: .now()) { tell("exitgate: nobody answered; \(later(left))") }
      look()
      guard gate.approvals.questions.isEmpty, stranded == nil else { return }
      ticker?.cancel()
      ticker = nil
    }
  }

  private func everySecond(_ handler: @escaping @Sendable () -> Void) -> any DispatchSourceTimer {
    let timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now() + 1, repeating: 1, leeway: .milliseconds(50))
    timer.setEventHandler(handler: handler)
    timer.activate()
    return timer
  }

  private func later(_ question: PendingQuestion) -> Text {
    let place = question.members.first.map { "\($0.key.destination)" } ?? ""
    return "'exitgate approve \(question.id) --control \(control)' still does: \(place)"
  }

  private func tell(_ line: Text) { if tells { lines.say(line) } }

  // MARK: - The terminal

  private func take() {
    guard person.takeScreen() else { return trySoon() }
    stranded = nil
    relay?.pause()
    lines.hold()
    reader = KeyReader()
    let screen = PromptScreen(person, under: relay?.modes ?? TerminalModes())
    screen.take()
    if relay?.readsKeys != true { person.read(on: queue) { [unowned self] in _ = typed($0) } }
    self.screen = screen
  }

  /// Another run writes just now.
  private func trySoon() {
    guard !isTrying else { return }
    isTrying = true
    queue.asyncAfter(deadline: .now() + .milliseconds(20)) { [self] in
      isTrying = false
      if channel != nil { settle() }
    }
  }

  private func giveBack() {
    screen?.giveBack()
    screen = nil
    release()
  }

  private func release() {
    person.stopReading()
    person.leaveScreen()
    lines.release()
    relay?.resume()
  }

  /// Stops as a shell wants it (SIGTSTP), with the terminal given back before.
  func stop() {
    queue.sync {
      giveBack()
      var only = sigset_t(), before = sigset_t()
      sigemptyset(&only)
      sigaddset(&only, SIGTSTP)
      Glibc.signal(SIGTSTP, SIG_DFL)
      pthread_sigmask(SIG_UNBLOCK, &only, &before)
      raise(SIGTSTP)
      // Somebody has it go on.
      pthread_sigmask(SIG_SETMASK, &before, nil)
      Glibc.signal(SIGTSTP, SIG_IGN)
    }
    queue.async { [self] in look() }
  }

  private func draw() {
    guard let screen, questions.shown != nil else { return }
    let rest = questions.deadline - .now()
    let view = PromptView(
      size: person.size, word: word, rest: max(0, Int(rest.components.seconds + 1)))
    let (rows, pages, obstacle) = view.rows(of: questions)
    questions.layOut(pages: pages, obstacle: obstacle)
    screen.draw(rows, size: view.size)
    questions.drawn(at: .now())
  }

  // MARK: - Keys

  /// - Returns: Whether the keys were the gate's, and not the command's.
  private func typed(_ bytes: [UInt8]) -> Bool {
    guard screen != nil else { return MonotonicTime.now() < deafUntil && bytes != [0x03] }
    let now = MonotonicTime.now()
    switch questions.take(reader.read(bytes, at: now), at: now) {
    case .nothing: break
    case .changed: settle()
    case .answer(let bound): answer(bound)
    case .pass(let byte):
      giveBack()
      // Without a terminal of its own the command has what a terminal would make of the key (termios(3), ISIG).
      if let relay { relay.type([byte]) } else if let number = Self.signals[byte] { signal(number) }
    }
    return true
  }

  private func answer(_ bound: BoundAnswer) {
    draw()
    let who = Person(.terminal, userID: getuid(), processID: getpid())
    gate.answer(bound, by: who) { [self] result in
      queue.async { [self] in
        switch result {
        case .success(let decided): tell("exitgate: \(decided.sentence)")
        case .failure(let error): questions.fail("\(error)", bound.id, at: .now())
        }
        look()
      }
    }
  }
}

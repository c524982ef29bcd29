import Addressing
import Approvals
import Crypto
import Policy
import Synchronization

/// The one book of approvals of a process, for every loop and every channel.
///
/// No call waits for more than another call: nothing here does I/O. A loop
/// whose connections have verdicts is told by whoever answers, see `Gate.answer`.
///
/// A channel that asks people `attach`es for as long as it can; without any,
/// what a policy asks about is denied at once. It hears of questions by
/// `follow`, and answers by `Gate.answer` with all that the question binds.
public final class ApprovalDesk: Sendable {
  private struct State {
    var book: ApprovalBook
    var followers: [UInt64: @Sendable (BookEvent) -> Void] = [:]
    var lastFollower: UInt64 = 0
    var answers: [Bool: UInt64] = [:]
  }

  private let state: Mutex<State>
  /// As old as the process, since approvals outlive policies.
  private let clock = RuleClock()
  /// How long a connection is held, where it is not for the policy to say.
  private let fixedHold: Duration?

  /// How long a connection is held where somebody sits in front of a terminal and nobody says otherwise.
  public static let terminalHold = Duration.seconds(25)

  /// Whose every connection is, where there is one program alone.
  private let program: Program?

  init(
    generation: UInt64, hold: Duration? = nil,
    standing: Policy = Policy(),
    program: (command: String, directory: String)? = nil
  ) {
    fixedHold = hold
    self.program = program.map {
      Program(command: Self.short($0.command), workingDirectory: Self.short($0.directory))
    }
    var book = ApprovalBook(
      generation: generation,
      drawID: {
        var generator = SystemRandomNumberGenerator()
        return PendingID.random(using: &generator)
      }, digest: Self.digest)
    book.standing = standing
    state = Mutex(State(book: book))
  }

  /// SHA-256, the first 128 bits in hexadecimal digits: as much as an answer has to name.
  @Sendable private static func digest(_ text: String) -> String {
    let digits = Array("0123456789abcdef".utf8)
    let bytes = SHA256.hash(data: Array(text.utf8)).prefix(16)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// As much of it as a person reads.
  private static func short(_ text: String) -> String {
    text.unicodeScalars.count <= 256
      ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(255))) + "…"
  }

  /// The time that approvals run out by.
  var now: Timestamp { clock.now().rules }

  /// How long a connection is held under `policy`.
  func hold(under policy: Policy) -> Duration {
    if let fixedHold { return fixedHold }
    return hold(policy.hold)
  }

  private func hold(_ own: Duration) -> Duration {
    guard own == Policy.defaultHold else { return own }
    return state.withLock { $0.book.hasTerminal } ? Self.terminalHold : own
  }

  /// Changes the book and tells those who follow, in the order of the changes.
  private func change<Value: Sendable>(_ work: (inout ApprovalBook) -> Value) -> Value {
    state.withLock { state in
      let value = work(&state.book)
      let events = state.book.takeEvents()
      for event in events { for follower in state.followers.values { follower(event) } }
      return value
    }
  }

  private func read<Value: Sendable>(_ work: (ApprovalBook) -> Value) -> Value {
    state.withLock { work($0.book) }
  }
}

// MARK: - Connections

extension ApprovalDesk {
  func ask(_ request: ApprovalRequest, as waiter: UInt64) -> AskReply {
    let now = now
    var request = request
    request.program = request.program ?? program
    return change { [request] in $0.ask(request, as: waiter, at: now) }
  }

  func note(_ program: Program, of waiter: UInt64) { change { $0.note(program, of: waiter) } }

  func take(_ waiter: UInt64) -> Verdict? { change { $0.take(waiter) } }

  func leave(_ waiter: UInt64) {
    let now = now
    change { $0.leave(waiter, at: now) }
  }

  func question(of waiter: UInt64) -> PendingID? { read { $0.question(of: waiter) } }
}

// MARK: - Channels

/// A channel that can ask people, for as long as somebody holds this.
public final class AttachedChannel: Sendable {
  private let desk: ApprovalDesk
  private let token: UInt64

  fileprivate init(_ desk: ApprovalDesk, _ token: UInt64) {
    (self.desk, self.token) = (desk, token)
  }

  deinit { desk.detach(token) }
}

extension ApprovalDesk {
  /// Says that people can be asked by `channel` from now on, until the attachment is let go.
  public func attach(_ channel: ApprovalChannel) -> AttachedChannel {
    AttachedChannel(self, change { $0.attach(channel) })
  }

  fileprivate func detach(_ token: UInt64) { change { $0.detach(token) } }

  /// Hears of every question and its end from now on, in order; what waits
  /// already comes first, as `asked`.
  ///
  /// - Parameter hear: Called under the desk's lock, on any thread: it hands
  ///   over, and calls nothing of the desk.
  /// - Returns: What `unfollow` takes.
  public func follow(_ hear: @escaping @Sendable (BookEvent) -> Void) -> UInt64 {
    state.withLock { state in
      for question in state.book.questions { hear(.asked(question)) }
      state.lastFollower += 1
      state.followers[state.lastFollower] = hear
      return state.lastFollower
    }
  }

  /// Hears no more.
  public func unfollow(_ follower: UInt64) { state.withLock { $0.followers[follower] = nil } }

  /// The questions that wait, the oldest first.
  public var questions: [PendingQuestion] { read(\.questions) }

  /// A question that waits.
  public func question(_ id: PendingID) -> PendingQuestion? { read { $0.question(id) } }

  /// What became of a question; nil for one that waits, or that is not known.
  public func outcome(of id: PendingID) -> Outcome? { read { $0.outcome(of: id) } }

  /// What stands approved, the oldest first.
  public var grants: [Grant] { read(\.standingGrants) }

  /// What stands refused until the gate ends, the oldest first.
  public var refusals: [StandingRefusal] { read(\.standingRefusals) }

  /// What was written down.
  public var standing: Policy { read(\.standing) }

  /// By how many ways somebody can be asked.
  var channels: Int { read { $0.attached.values.reduce(0, +) } }

  /// How often people allowed and refused.
  var answers: (allowed: UInt64, refused: UInt64) {
    state.withLock { ($0.answers[true, default: 0], $0.answers[false, default: 0]) }
  }
}

// MARK: - For the gate

extension ApprovalDesk {
  func check(_ bound: BoundAnswer) throws(AnswerRefusal) -> PendingQuestion {
    let result: Result<PendingQuestion, AnswerRefusal> = read { book in
      Result { () throws(AnswerRefusal) in try book.check(bound) }
    }
    return try result.get()
  }

  /// - Parameter standing: What is written down from now on; nil: what was.
  func answer(_ bound: BoundAnswer, by person: Person, standing: Policy? = nil) throws(AnswerRefusal)
    -> Decided
  {
    let now = now
    let result: Result<Decided, AnswerRefusal> = change { book in
      Result { () throws(AnswerRefusal) in
        let before = book.standing
        if let standing { book.standing = standing }
        do throws(AnswerRefusal) { return try book.answer(bound, by: person, at: now) } catch {
          book.standing = before
          throw error
        }
      }
    }
    let decided = try result.get()
    state.withLock { $0.answers[decided.answer.isAllowing, default: 0] += 1 }
    return decided
  }

  func revoke(_ id: String) -> Grant? { change { $0.revoke(id) } }

  /// - Returns: Whether something was refused so.
  func takeBackRefusal(_ id: String) -> Bool { change { $0.takeBackRefusal(id) } }

  /// - Returns: The connections that have a verdict now.
  func stop(_ order: StopOrder) -> [UInt64] { change { $0.stop(order) } }

  func replaceStanding(_ policy: Policy) { change { $0.standing = policy } }

  /// - Returns: The approvals that ended now.
  func tick() -> [Grant] {
    let now = now
    return change { $0.tick(at: now) }
  }

  /// - Returns: The connections that have a verdict now, and the approvals that ended.
  func adopt(_ snapshot: PolicySnapshot) -> (waiters: [UInt64], ended: [Grant]) {
    let now = snapshot.clock.now().rules
    return change { book in
      let judge = { snapshot.judge($0, at: now) }
      return (book.adopt(generation: snapshot.generation, judge: judge), book.endChanged(judge: judge))
    }
  }
}

extension PolicySnapshot {
  /// What the policy says about a question's key.
  fileprivate func judge(_ key: ApprovalKey, at now: Timestamp) -> Decision {
    let destination = key.destination
    guard destination.traffic == .http else {
      let (decision, traffic) = policy.decideTunnel(
        host: destination.host, port: destination.port, agent: key.agent, floor: floor, at: now)
      // Under another protocol it is another question.
      return traffic == destination.traffic ? decision : Decision(answer: .deny, reason: .noRule)
    }
    let decision = policy.decide(
      destination, agent: key.agent, request: key.request, floor: floor, at: now)
    // Whether a rule about requests asks, the key says only where the old one looked at them too.
    let looks = decision.rule.map { !$0.requests.isEmpty } ?? false
    return looks == (key.request != nil) ? decision : Decision(answer: .deny, reason: .noRule)
  }
}

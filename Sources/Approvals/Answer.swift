import Policy

/// How far an answer goes.
public enum Scope: Hashable, Sendable {
  /// One connection, or this one question.
  case once
  /// From the answer on.
  case time(Duration)
  /// Until the gate ends.
  case session
  /// Until somebody takes it back; written down.
  case always

  /// The longest `time`: 30 days. What lasts longer is a rule.
  public static let longestTime = Duration.seconds(30 * 86_400)

  /// The word in records and on the command line.
  public var word: String {
    switch self {
    case .once: "once"
    case .time: "time"
    case .session: "session"
    case .always: "always"
    }
  }
}

/// What a person says to a question.
public enum ApprovalAnswer: Hashable, Sendable {
  /// Let it pass.
  case allow(Scope)
  /// Do not.
  case refuse(Scope)

  /// Which offer it takes up; nil for what is never offered.
  var offer: Offer? {
    switch self {
    case .allow(.once): .allowOnce
    case .allow(.time(let time)): time > .zero && time <= Scope.longestTime ? .allowTime : nil
    case .allow(.session): .allowSession
    case .allow(.always): .allowAlways
    case .refuse(.once): .refuse
    case .refuse(.session): .refuseSession
    case .refuse(.always): .refuseAlways
    case .refuse(.time): nil
    }
  }

  /// How far it goes.
  public var scope: Scope {
    switch self {
    case .allow(let scope), .refuse(let scope): scope
    }
  }

  /// Whether it lets something pass.
  public var isAllowing: Bool {
    if case .allow = self { true } else { false }
  }
}

/// What may be answered to a question.
public enum Offer: String, Hashable, Sendable, CaseIterable {
  /// One connection.
  case allowOnce = "once"
  /// For a while.
  case allowTime = "time"
  /// Until the gate ends.
  case allowSession = "session"
  /// For good.
  case allowAlways = "always"
  /// Not now.
  case refuse
  /// Not until the gate ends.
  case refuseSession = "refuse-session"
  /// Never.
  case refuseAlways = "refuse-always"
}

/// By what people are asked and answer.
public enum ApprovalChannel: String, Hashable, Sendable, CaseIterable {
  /// The control socket and the command line.
  case control
  /// The terminal that `run` was started on.
  case terminal
  /// The review page.
  case page
  /// A webhook.
  case webhook
}

/// Who answered.
public struct Person: Hashable, Sendable {
  /// By what.
  public var channel: ApprovalChannel
  /// The user, as the kernel says; nil where it does not.
  public var userID: UInt32?
  /// The process, as the kernel says; nil where it does not.
  public var processID: Int32?
  /// The name that the channel gives; nil where it gives none.
  public var name: String?
  /// What the person wrote beside the answer.
  public var note: String?

  /// Makes a person.
  public init(
    _ channel: ApprovalChannel, userID: UInt32? = nil, processID: Int32? = nil, name: String? = nil,
    note: String? = nil
  ) {
    self.channel = channel
    self.userID = userID
    self.processID = processID
    self.name = name
    self.note = note
  }
}

/// An answer, and exactly what it answers.
public struct BoundAnswer: Hashable, Sendable {
  /// Which question.
  public var id: PendingID
  /// Under which policy it was shown.
  public var generation: UInt64
  /// What was shown, see `PendingQuestion.digest`.
  public var digest: String
  /// What is said.
  public var answer: ApprovalAnswer

  /// Makes an answer.
  public init(_ id: PendingID, generation: UInt64, digest: String, _ answer: ApprovalAnswer) {
    self.id = id
    self.generation = generation
    self.digest = digest
    self.answer = answer
  }
}

/// What became of a question.
public enum Outcome: Hashable, Sendable {
  /// A person answered.
  case answered(ApprovalAnswer, Person)
  /// Nobody asked for it any more.
  case expired
  /// It was joined with others of its domain into this one.
  case joined(PendingID)
  /// Under another policy nobody is asked.
  case superseded
  /// A person has stopped the agent.
  case stopped
}

/// Why an answer has no effect.
public enum AnswerRefusal: Error, Hashable, Sendable {
  /// No question is, or was of late, called so.
  case unknown
  /// It is decided already.
  case late(Outcome)
  /// Another policy is in force than the one it was shown under.
  case otherPolicy(now: UInt64)
  /// What would be allowed is not what was shown.
  case otherCandidate
  /// This answer was not offered.
  case unoffered(Set<Offer>)
  /// No more approvals or refusals are kept.
  case full
}

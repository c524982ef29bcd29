import Policy

/// What a person's answer lets pass, as a connection carries it.
public struct Approval: Hashable, Sendable {
  /// What takes it back: the question's id, or that of the rule that was written down.
  public let id: String
  /// How far it goes.
  public let scope: Scope
  /// Who gave it; nil for one that was written down before the gate started.
  public let person: Person?
  /// When what it let pass ends, on the clock that the book is asked by; nil where it does not.
  public let expires: Timestamp?

  /// Makes an approval.
  public init(id: String, scope: Scope, person: Person?, expires: Timestamp?) {
    self.id = id
    self.scope = scope
    self.person = person
    self.expires = expires
  }
}

/// A standing approval, as lists show it.
public struct Grant: Hashable, Sendable {
  /// What it lets pass: all of these, and nothing else.
  public let asked: [Asked]
  /// The approval.
  public let approval: Approval
  /// When it was given.
  public let given: Timestamp
  /// When it lets nothing new pass any more; nil where it does not end.
  public let expires: Timestamp?

  /// What it lets pass, whichever rules asked.
  public var keys: [ApprovalKey] { asked.map(\.key) }

  /// Whether what asks now is what was approved: under a rule that opens more, it is not.
  func covers(_ other: Asked) -> Bool {
    asked.contains { $0.key == other.key && Rule.haveSameEffect($0.rule, other.rule) }
  }

  /// The same of a part of it; nil of none.
  func keeping(_ isKept: (Asked) -> Bool) -> Grant? {
    let rest = asked.filter(isKept)
    return rest.isEmpty ? nil : Grant(asked: rest, approval: approval, given: given, expires: expires)
  }
}

/// A refusal that holds until the gate ends.
public struct StandingRefusal: Hashable, Sendable {
  /// The question that was refused, the last time.
  public let id: PendingID
  /// What is not asked about any more.
  public internal(set) var keys: [ApprovalKey]
  /// Whether it was refused so often that nobody is asked again; else once for the session.
  public let hasEnded: Bool
  /// When it was refused last, and by whom.
  public let given: Timestamp
  public let person: Person
}

/// What a held connection is told.
public enum Verdict: Hashable, Sendable {
  /// Go on, if the policy in force still asks.
  case allowed(Approval)
  /// Do not.
  case denied(Reason, by: Person)
  /// Ask anew: what was answered was not for this one.
  case again
}

/// What a connection that asks is told at once.
public enum AskReply: Hashable, Sendable {
  /// An answer of before covers it.
  case allowed(Approval)
  /// It is not asked about, for this reason.
  case denied(Reason)
  /// It waits for this question's answer, which is about this since now, or was already.
  case held(PendingID, isFirst: Bool)
}

/// What happened to a question, for those who follow.
public enum BookEvent: Hashable, Sendable {
  /// It is new, or there is more to it than before.
  case asked(PendingQuestion)
  /// It is over.
  case closed(PendingQuestion, Outcome)
}

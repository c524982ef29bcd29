import Addressing
import Policy

/// An answer that counts.
public struct Decided: Hashable, Sendable {
  /// What was asked.
  public let question: PendingQuestion
  /// What was said.
  public let answer: ApprovalAnswer
  /// By whom.
  public let person: Person
  /// What it lets pass; nil for a refusal.
  public let approval: Approval?
  /// The connections that have a verdict now.
  public let waiters: [UInt64]
}

extension ApprovalBook {
  /// Whether an answer would count now.
  ///
  /// - Returns: The question.
  /// - Throws: Why it would not. Nothing changes either way.
  public func check(_ bound: BoundAnswer) throws(AnswerRefusal) -> PendingQuestion {
    if let outcome = outcomes[bound.id] { throw .late(outcome) }
    guard let question = entries[bound.id]?.question else { throw .unknown }
    guard question.generation == bound.generation else { throw .otherPolicy(now: question.generation) }
    guard question.digest == bound.digest else { throw .otherCandidate }
    guard let offer = bound.answer.offer, question.offers.contains(offer) else {
      throw .unoffered(question.offers)
    }
    switch bound.answer {
    case .allow(.always), .refuse: break
    case .allow: guard grants.count < bounds.grants else { throw .full }
    }
    return question
  }

  /// A person answers. The first answer that counts is the only one.
  ///
  /// One of scope `always` is to be written into `standing` before.
  ///
  /// - Throws: Why it has no effect.
  public mutating func answer(_ bound: BoundAnswer, by person: Person, at now: Timestamp)
    throws(AnswerRefusal) -> Decided
  {
    let question = try check(bound)
    let waiters = entries[bound.id]?.waiters ?? []
    var approval: Approval?
    switch bound.answer {
    case .allow(let scope):
      let given = allow(question, scope, by: person, at: now)
      tellAllowed(waiters, given)
      approval = given
    case .refuse(let scope):
      if scope != .always { refusals.add(question, forSession: scope == .session, by: person, at: now) }
      for waiter in waiters { decide(waiter, .denied(.refused, by: person)) }
    }
    close(question.id, .answered(bound.answer, person))
    return Decided(
      question: question, answer: bound.answer, person: person, approval: approval, waiters: waiters)
  }

  private mutating func allow(
    _ question: PendingQuestion, _ scope: Scope, by person: Person, at now: Timestamp
  )
    -> Approval
  {
    guard scope != .always else {
      return Approval(id: "approved-\(question.id)", scope: scope, person: person, expires: nil)
    }
    var end: Timestamp?
    if case .time(let time) = scope { end = now + time }
    let approval = Approval(id: question.id.text, scope: scope, person: person, expires: end)
    for member in question.members { refusals.remove(member.key) }
    let isTaken = scope == .once && question.waiting > 0
    if !isTaken { add(approval, question.members.map(\.asked), at: now) }
    return approval
  }

  /// One connection has what is for one; the others ask anew.
  private mutating func tellAllowed(_ waiters: [UInt64], _ approval: Approval) {
    for (place, waiter) in waiters.enumerated() {
      decide(waiter, approval.scope == .once && place > 0 ? .again : .allowed(approval))
    }
  }

  mutating func decide(_ waiter: UInt64, _ verdict: Verdict) {
    guard let key = waiting.removeValue(forKey: waiter), let id = places[key],
      let member = entries[id]?.question.members.first(where: { $0.key == key })
    else { return }
    verdicts[waiter] = (verdict, member.asked)
  }

  /// Takes a question away, with all that leads to it.
  mutating func close(_ id: PendingID, _ outcome: Outcome) {
    guard let entry = entries.removeValue(forKey: id) else { return }
    for member in entry.question.members where places[member.key] == id { places[member.key] = nil }
    if let domain = entry.question.domain {
      let quarter = Quarter(agent: entry.question.agent, domain: domain)
      if joined[quarter] == id { joined[quarter] = nil }
    }
    remember(outcome, of: id)
    tell(.closed(entry.question, outcome))
  }
}

// MARK: - Connections

extension ApprovalBook {
  /// The verdict of a connection that was held; nil where there is none yet. It is given once.
  public mutating func take(_ waiter: UInt64) -> Verdict? {
    verdicts.removeValue(forKey: waiter)?.verdict
  }

  /// A connection does not wait any more. An approval of one connection that it
  /// did not use is there for the next.
  public mutating func leave(_ waiter: UInt64, at now: Timestamp) {
    release(waiter)
    guard let (verdict, asked) = verdicts.removeValue(forKey: waiter),
      case .allowed(let approval) = verdict, approval.scope == .once, grants.count < bounds.grants
    else { return }
    add(approval, [asked], at: now)
  }

  /// Takes a connection out of the question it is held for; the question stays.
  mutating func release(_ waiter: UInt64) {
    guard let key = waiting.removeValue(forKey: waiter), let id = places[key],
      let place = entries[id]?.waiters.firstIndex(of: waiter)
    else { return }
    entries[id]?.waiters.remove(at: place)
    entries[id]?.question.waiting -= 1
  }
}

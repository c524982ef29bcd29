import Addressing
import Policy

// MARK: - What stands

extension ApprovalBook {
  /// An approval of one connection that nobody takes ends like a question that nobody waits for.
  mutating func add(_ approval: Approval, _ asked: [Asked], at now: Timestamp) {
    let end = approval.scope == .once ? now + bounds.expiry : approval.expires
    let grant = Grant(asked: asked, approval: approval, given: now, expires: end)
    for key in grant.keys {
      if let before = grantOf[key].flatMap({ grants[$0] }) { shrink(before, by: key) }
      grantOf[key] = grant.approval.id
    }
    grants[grant.approval.id] = grant
  }

  /// A later approval of the same key takes its place.
  private mutating func shrink(_ grant: Grant, by key: ApprovalKey) {
    grants[grant.approval.id] = grant.keeping { $0.key != key }
  }

  mutating func drop(_ grant: Grant) {
    for key in grant.keys where grantOf[key] == grant.approval.id { grantOf[key] = nil }
    grants[grant.approval.id] = nil
  }

  /// Takes an approval back; what it let pass is to be cut.
  ///
  /// - Returns: nil where none is called so.
  public mutating func revoke(_ id: String) -> Grant? {
    guard let grant = grants[id] else { return nil }
    drop(grant)
    return grant
  }

  /// Takes a refusal back: the same is asked about again.
  ///
  /// - Returns: Whether there was one.
  public mutating func takeBackRefusal(_ id: String) -> Bool { refusals.takeBack(id) }
}

// MARK: - Time and policies

extension ApprovalBook {
  /// Ends what nobody waits for and what has run out.
  ///
  /// - Returns: The approvals that ended now.
  public mutating func tick(at now: Timestamp) -> [Grant] {
    let stale = entries.values.map(\.question).filter { $0.waiting == 0 && $0.last + bounds.expiry <= now }
    for question in stale { close(question.id, .expired) }
    let ended = grants.values.filter { $0.expires.map { $0 <= now } ?? false }
    for grant in ended { drop(grant) }
    return ended
  }

  /// Another policy is in force: what is still asked about is asked under it,
  /// the rest is over, and whoever is held for that asks anew.
  ///
  /// - Parameters:
  ///   - generation: Of the policy.
  ///   - judge: What it says about a key.
  /// - Returns: The connections that have a verdict now.
  public mutating func adopt(
    generation: UInt64, judge: (ApprovalKey) -> Decision
  ) -> [UInt64] {
    self.generation = generation
    var told: [UInt64] = []
    for question in questions {
      let decisions = question.members.map { judge($0.key) }
      guard decisions.allSatisfy({ $0.answer == .ask }) else {
        told += end(question.id, .superseded)
        continue
      }
      var next = question
      next.generation = generation
      next.members = zip(next.members, decisions).map { member, decision in
        PendingQuestion.Member(Asked(member.key, under: decision.rule), named: member.name)
      }
      seal(&next)
      entries[question.id]?.question = next
      tell(.asked(next))
    }
    return told
  }

  /// Ends the approvals of what is not asked any more, or under a rule of another effect: nobody has said yes to
  /// what that opens. What is asked for beside it stays approved.
  ///
  /// - Returns: What ended.
  public mutating func endChanged(judge: (ApprovalKey) -> Decision) -> [Grant] {
    standingGrants.compactMap { grant in
      guard let ended = grant.keeping({ !$0.stands(under: judge($0.key)) }) else { return nil }
      drop(grant)
      if let rest = grant.keeping({ !ended.asked.contains($0) }) {
        grants[rest.approval.id] = rest
        for key in rest.keys { grantOf[key] = rest.approval.id }
      }
      return ended
    }
  }

  /// A person has stopped agents: nobody is asked for them any more.
  ///
  /// - Returns: The connections that have a verdict now: to be decided anew.
  public mutating func stop(_ order: StopOrder) -> [UInt64] {
    questions.filter { order.covers($0.agent) }.flatMap { end($0.id, .stopped) }
  }

  /// Ends a question without an answer; whoever is held for it asks anew.
  private mutating func end(_ id: PendingID, _ outcome: Outcome) -> [UInt64] {
    let waiters = entries[id]?.waiters ?? []
    for waiter in waiters { decide(waiter, .again) }
    close(id, outcome)
    return waiters
  }
}

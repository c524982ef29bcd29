import Addressing
import Policy

// MARK: - What stands

extension ApprovalBook {
  /// An approval of one connection that nobody takes ends like a question that nobody waits for.
  mutating func add(_ approval: Approval, _ keys: [ApprovalKey], at now: Timestamp) {
    let end = approval.scope == .once ? now + bounds.expiry : approval.expires
    let grant = Grant(keys: keys, approval: approval, given: now, expires: end)
    for key in grant.keys {
      if let before = grantOf[key].flatMap({ grants[$0] }) { shrink(before, by: key) }
      grantOf[key] = grant.approval.id
    }
    grants[grant.approval.id] = grant
  }

  /// A later approval of the same key takes its place.
  private mutating func shrink(_ grant: Grant, by key: ApprovalKey) {
    let rest = grant.keys.filter { $0 != key }
    grants[grant.approval.id] =
      rest.isEmpty
      ? nil : Grant(keys: rest, approval: grant.approval, given: grant.given, expires: grant.expires)
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
        told += supersede(question.id)
        continue
      }
      var next = question
      next.generation = generation
      for (place, decision) in decisions.enumerated() { next.members[place].rule = decision.rule?.id }
      seal(&next)
      entries[question.id]?.question = next
      tell(.asked(next))
    }
    return told
  }

  private mutating func supersede(_ id: PendingID) -> [UInt64] {
    let waiters = entries[id]?.waiters ?? []
    for waiter in waiters {
      if let key = waiting.removeValue(forKey: waiter) { verdicts[waiter] = (.again, key) }
    }
    close(id, .superseded)
    return waiters
  }
}

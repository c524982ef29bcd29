/// What a person may do with a running gate; each may also do what stands before it.
public enum ReviewerRole: String, Hashable, Sendable, CaseIterable {
  /// See what it does, and what waits for an answer.
  case read
  /// Answer for now: once, for a time, for the session; stop everything, and go on.
  case approve
  /// Change what is written down: the policy, and what is answered for good.
  case edit

  /// Whether it is enough for what asks for `needed`.
  public func covers(_ needed: ReviewerRole) -> Bool {
    let order = Self.allCases
    return order.firstIndex(of: self).map { order[...$0].contains(needed) } ?? false
  }
}

/// Whom the policy lets review, beside root and the gate's own user, who may do everything.
public struct Reviewers: Hashable, Sendable {
  /// By the number of the user.
  public var roles: [UInt32: ReviewerRole]
  /// What who answers by the webhook may do: `approve` or `edit`.
  public var webhook: ReviewerRole

  /// Makes a list; by itself it is empty, and the webhook answers for now alone.
  public init(_ roles: [UInt32: ReviewerRole] = [:], webhook: ReviewerRole = .approve) {
    self.roles = roles
    self.webhook = webhook
  }

  /// What a user may do; nil where it is nothing.
  public func role(of user: UInt32, gateUser: UInt32) -> ReviewerRole? {
    user == 0 || user == gateUser ? .edit : roles[user]
  }
}

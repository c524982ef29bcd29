import Policy

/// Reads `reviewers`: for each role the users who have it, by number or by name, and the role of the webhook.
struct ReviewersReader {
  /// How many users there may be.
  static let limit = 256

  let scope: Scope
  /// The numbers of the users that this machine knows by name.
  let users: [String: UInt32]

  func read(_ node: Node) -> Reviewers {
    let example = "reviewers such as { approve: [alice, 1001], edit: [bob] }"
    guard
      let fields = Fields(
        node, in: scope, of: "'reviewers'", keys: ReviewerRole.allCases.map(\.rawValue) + ["webhook"],
        example: example)
    else { return Reviewers() }
    var reviewers = Reviewers()
    for role in ReviewerRole.allCases {
      guard let list = fields[role.rawValue],
        let items = scope.items(list, "'\(role.rawValue)'", example: "[alice, 1001]", mayBeEmpty: false)
      else { continue }
      for item in items { add(item, role, to: &reviewers) }
    }
    if let node = fields["webhook"], let role = webhook(node) { reviewers.webhook = role }
    return reviewers
  }

  private func webhook(_ node: Node) -> ReviewerRole? {
    guard let word = scope.text(node, "'webhook'", example: "webhook: edit") else { return nil }
    guard let role = ReviewerRole(rawValue: word), role != .read else {
      scope.error(node.mark, "\(quoted(word)) is no role of the webhook", "Write approve or edit")
      return nil
    }
    return role
  }

  private func add(_ item: Node, _ role: ReviewerRole, to reviewers: inout Reviewers) {
    guard let user = user(item) else { return }
    guard reviewers.roles.count < Self.limit else {
      return scope.error(
        item.mark, "'reviewers' has more than \(Self.limit) users", "Name those who do review")
    }
    if let other = reviewers.roles.updateValue(role, forKey: user) {
      scope.error(
        item.mark, "the user \(user) stands under '\(other.rawValue)' already",
        "Name each under one role; the later ones hold the earlier ones")
    }
  }

  private func user(_ item: Node) -> UInt32? {
    let example = "a user's name or number such as alice or 1001"
    if case .integer(let value) = item.scalar {
      if let number = value, let user = UInt32(exactly: number), user > 0, user < .max, item.isPlainDecimal {
        return user
      }
      scope.error(item.mark, "\(found(item)) is no user's number", "Write \(example)")
      return nil
    }
    guard let name = scope.text(item, "a reviewer", example: example) else { return nil }
    if let user = users[name] {
      if user > 0 { return user }
      scope.warn(item.mark, "\(quoted(name)) is root, who may do everything anyway", "Leave it out")
      return nil
    }
    // Nobody has the role then, which is less than what is written.
    scope.warn(
      item.mark, "this machine knows no user \(quoted(name)), so nobody gets the role by that name",
      "Write the user's number, or make the user")
    return nil
  }
}

extension Machine {
  /// The numbers of the users in /etc/passwd, by name.
  ///
  /// - Source: passwd(5).
  func users() -> [String: UInt32] {
    var notes: [SystemNote] = []
    var users: [String: UInt32] = [:]
    for line in (text("/etc/passwd", &notes) ?? "").split(separator: "\n") {
      let fields = line.split(separator: ":", omittingEmptySubsequences: false)
      guard fields.count >= 7, !fields[0].isEmpty, let user = UInt32(fields[2]) else { continue }
      if users[String(fields[0])] == nil { users[String(fields[0])] = user }
    }
    return users
  }
}

import Policy

/// How many questions each agent opened in the last minute.
struct PromptRate: Sendable {
  private static let window = Duration.seconds(60)

  private var prompts: [AgentName: [Timestamp]] = [:]

  /// Counts one more; false when there were `limit` in the minute before.
  mutating func take(_ agent: AgentName, limit: Int, at now: Timestamp) -> Bool {
    var recent = (prompts[agent] ?? []).filter { now < $0 + Self.window }
    defer { prompts[agent] = recent.isEmpty ? nil : recent }
    guard recent.count < limit else { return false }
    recent.append(now)
    return true
  }
}

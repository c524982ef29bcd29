import Addressing
import Policy

/// Finds what loads but is probably not what was meant.
struct Linter {
  /// How early a rule's end is announced (DESIGN row 8).
  static let expiryNotice = Duration.seconds(7 * 86_400)

  let now: Timestamp
  let drafts: [RuleDraft]

  func run() {
    var seen: [RuleContent: RuleDraft] = [:]
    let denials = DenyIndex(
      drafts.compactMap(\.rule).filter { $0.action == .deny && !$0.hasExpired(at: now) })
    for draft in drafts {
      guard let rule = draft.rule else { continue }
      checkExpiry(rule, draft)
      checkDuplicate(rule, draft, &seen)
      if rule.action == .deny { continue }
      for (pattern, mark) in draft.patterns {
        let finding = unreachable(pattern, rule) ?? denials.finding(pattern, rule) ?? wellKnown(pattern)
        if let finding { draft.scope.warn(mark, finding.cause, finding.remedy) }
      }
      checkRequests(rule, draft)
      checkPorts(rule, draft)
    }
  }

  private func checkExpiry(_ rule: Rule, _ draft: RuleDraft) {
    guard let end = rule.expires else { return }
    if end <= now {
      draft.scope.warn(
        draft.mark, "the rule '\(rule.id)' expired at \(end) and counts as absent",
        "Remove it, or set 'expires' anew")
    } else if end <= now + Self.expiryNotice {
      draft.scope.warn(
        draft.mark, "the rule '\(rule.id)' expires within 7 days, at \(end)",
        "Set 'expires' anew if it is still needed")
    }
  }

  private func checkDuplicate(_ rule: Rule, _ draft: RuleDraft, _ seen: inout [RuleContent: RuleDraft]) {
    let content = RuleContent(rule)
    if let earlier = seen[content] {
      let (mine, other) = draft.isFromList ? (earlier, draft) : (draft, earlier)
      if !mine.isFromList {
        mine.scope.warn(
          mine.mark,
          "the rule '\(mine.rule?.id ?? rule.id)' says the same as the one at \(other.scope.file):\(other.mark.line)",
          "Keep one of the two")
      }
    } else {
      seen[content] = draft
    }
    var patterns: Set<HostPattern> = []
    for (pattern, mark) in draft.patterns where !patterns.insert(pattern).inserted {
      draft.scope.warn(mark, "'\(pattern)' stands in 'to' twice", "Remove one of the two")
    }
  }

  /// A block that the floor takes away whole.
  private func unreachable(_ pattern: HostPattern, _ rule: Rule) -> Finding? {
    guard case .prefix(let block) = pattern, let kind = commonClass(of: block) else { return nil }
    switch kind {
    case .privateUse, .reserved:
      guard !rule.allowPrivate else { return nil }
      return Finding(
        cause: "'\(block)' never matches: it is a \(kind.rawValue) range, and the rule does not open those",
        remedy: "Add 'allow-private: true' if that is meant")
    case .loopback:
      guard !rule.allowLoopback else { return nil }
      return Finding(
        cause: "'\(block)' never matches: it is this machine, and the rule does not open that",
        remedy: "Add 'allow-loopback: true' if that is meant")
    default: return nil
    }
  }

  private func checkRequests(_ rule: Rule, _ draft: RuleDraft) {
    guard !rule.requests.isEmpty, rule.requests.allSatisfy({ $0.methods == ["CONNECT"] }) else { return }
    draft.scope.warn(
      draft.mark, "CONNECT is no request that 'http' sees, so the rule never matches",
      "Write 'protocol: https' or 'protocol: tcp'")
  }

  /// DNS by itself carries data out, whatever the name says.
  private func checkPorts(_ rule: Rule, _ draft: RuleDraft) {
    guard rule.traffic != .dns, rule.ports.contains(where: { $0.contains(.domain) }) else { return }
    draft.scope.warn(
      draft.mark, "the rule '\(rule.id)' opens port 53, past every check of names",
      "Leave 53 out; names are resolved by the gate")
  }
}

/// What a check found.
struct Finding: Hashable {
  var cause: String
  var remedy: String
}

/// Everything that makes two rules decide alike.
private struct RuleContent: Hashable {
  let action: Action
  let agents: Set<AgentName>?
  let to: Set<HostPattern>
  let ports: [PortRange]
  let traffic: TrafficProtocol
  let requests: Set<RequestPattern>
  let types: Set<String>

  init(_ rule: Rule) {
    action = rule.action
    agents = rule.agents
    to = Set(rule.to)
    ports = rule.ports
    traffic = rule.traffic
    requests = Set(rule.requests)
    types = Set(rule.recordTypes)
  }
}

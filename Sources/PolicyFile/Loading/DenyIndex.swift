import Addressing
import Policy

/// Finds allow and ask rules of which a deny rule leaves nothing.
struct DenyIndex {
  private var exact: [Hostname: [Rule]] = [:]
  private var domains: [Hostname: [Rule]] = [:]
  private var subdomains: [Hostname: [Rule]] = [:]
  private var everyName: [Rule] = []
  private var blocks: [IPPrefix: [Rule]] = [:]

  init(_ denials: [Rule]) {
    for rule in denials {
      for pattern in rule.to {
        switch pattern {
        case .exact(let name): exact[name, default: []].append(rule)
        case .domain(let apex): domains[apex, default: []].append(rule)
        case .subdomains(let parent): subdomains[parent, default: []].append(rule)
        case .anyName: everyName.append(rule)
        case .prefix(let block): blocks[block, default: []].append(rule)
        }
      }
    }
  }

  /// Says which deny rule makes `pattern` of `rule` useless, if one does.
  func finding(_ pattern: HostPattern, _ rule: Rule) -> Finding? {
    guard let denial = candidates(for: pattern).first(where: { covers($0, rule) }) else { return nil }
    return Finding(
      cause:
        "'\(pattern)' never matches: the deny rule '\(denial.id)' (\(denial.source)) covers it, and deny always wins",
      remedy: "Remove one of the two")
  }

  private func candidates(for pattern: HostPattern) -> [Rule] {
    switch pattern {
    case .exact(let name): everyName + exact[name, default: []] + domains[name, default: []] + above(name)
    case .domain(let apex): everyName + domains[apex, default: []] + above(apex)
    case .subdomains(let parent):
      everyName + subdomains[parent, default: []] + domains[parent, default: []] + above(parent)
    case .anyName: everyName
    case .prefix(let block): blocks[block, default: []]
    }
  }

  /// Wildcards over the ancestors of `name`.
  private func above(_ name: Hostname) -> [Rule] {
    var found: [Rule] = [], ancestor = name.parent
    while let parent = ancestor {
      found += domains[parent, default: []] + subdomains[parent, default: []]
      ancestor = parent.parent
    }
    return found
  }

  /// Whether `denial` holds for all agents, ports and requests of `rule`.
  private func covers(_ denial: Rule, _ rule: Rule) -> Bool {
    guard denial.traffic == rule.traffic, denial.requests.isEmpty, denial.traffic != .dns else {
      return false
    }
    if let denied = denial.agents {
      guard let own = rule.agents, own.isSubset(of: denied) else { return false }
    }
    return rule.ports.allSatisfy { own in
      denial.ports.contains { $0.lower <= own.lower && own.upper <= $0.upper }
    }
  }
}

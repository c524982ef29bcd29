import Addressing
import Policy

/// The semantics written down a second time, as plainly as can be: every rule
/// is looked at, nothing is indexed. The oracle of the property tests.
struct NaivePolicy {
  var rules: [Rule]
  var defaultAction: Action

  /// The answer, the reason and the rule, the floor apart.
  func decide(
    _ destination: Destination, as protocols: Set<TrafficProtocol>, agent: AgentName, request: RequestFacts?,
    at time: Timestamp
  ) -> (answer: Action, reason: Reason, rule: Rule?) {
    let matching = rules.filter { matches($0, destination, protocols, agent, request, time) }
    let foremost = { (rules: [Rule]) in
      rules.reduce(nil as Rule?) { best, rule in
        best.map { wins(rule, over: $0, for: destination.host) } ?? true ? rule : best
      }
    }
    if let deny = foremost(matching.filter { $0.action == .deny }) { return (.deny, .denyRule, deny) }
    guard let rule = foremost(matching) else { return (defaultAction, .noRule, nil) }
    return rule.action == .allow ? (.allow, .allowed, rule) : (.ask, .askRule, rule)
  }

  private func matches(
    _ rule: Rule, _ destination: Destination, _ protocols: Set<TrafficProtocol>, _ agent: AgentName,
    _ request: RequestFacts?, _ time: Timestamp
  ) -> Bool {
    (rule.agents?.contains(agent) ?? true) && protocols.contains(rule.traffic)
      && specificity(of: rule, for: destination.host) != nil
      && rule.ports.contains { $0.lower <= destination.port && destination.port <= $0.upper }
      && (rule.expires.map { time < $0 } ?? true)
      && (rule.requests.isEmpty
        || request.map { facts in
          rule.requests.contains { pattern in
            (pattern.methods.isEmpty || pattern.methods.contains(facts.method))
              && pattern.path?.matches(facts.path) ?? true
          }
        } ?? false)
  }

  /// Of the best pattern that matches; nil when none does.
  private func specificity(of rule: Rule, for host: Host) -> Int? {
    rule.to.compactMap { pattern -> Int? in
      guard pattern.matches(host) else { return nil }
      return switch pattern {
      case .exact: 1000
      case .subdomains(let name), .domain(let name): name.labels.count
      case .anyName: 0
      case .prefix(let block): block.length
      }
    }.max()
  }

  private func wins(_ rule: Rule, over other: Rule, for host: Host) -> Bool {
    func key(_ rule: Rule) -> [Int] {
      var ports: Set<UInt16> = []
      for range in rule.ports where range.lower <= range.upper {
        ports.formUnion(range.lower.number...range.upper.number)
      }
      return [
        -(specificity(of: rule, for: host) ?? -1), rule.requests.isEmpty ? 1 : 0, ports.count,
        rule.action == .allow ? 1 : 0, rule.traffic == .tcp ? 1 : 0, rule.agents?.count ?? .max,
      ]
    }
    let (left, right) = (key(rule), key(other))
    return left == right ? rule.id.text < other.id.text : left.lexicographicallyPrecedes(right)
  }
}

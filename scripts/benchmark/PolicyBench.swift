import Addressing
import Policy

/// Prints what one decision costs with 10,000 rules, in nanoseconds: the median
/// of eleven rounds over many different destinations.
@main struct PolicyBench {
  static let ruleCount = 10_000
  static let perRound = 100_000

  static func main() throws {
    let policy = Policy(rules: try (0..<ruleCount).map(rule), generation: 1)
    print("| one decision, \(ruleCount) rules, half of them wildcards | ns |\n|---|---|")
    try report("allow, exact name", policy) { "host\($0 % ruleCount & ~1).service.example" }
    try report("allow, under a wildcard", policy) { "a.b.zone\($0 % ruleCount | 1).example" }
    try report("deny, no rule", policy) { "host\($0).nowhere.example" }
  }

  private static func rule(_ number: Int) throws -> Rule {
    let pattern: HostPattern =
      number % 2 == 0
      ? .exact(try Hostname("host\(number).service.example"))
      : .subdomains(of: try Hostname("zone\(number).example"))
    guard let id = RuleID("rule-\(number)") else { throw HostnameError.emptyLabel }
    return Rule(id: id, action: .allow, to: [pattern], ports: [PortRange(.https, .https)])
  }

  private static func report(_ title: String, _ policy: Policy, _ name: (Int) -> String) throws {
    let destinations = try (0..<4096).map { Destination(.name(try Hostname(name($0))), .https, .https) }
    let now = Timestamp(milliseconds: 1_800_000_000_000), floor = Floor()
    var rounds: [Double] = [], allowed = 0
    for _ in 0..<11 {
      let elapsed = ContinuousClock().measure {
        for index in 0..<perRound {
          let decision = policy.decide(destinations[index & 4095], agent: .default, floor: floor, at: now)
          allowed += decision.answer == .allow ? 1 : 0
        }
      }
      let (seconds, attoseconds) = elapsed.components
      rounds.append((Double(seconds) * 1e9 + Double(attoseconds) / 1e9) / Double(perRound))
    }
    precondition(allowed == (title.hasPrefix("allow") ? 11 * perRound : 0), "\(title): the answers are wrong")
    print("| \(title) | \(Int(rounds.sorted()[5])) |")
  }
}

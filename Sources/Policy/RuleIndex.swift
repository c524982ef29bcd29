import Addressing

/// The rules of a policy, laid out for `walk`: built once, then only read.
final class RuleIndex: Sendable {
  let names: NameIndex
  let prefixesV4: PrefixIndex
  let prefixesV6: PrefixIndex
  /// By the rule's place in `Policy.rules`.
  let facts: [RuleFacts]
  /// The rules' ports, one rule behind the other.
  let ports: [PortRange]
  /// The rules' agents as numbers, one rule behind the other.
  let agents: [UInt32]
  /// The ports at which rules of `https` or `http` open some name, in order and apart.
  let webPorts: [ClosedRange<Int>]
  /// The number of each agent that some rule names.
  let agentNumbers: [AgentName: UInt32]
  /// Places in `Policy.rules`; of rules with the same id, the first.
  let placeOfRule: [RuleID: Int]

  init(_ rules: [Rule]) {
    names = NameIndex(rules)
    prefixesV4 = PrefixIndex(rules, isV4: true)
    prefixesV6 = PrefixIndex(rules, isV4: false)
    var facts: [RuleFacts] = [], ports: [PortRange] = [], agents: [UInt32] = []
    var numbers: [AgentName: UInt32] = [:]
    let standings = Self.standings(of: rules)
    for (place, rule) in rules.enumerated() {
      let firstAgent = agents.count, firstPort = ports.count
      for agent in rule.agents ?? [] {
        agents.append(numbers[agent, default: UInt32(numbers.count)])
        numbers[agent] = agents[agents.count - 1]
      }
      ports += rule.ports
      facts.append(
        RuleFacts(
          rule, ports: firstPort..<ports.count, agents: rule.agents.map { _ in firstAgent..<agents.count },
          standing: standings[place]))
    }
    (self.facts, self.ports, self.agents, agentNumbers) = (facts, ports, agents, numbers)
    webPorts = merged(rules.filter(\.opensNamesByContent).flatMap(\.ports))
    placeOfRule = Dictionary(rules.enumerated().map { ($1.id, $0) }) { first, _ in first }
  }

  /// The rank of each rule among rules whose patterns are equally specific,
  /// 0 for the first.
  private static func standings(of rules: [Rule]) -> [UInt32] {
    let keys = rules.map(Precedence.init)
    var standings = [UInt32](repeating: 0, count: rules.count)
    for (rank, place) in rules.indices.sorted(by: { keys[$0] < keys[$1] }).enumerated() {
      standings[place] = UInt32(rank)
    }
    return standings
  }
}

extension Rule {
  /// Whether it opens a name by a protocol that tells which name it is for.
  fileprivate var opensNamesByContent: Bool {
    guard action != .deny, traffic == .https || traffic == .http else { return false }
    return to.contains { if case .prefix = $0 { false } else { true } }
  }
}

/// What the evaluator reads of a rule, without touching the rule itself.
struct RuleFacts {
  var traffic: TrafficSet
  var isDeny: Bool
  var hasRequests: Bool
  /// Milliseconds since 1970; the largest number: never.
  var expires: Int64
  /// Where its ports are in `RuleIndex.ports`.
  var ports: Range<Int>
  /// Where its agents are in `RuleIndex.agents`; nil: everyone.
  var agents: Range<Int>?
  /// See `Precedence`.
  var standing: UInt32

  init(_ rule: Rule, ports: Range<Int>, agents: Range<Int>?, standing: UInt32) {
    traffic = TrafficSet(rule.traffic)
    isDeny = rule.action == .deny
    hasRequests = !rule.requests.isEmpty
    expires = rule.expires?.milliseconds ?? .max
    (self.ports, self.agents, self.standing) = (ports, agents, standing)
  }
}

/// A set of protocols.
struct TrafficSet: OptionSet {
  var rawValue: UInt8

  init(rawValue: UInt8) { self.rawValue = rawValue }

  init(_ traffic: TrafficProtocol) {
    rawValue =
      switch traffic {
      case .https: 1
      case .http: 2
      case .tcp: 4
      case .udp: 8
      case .dns: 16
      }
  }

  /// What a tunnel may carry.
  static let tunnel: TrafficSet = [TrafficSet(.https), TrafficSet(.tcp)]
  /// What says in its first bytes which host it is for.
  static let web: TrafficSet = [TrafficSet(.https), TrafficSet(.http)]
  /// Every protocol.
  static let all = TrafficSet(rawValue: 31)
}

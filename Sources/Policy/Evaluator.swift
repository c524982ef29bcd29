import Addressing

/// One question to a policy.
struct Query {
  var host: Host
  var port: Port
  var traffic: TrafficSet
  var agent: AgentName
  var request: RequestFacts?
  var now: Timestamp
}

/// The fields of a rule that do not match a query whose host does.
struct Failures: OptionSet {
  var rawValue: UInt8

  static let agent = Failures(rawValue: 1)
  static let traffic = Failures(rawValue: 2)
  static let port = Failures(rawValue: 4)
  static let expired = Failures(rawValue: 8)
  /// Looked at only when everything else matches.
  static let request = Failures(rawValue: 16)
}

extension Policy {
  /// The one evaluator: hands over every rule that names the query's host, once
  /// for each of its patterns that does, with the fields that fail.
  @inline(__always)
  func walk(_ query: Query, _ visit: (Candidate, Failures) -> Void) {
    let agent = index.agentNumbers[query.agent]
    switch query.host {
    case .name(let name):
      index.names.forEachMatch(of: name) { visit($0, failures(of: $0, for: query, agent)) }
    case .address(let address):
      prefixes(for: address).forEachMatch(of: address) { visit($0, failures(of: $0, for: query, agent)) }
      guard let embedded = address.embeddedIPv4 else { return }
      // An address that leads to an IPv4 address is denied with it, but never allowed by its leave.
      index.prefixesV4.forEachMatch(of: .v4(embedded)) { candidate in
        guard index.facts[Int(candidate.rule)].isDeny else { return }
        visit(candidate, failures(of: candidate, for: query, agent))
      }
    }
  }

  private func prefixes(for address: IPAddress) -> PrefixIndex {
    address.isV4 ? index.prefixesV4 : index.prefixesV6
  }

  private func failures(of candidate: Candidate, for query: Query, _ agent: UInt32?) -> Failures {
    let facts = index.facts[Int(candidate.rule)]
    var failures: Failures = []
    if facts.traffic.isDisjoint(with: query.traffic) { failures.insert(.traffic) }
    if !index.hasPort(query.port, in: facts.ports) { failures.insert(.port) }
    if let agents = facts.agents, !index.hasAgent(agent, in: agents) { failures.insert(.agent) }
    if facts.expires != .max, facts.expires <= query.now.milliseconds { failures.insert(.expired) }
    if facts.hasRequests, failures.isEmpty, !rules[Int(candidate.rule)].covers(query.request) {
      failures.insert(.request)
    }
    return failures
  }
}

extension RuleIndex {
  fileprivate func hasPort(_ port: Port, in places: Range<Int>) -> Bool {
    for place in places where ports[place].contains(port) { return true }
    return false
  }

  fileprivate func hasAgent(_ agent: UInt32?, in places: Range<Int>) -> Bool {
    guard let agent else { return false }
    for place in places where agents[place] == agent { return true }
    return false
  }
}

extension Rule {
  /// Whether one of `requests` speaks of `request`; none of them does of a
  /// request that is not known.
  ///
  /// A path that can be read in two ways is matched by no allow rule. A rule
  /// that restricts must not be dodged by such a path, so deny and ask rules
  /// match it whatever their own path says.
  func covers(_ request: RequestFacts?) -> Bool {
    guard let request else { return false }
    let isDodge = action != .allow && !PathPattern.isCanonical(request.path)
    return requests.contains { pattern in
      (pattern.methods.isEmpty || pattern.methods.contains(request.method))
        && (isDodge || pattern.path?.matches(request.path) ?? true)
    }
  }

  /// Whether it looks at the path of `request`, and the path can be read in two ways.
  func isDodged(by request: RequestFacts?) -> Bool {
    guard let request, requests.contains(where: { $0.path != nil }) else { return false }
    return !PathPattern.isCanonical(request.path)
  }
}

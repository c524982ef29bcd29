import Addressing

extension Policy {
  /// Whether a name may be resolved: when an allow or ask rule for this agent
  /// could match it at some port and protocol that no deny rule takes away.
  ///
  /// - Returns: Allow when some allow rule could match, else ask when some ask
  ///   rule could; nobody is to be asked yet. Deny with the deny rule that
  ///   matches the name, if there is one; else the default, `no-rule`.
  public func mayResolve(_ host: Hostname, agent: AgentName, at now: Timestamp) -> Decision {
    guard !stop.covers(agent) else { return .stopped }
    // Nearly always no rule denies, and then nothing is collected: rules are large.
    var allows = Foremost(), asks = Foremost(), isDenied = false
    let rules = rules
    forEachPlace(naming: host, agent: agent, at: now) { rank, place in
      switch rules[place].action {
      case .allow: allows.take(rank, place)
      case .ask: asks.take(rank, place)
      case .deny: isDenied = isDenied || rules[place].speaksOfAddresses
      }
    }
    if isDenied { return mayResolveBesideDenials(host, agent: agent, at: now) }
    if let place = allows.place { return Decision(answer: .allow, reason: .allowed, rule: rules[place]) }
    if let place = asks.place { return Decision(answer: .ask, reason: .askRule, rule: rules[place]) }
    return Decision(answer: defaultAction, reason: .noRule)
  }

  /// The same where a deny rule matches the name: what it leaves of the others counts.
  private func mayResolveBesideDenials(
    _ host: Hostname, agent: AgentName, at now: Timestamp
  ) -> Decision {
    var open: [(rank: UInt64, rule: Rule)] = [], denials: [(rank: UInt64, rule: Rule)] = []
    forEachRule(naming: host, agent: agent, at: now) { rank, rule in
      guard rule.action == .deny else { return open.append((rank, rule)) }
      if rule.speaksOfAddresses { denials.append((rank, rule)) }
    }
    let whole = denials.map(\.rule).filter(\.requests.isEmpty)
    open.removeAll { entry in isShut(entry.rule, by: whole) }
    if let rule = foremost(open, where: { $0.action == .allow }) {
      return Decision(answer: .allow, reason: .allowed, rule: rule)
    }
    if let rule = foremost(open) { return Decision(answer: .ask, reason: .askRule, rule: rule) }
    return Decision(answer: .deny, reason: .denyRule, rule: foremost(denials))
  }

  /// Whether records of one type may be asked for: the addresses' types as
  /// `mayResolve` says, every other only where a `dns` rule names it.
  ///
  /// - Parameter type: The mnemonic in upper case, like `TXT`.
  public func mayQuery(_ type: String, of host: Hostname, agent: AgentName, at now: Timestamp) -> Decision {
    guard !stop.covers(agent) else { return .stopped }
    if RecordTypes.addresses.contains(type) { return mayResolve(host, agent: agent, at: now) }
    var open: [(rank: UInt64, rule: Rule)] = [], denials: [(rank: UInt64, rule: Rule)] = []
    forEachRule(naming: host, agent: agent, at: now) { rank, rule in
      guard rule.traffic == .dns, rule.recordTypes.contains(type) else { return }
      if rule.action == .deny { denials.append((rank, rule)) } else { open.append((rank, rule)) }
    }
    if let rule = foremost(denials) { return Decision(answer: .deny, reason: .denyRule, rule: rule) }
    guard let rule = foremost(open) else { return Decision(answer: .deny, reason: .noRule) }
    return Decision(answer: rule.action, reason: rule.action == .allow ? .allowed : .askRule, rule: rule)
  }

  /// The deny rule for a name met on a CNAME chain, whatever port and protocol
  /// it speaks of; rules about single HTTP requests do not count.
  public func deniesName(_ host: Hostname, agent: AgentName, at now: Timestamp) -> Rule? {
    var found = Foremost()
    let rules = rules
    forEachPlace(naming: host, agent: agent, at: now) { rank, place in
      guard rules[place].action == .deny, rules[place].requests.isEmpty else { return }
      if rules[place].speaksOfAddresses { found.take(rank, place) }
    }
    return found.place.map { rules[$0] }
  }

  /// Judges what a name resolved to, for an answer that no connection stands
  /// behind yet. An address passes when some rule that could let the name pass
  /// opens it; each connection is judged again, by its own rule and port.
  public func admit(
    _ addresses: [IPAddress], of host: Hostname, agent: AgentName, floor: Floor, at now: Timestamp
  ) -> Admission {
    var leave = Leave.none
    forEachRule(naming: host, agent: agent, at: now) { _, rule in
      if rule.action != .deny { leave.formUnion(Leave(rule, for: .name(host))) }
    }
    var admission = Admission(admitted: [], refused: [])
    for address in addresses {
      if let denial = floor.denial(of: address) ?? floor.denial(of: address, without: leave) {
        admission.refused.append((address, denial, address.addressClass))
      } else {
        admission.admitted.append(address)
      }
    }
    return admission
  }

  /// Every rule that speaks of this name to this agent now; ports and protocols apart.
  func forEachRule(
    naming host: Hostname, agent: AgentName, at now: Timestamp, _ body: (UInt64, Rule) -> Void
  ) {
    forEachPlace(naming: host, agent: agent, at: now) { rank, place in body(rank, rules[place]) }
  }

  /// The same, by its place in `rules`.
  private func forEachPlace(
    naming host: Hostname, agent: AgentName, at now: Timestamp, _ body: (UInt64, Int) -> Void
  ) {
    let query = Query(host: .name(host), port: .https, traffic: .all, agent: agent, now: now)
    walk(query) { candidate, failures in
      guard failures.isDisjoint(with: [.agent, .expired]) else { return }
      body(rank(of: candidate, index.facts[Int(candidate.rule)]), Int(candidate.rule))
    }
  }
}

/// The place of the foremost of some rules; of equals the first.
private struct Foremost {
  private(set) var place: Int?
  private var rank: UInt64 = 0

  mutating func take(_ rank: UInt64, _ place: Int) {
    guard self.place == nil || rank > self.rank else { return }
    (self.place, self.rank) = (place, rank)
  }
}

extension Rule {
  /// Whether it is about the name itself: one with `types` is about those records alone.
  fileprivate var speaksOfAddresses: Bool { traffic != .dns || recordTypes.isEmpty }
}

private func foremost(
  _ entries: [(rank: UInt64, rule: Rule)], where counts: (Rule) -> Bool = { _ in true }
) -> Rule? {
  var first: Int?
  for place in entries.indices where counts(entries[place].rule) {
    if let first, entries[first].rank >= entries[place].rank { continue }
    first = place
  }
  return first.map { entries[$0].rule }
}

/// Whether `denials` together take every port of `rule`.
private func isShut(_ rule: Rule, by denials: [Rule]) -> Bool {
  guard denials.contains(where: { $0.traffic == rule.traffic }) else { return false }
  let denied = merged(denials.filter { $0.traffic == rule.traffic }.flatMap(\.ports))
  return merged(rule.ports).allSatisfy { range in
    denied.contains { $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound }
  }
}

import Addressing

/// One line of what a packet filter is told of the rules of `protocol: udp`:
/// the first line that speaks of a packet decides about it.
public struct DatagramGrant: Hashable, Sendable {
  /// The destinations.
  public var prefix: IPPrefix
  /// Their ports.
  public var ports: PortRange
  /// The rule behind it.
  public var rule: Rule

  /// Makes a line.
  public init(prefix: IPPrefix, ports: PortRange, rule: Rule) {
    self.prefix = prefix
    self.ports = ports
    self.rule = rule
  }

  /// Whether it lets a packet pass. A rule that asks stands here as one that does not.
  public var opens: Bool { rule.action == .allow }

  /// Whether the line speaks of a packet.
  public func matches(_ address: IPAddress, _ port: Port) -> Bool {
    prefix.contains(address) && ports.contains(port)
  }
}

/// What one name's answer opens to datagrams.
public struct DatagramOpening: Hashable, Sendable {
  /// An address that the floor admits.
  public var address: IPAddress
  /// The ports.
  public var ports: PortRange
  /// The rule that opens them.
  public var rule: Rule

  /// Makes an opening.
  public init(address: IPAddress, ports: PortRange, rule: Rule) {
    self.address = address
    self.ports = ports
    self.rule = rule
  }
}

extension Policy {
  /// The rules of `protocol: udp` that name addresses, for one agent, in the
  /// order in which `decide` ranks them: what denies, then the more specific.
  ///
  /// The floor is not in it, nor is what a rule may open beneath it
  /// (`allow-private`): whoever carries this out holds every line to both.
  public func datagramGrants(agent: AgentName, at now: Timestamp) -> [DatagramGrant] {
    guard !stop.covers(agent) else { return [] }
    var ranked: [(isDeny: Bool, rank: UInt64, grant: DatagramGrant)] = []
    for (place, rule) in rules.enumerated() where rule.speaksOfDatagrams(of: agent, at: now) {
      for (number, pattern) in rule.to.enumerated() {
        guard case .prefix(let prefix) = pattern else { continue }
        let candidate = Candidate(
          rule: UInt32(place), pattern: UInt32(number), specificity: pattern.specificity)
        let rank = rank(of: candidate, index.facts[place])
        for ports in rule.ports where ports.lower <= ports.upper {
          ranked.append((rule.action == .deny, rank, DatagramGrant(prefix: prefix, ports: ports, rule: rule)))
        }
      }
    }
    ranked.sort { left, right in
      left.isDeny == right.isDeny ? left.rank > right.rank : left.isDeny
    }
    return ranked.map(\.grant)
  }

  /// Whether a name's own addresses are needed because a rule of `protocol:
  /// udp` opens something there: datagrams carry no name.
  public func opensDatagrams(to host: Hostname, agent: AgentName, at now: Timestamp) -> Bool {
    datagramRules(naming: host, agent: agent, at: now).contains { $0.action == .allow }
  }

  /// What an answer opens to datagrams: for every port that some rule speaks
  /// of, what `decide` and `admit` say.
  public func datagramOpenings(
    of host: Hostname, at addresses: [IPAddress], agent: AgentName, floor: Floor, now: Timestamp
  ) -> [DatagramOpening] {
    let spoken = datagramRules(naming: host, agent: agent, at: now)
    guard spoken.contains(where: { $0.action == .allow }) else { return [] }
    return segments(of: spoken.flatMap(\.ports)).flatMap { ports -> [DatagramOpening] in
      let destination = Destination(.name(host), ports.lower, .udp)
      let decision = decide(destination, agent: agent, floor: floor, at: now)
      guard decision.answer == .allow, let rule = decision.rule else { return [] }
      // The floor looks at single ports too: its own listeners and resolvers.
      return admit(addresses, to: destination, under: decision, floor: floor).admitted.map {
        DatagramOpening(address: $0, ports: ports, rule: rule)
      }
    }
  }

  private func datagramRules(naming host: Hostname, agent: AgentName, at now: Timestamp) -> [Rule] {
    guard !stop.covers(agent) else { return [] }
    var found: [Rule] = []
    forEachRule(naming: host, agent: agent, at: now) { _, rule in
      if rule.traffic == .udp { found.append(rule) }
    }
    return found
  }
}

extension Rule {
  fileprivate func speaksOfDatagrams(of agent: AgentName, at now: Timestamp) -> Bool {
    traffic == .udp && agents?.contains(agent) ?? true && !hasExpired(at: now)
  }
}

/// Cuts ranges where any of them begins or ends: within one piece, all rules
/// speak of every port or of none.
private func segments(of ranges: [PortRange]) -> [PortRange] {
  var cuts: Set<Int> = []
  for range in merged(ranges) { cuts.formUnion([range.lowerBound, range.upperBound + 1]) }
  for range in ranges where range.lower <= range.upper {
    cuts.formUnion([Int(range.lower.number), Int(range.upper.number) + 1])
  }
  let sorted = cuts.sorted()
  return zip(sorted, sorted.dropFirst()).compactMap { start, end in
    guard ranges.contains(where: { Int($0.lower.number) <= start && start <= Int($0.upper.number) }),
      let first = UInt16(exactly: start), let last = UInt16(exactly: end - 1), let lower = Port(first),
      let upper = Port(last)
    else { return nil }
    return PortRange(lower, upper)
  }
}

import Addressing
import Audit
import Policy
import PolicyFile

/// What rules are alike enough to be one: everything but the hosts.
private struct EntryKey: Hashable {
  var domain: String
  var agents: Set<AgentName>
  var port: Port
  var traffic: TrafficProtocol
  var methods: Set<String>
  var recordTypes: Set<String>
}

/// Makes rules of needs.
struct EntryMaker {
  /// Whether the policy knows agents, so that a rule must say whom it speaks of.
  let namesAgents: Bool
  let observation: Observation
  /// Registered domains that the policy or a ready-made list knows.
  let knownDomains: Set<String>
  private(set) var takenIDs: Set<String>

  init(namesAgents: Bool, observation: Observation, knownDomains: Set<String>, takenIDs: Set<String>) {
    (self.namesAgents, self.observation) = (namesAgents, observation)
    (self.knownDomains, self.takenIDs) = (knownDomains, takenIDs)
  }

  /// The rules for `needs`, the riskiest first.
  mutating func entries(for needs: [Need: Evidence]) -> [SuggestedEntry] {
    var groups: [EntryKey: [Host: Evidence]] = [:]
    for (place, evidence) in joined(needs) {
      groups[place.key, default: [:]][place.host, default: Evidence()] = evidence
    }
    let sorted = groups.sorted {
      "\($0.key.domain) \($0.key.port) \($0.key)" < "\($1.key.domain) \($1.key.port) \($1.key)"
    }
    let entries = sorted.flatMap { self.entries($0.key, $0.value) }
    return entries.enumerated().sorted { ($1.element.risk, $0.offset) < ($0.element.risk, $1.offset) }.map(
      \.element)
  }

  private struct Place: Hashable {
    var key: EntryKey
    var host: Host
  }

  /// One place for each host, port and protocol, with all agents that need it.
  private func joined(_ needs: [Need: Evidence]) -> [Place: Evidence] {
    struct Spot: Hashable {
      var host: Host
      var port: Port
      var traffic: TrafficProtocol
      var methods: Set<String>
      var types: Set<String>
    }
    var spots: [Spot: (agents: Set<AgentName>, evidence: Evidence)] = [:]
    for (need, evidence) in needs {
      let spot = Spot(
        host: need.host, port: need.port, traffic: need.traffic,
        methods: need.traffic == .http ? evidence.nameableMethods ?? [] : [], types: evidence.recordTypes)
      var found = spots[spot] ?? ([], Evidence())
      let isOnlyAsked = evidence.isOnlyAsked && (found.agents.isEmpty || found.evidence.isOnlyAsked)
      found.agents.insert(need.agent)
      found.evidence.merge(evidence)
      found.evidence.isOnlyAsked = isOnlyAsked
      spots[spot] = found
    }
    return Dictionary(
      uniqueKeysWithValues: spots.map { spot, found in
        let key = EntryKey(
          domain: domain(of: spot.host), agents: namesAgents ? found.agents : [], port: spot.port,
          traffic: spot.traffic, methods: spot.methods, recordTypes: spot.types)
        return (Place(key: key, host: spot.host), found.evidence)
      })
  }

  private func domain(of host: Host) -> String {
    guard case .name(let name) = host else { return "\(host)" }
    return (registeredDomain(of: name) ?? name).text
  }

  /// The most hosts of one rule, beside those that its wildcards stand for.
  static let hostLimit = 256

  /// One rule, or as many as it takes.
  private mutating func entries(_ key: EntryKey, _ hosts: [Host: Evidence]) -> [SuggestedEntry] {
    let wildcards = self.wildcards(key, hosts)
    let isCovered = { (host: Host) in
      wildcards.contains { HostPattern.subdomains(of: $0.parent).matches(host) }
    }
    let rest = hosts.filter { !isCovered($0.key) }.sorted { "\($0.key)" < "\($1.key)" }
    let first = hosts.filter { isCovered($0.key) }.merging(
      rest.prefix(Self.hostLimit).map { ($0.key, $0.value) }
    ) { $1 }
    var entries = [entry(key, first, wildcards)]
    for start in stride(from: Self.hostLimit, to: rest.count, by: Self.hostLimit) {
      let part = rest[start..<min(rest.count, start + Self.hostLimit)]
      entries.append(entry(key, Dictionary(uniqueKeysWithValues: part.map { ($0.key, $0.value) }), []))
    }
    return entries
  }

  private mutating func entry(
    _ key: EntryKey, _ hosts: [Host: Evidence], _ wildcards: [SuggestedEntry.Wildcard]
  ) -> SuggestedEntry {
    var whole = Evidence()
    for evidence in hosts.values { whole.merge(evidence) }
    let rest = hosts.keys.filter { host in
      !wildcards.contains { HostPattern.subdomains(of: $0.parent).matches(host) }
    }
    let to =
      wildcards.map { HostPattern.subdomains(of: $0.parent) }
      + rest.map(\.pattern).sorted { "\($0)" < "\($1)" }
    return SuggestedEntry(
      id: id(key), agents: key.agents.isEmpty ? nil : key.agents.sorted { $0.text < $1.text }, to: to,
      port: key.port,
      traffic: key.traffic, methods: key.methods.sorted(), recordTypes: key.recordTypes.sorted(),
      wildcards: wildcards,
      marks: marks(key, hosts, whole, wildcards), count: whole.count, first: whole.first, last: whole.last,
      bytesOut: whole.bytesOut, bytesIn: whole.bytesIn, layers: whole.layers.map(\.rawValue).sorted(),
      processes: whole.processes.sorted(), questions: whole.questions)
  }

  /// An id that nobody has yet.
  private mutating func id(_ key: EntryKey) -> RuleID {
    let isUsual = key.traffic == .https && key.port == .https || key.traffic == .dns
    let suffix =
      isUsual
      ? key.traffic == .dns ? "-dns" : ""
      : "-\(key.port)" + (key.traffic == .https ? "" : "-\(key.traffic.rawValue)")
    // Room for a suffix and a number; literals of IPv6 stand in brackets, which no id holds.
    let base = "allow-" + key.domain.filter { $0 != "[" && $0 != "]" }.prefix(90) + suffix
    var name = base, number = 1
    while takenIDs.contains(name) || RuleID(name) == nil {
      number += 1
      name = RuleID(base) == nil ? "allow-suggested-\(number)" : "\(base)-\(number)"
    }
    takenIDs.insert(name)
    guard let id = RuleID(name) else { preconditionFailure("the loop ends with an id") }
    return id
  }
}

// MARK: - Wildcards

extension EntryMaker {
  /// How many siblings make a wildcard.
  static let siblings = 3

  /// The wildcards that three or more names justify: directly below one name, which belongs to one party.
  private func wildcards(_ key: EntryKey, _ hosts: [Host: Evidence]) -> [SuggestedEntry.Wildcard] {
    guard key.traffic != .dns, key.traffic != .udp else { return [] }
    var children: [Hostname: [Hostname]] = [:]
    for (host, evidence) in hosts where !evidence.isOnlyAsked && !observation.isInTunnel(host) {
      guard case .name(let name) = host, let parent = name.parent else { continue }
      children[parent, default: []].append(name)
    }
    let justified = children.filter { $0.value.count >= Self.siblings && isOneParty($0.key) }
    return justified.filter { parent, _ in !justified.keys.contains { parent.isBelow($0) } }
      .map { SuggestedEntry.Wildcard(parent: $0.key, siblings: $0.value.sorted { $0.text < $1.text }) }
      .sorted { $0.parent.text < $1.parent.text }
  }

  /// Whether whatever lies below `parent` belongs to whom `parent` belongs to.
  private func isOneParty(_ parent: Hostname) -> Bool {
    registeredDomain(of: parent) != nil && !isSharedSuffix(parent) && !isSharedEdge(parent)
  }
}

// MARK: - What to look at

extension EntryMaker {
  private func marks(
    _ key: EntryKey, _ hosts: [Host: Evidence], _ whole: Evidence, _ wildcards: [SuggestedEntry.Wildcard]
  ) -> [SuggestedEntry.Mark] {
    SuggestedEntry.Mark.allCases.filter { mark in
      switch mark {
      case .tunnel: hosts.keys.contains(where: observation.isInTunnel)
      case .resolver: hosts.keys.contains(where: isResolver)
      case .highBytes: whole.bytesOut >= SuggestedEntry.highBytes
      case .opaque: key.traffic == .tcp
      case .datagrams: key.traffic == .udp
      case .literal: hosts.keys.contains { if case .address = $0 { true } else { false } }
      case .oddPort: key.isOddPort
      case .plain: key.traffic == .http
      case .sharedEdge:
        hosts.keys.contains { if case .name(let name) = $0 { isSharedEdge(name) } else { false } }
      case .wildcard: !wildcards.isEmpty
      case .newDomain: !knownDomains.contains(key.domain)
      case .onlyAsked: hosts.values.contains(where: \.isOnlyAsked)
      }
    }
  }
}

extension EntryKey {
  fileprivate var isOddPort: Bool {
    switch traffic {
    case .https: port != .https
    case .http: port != .http
    case .dns: false
    // SSH is what opaque bytes mostly are.
    case .tcp, .udp: port.number != 22
    }
  }
}

extension Host {
  fileprivate var pattern: HostPattern {
    switch self {
    case .name(let name): .exact(name)
    case .address(let address):
      IPPrefix(address, length: address.isV4 ? 32 : 128).map { .prefix($0) } ?? .anyName
    }
  }
}

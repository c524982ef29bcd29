import Addressing

/// Which upstreams are asked for which names.
public struct UpstreamRoutes: Hashable, Sendable {
  /// Who is asked for a name that no zone holds, in order.
  public let standard: [Upstream]
  /// The zones with upstreams of their own, those with most labels first; never one twice.
  public let zones: [Zone]

  /// A zone and who is asked for its names, in order.
  public struct Zone: Hashable, Sendable {
    /// Its name and all below it.
    public let name: Hostname
    /// At least one.
    public let upstreams: [Upstream]
  }

  /// What is said to a name.
  enum Route: Hashable, Sendable {
    /// These are asked, in this order; at least one.
    case upstreams([Upstream])
    /// It never leaves the host, and does not exist.
    case nowhere
    /// There is nobody to ask.
    case nobody
  }

  /// Makes routes. Several forwards of one zone are tried in their order.
  public init(standard: [Upstream], forwards: [UpstreamForward] = []) {
    self.standard = standard.uniqued
    var names: [Hostname] = []
    for forward in forwards where !names.contains(forward.zone) { names.append(forward.zone) }
    zones = names.map { name in
      Zone(name: name, upstreams: forwards.filter { $0.zone == name }.map(\.upstream).uniqued)
    }.sorted { $0.name.labelCount > $1.name.labelCount }
  }

  /// Every upstream, each once.
  public var all: [Upstream] { (standard + zones.flatMap(\.upstreams)).uniqued }

  /// Where every upstream is.
  public var endpoints: Set<Endpoint> { Set(all.map(\.endpoint)) }

  /// The zone that decides who is asked for `name`: the one with most labels, whole
  /// labels compared; nil for none.
  func zone(of name: Hostname) -> Hostname? {
    zones.first { name == $0.name || name.isBelow($0.name) }?.name
  }

  /// Who is asked for `name`.
  ///
  /// A name of a zone is asked of the zone's upstreams and of no other: it may mean
  /// nothing elsewhere, or tell a stranger what is inside. The same holds for names
  /// that by their definition, or in a cluster, mean this host or site alone.
  func route(of name: Hostname) -> Route {
    if let zone = zones.first(where: { name == $0.name || name.isBelow($0.name) }) {
      return .upstreams(zone.upstreams)
    }
    if SpecialName.staysHome(name) { return .nowhere }
    return standard.isEmpty ? .nobody : .upstreams(standard)
  }
}

extension UpstreamRoutes {
  /// Why nobody is asked for `name`; nil when somebody is.
  func refusal(of name: Hostname) -> ResolveFailure? {
    switch route(of: name) {
    case .upstreams: nil
    case .nowhere: .nameDoesNotExist
    case .nobody: .serverFailure
    }
  }
}

/// Names that no upstream is asked about unless a zone of its own says so.
enum SpecialName {
  /// - Source: RFC 6761 §6.3 (`localhost`), §6.4 (`invalid`); RFC 7686 §2 (`onion`);
  ///   Kubernetes, "DNS for Services and Pods" (`cluster.local`): what is looked up
  ///   there names services of a cluster.
  static func staysHome(_ name: Hostname) -> Bool {
    zones.contains { name == $0 || name.isBelow($0) }
  }

  /// Whether its addresses are those of loopback by its definition (RFC 6761 §6.3).
  static func isThisHost(_ name: Hostname) -> Bool {
    zones.prefix(1).contains { name == $0 || name.isBelow($0) }
  }

  private static let zones = ["localhost", "invalid", "onion", "cluster.local"].compactMap {
    try? Hostname($0)
  }
}

extension [Upstream] {
  /// Each once, in order.
  fileprivate var uniqued: [Upstream] {
    reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}

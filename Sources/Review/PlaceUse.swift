import Addressing
import Audit
import Policy
import PolicyFile

/// What a log tells of a destination that somebody is asked about: who has used it, and what lies beside it.
public struct PlaceUse: Hashable, Sendable {
  /// How often something passed and was blocked.
  public struct Times: Hashable, Sendable {
    /// Decisions to let pass.
    public var passed: UInt64 = 0
    /// Denials, and what audit mode let pass.
    public var blocked: UInt64 = 0

    /// Makes a pair of zeros.
    public init() {}
  }

  /// What the agent itself has of the destination in the log.
  public internal(set) var own = Times()
  /// The same of every other agent that asked for the host, whatever the port, by name.
  public internal(set) var others: [String: Times] = [:]
  /// Other names under its registered domain that agents asked for: what a wildcard would cover too.
  public internal(set) var neighbours: Set<String> = []

  /// Neighbours that are remembered.
  private static let neighbourLimit = 1000

  /// Looks for `host` in the totals of a log.
  public init(of host: Host, for agent: String, in totals: [Tally]) {
    let domain: Hostname? = if case .name(let name) = host { registeredDomain(of: name) } else { nil }
    for tally in totals where tally.kind.event == .decision {
      guard let seen = tally.kind.destination?.host else { continue }
      if seen == host {
        add(tally, isOwn: tally.kind.agent == agent)
      } else if let domain, case .name(let name) = seen, neighbours.count < Self.neighbourLimit,
        name.labels.count >= domain.labels.count, registeredDomain(of: name) == domain
      {
        neighbours.insert(name.text)
      }
    }
  }

  private mutating func add(_ tally: Tally, isOwn: Bool) {
    let who = tally.kind.agent ?? "default"
    var times = isOwn ? own : others[who] ?? Times()
    if tally.kind.isBlocked {
      times.blocked &+= tally.count
    } else if tally.kind.verdict == .allow {
      times.passed &+= tally.count
    }
    if isOwn { own = times } else { others[who] = times }
  }
}

/// What a person should look at before a destination is opened, the riskiest first.
public enum PlaceMarks {
  /// Labels from here on are longer than people make them, in bytes.
  private static let longLabel = TunnelShapes.longLabel

  /// Says it in words.
  ///
  /// - Parameters:
  ///   - addresses: What the name is known to resolve to; empty where nobody looked it up.
  ///   - isKnown: Whether a ready-made list holds the destination.
  public static func words(
    for destination: Destination, method: String?, addresses: [IPAddress], isKnown: Bool
  ) -> [String] {
    name(destination.host) + transport(destination, method)
      + addresses.filter { $0.addressClass != .global }.map {
        "resolves to \($0), which is \($0.addressClass.rawValue)"
      } + (isKnown ? [] : ["no ready-made list knows it"])
  }

  private static func name(_ host: Host) -> [String] {
    var words: [String] = []
    guard case .name(let name) = host else { return ["an address, not a name"] }
    words += ShownName(name.text).warnings
    if isResolver(host) { words.append("answers DNS over https, which carries data out to any name") }
    if isSharedEdge(name) { words.append("machines that many parties share") }
    if name.labels.contains(where: { $0.utf8.count >= longLabel }) {
      words.append("a label as long as data would be")
    }
    return words
  }

  private static func transport(_ destination: Destination, _ method: String?) -> [String] {
    var words: [String] = []
    switch destination.traffic {
    case .tcp: words.append("opaque bytes, nothing is looked at inside")
    case .http: words.append("not encrypted")
    case .https where destination.port != .https: words.append("port \(destination.port) is unusual")
    default: break
    }
    if destination.traffic == .http, destination.port != .http {
      words.append("port \(destination.port) is unusual")
    }
    if let method, !["GET", "HEAD"].contains(method) { words.append("\(method) sends data") }
    return words
  }
}

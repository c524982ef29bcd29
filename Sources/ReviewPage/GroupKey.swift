import Addressing
import Policy
import Review

/// What tells one group of blocked requests from all others, as it stands in an address.
struct GroupKey: Hashable, Sendable {
  var agent: String
  /// nil for requests that named no place that can be read.
  var place: Place?

  struct Place: Hashable, Sendable {
    var host: String
    var port: String
    var traffic: String
  }

  init(_ group: BlockedReport.Group) {
    self.init(agent: group.agent, group)
  }

  private init(agent: String, _ group: BlockedReport.Group) {
    self.agent = agent
    place = group.destination.map {
      Place(host: "\($0.host)", port: "\($0.port)", traffic: $0.traffic.rawValue)
    }
  }

  /// Reads one; nil where the agent or a part of the place is missing.
  init?(_ fields: (String) -> String?) {
    guard let agent = fields("agent") else { return nil }
    self.agent = agent
    switch (fields("host"), fields("port"), fields("protocol")) {
    case (let host?, let port?, let traffic?): place = Place(host: host, port: port, traffic: traffic)
    case (nil, nil, nil): place = nil
    default: return nil
    }
  }

  /// The fields that `init` reads.
  var query: [(name: StaticString, value: String)] {
    guard let place else { return [("agent", agent)] }
    return [
      ("agent", agent), ("host", place.host), ("port", place.port), ("protocol", place.traffic),
    ]
  }

  /// What lets its records through, and few others.
  var filter: RecordFilter {
    var filter = RecordFilter(agent: agent)
    guard let place else { return filter }
    switch try? Host(place.host.utf8) {
    case .name(let name): filter.destination = .exact(name)
    case .address(let address): filter.destination = IPPrefix("\(address)").map { .prefix($0) }
    case nil: break
    }
    return filter
  }

  /// Whether records of this kind belong to the group.
  func holds(_ kind: RecordKind) -> Bool {
    guard kind.isBlocked, kind.agent == agent else { return false }
    let own = kind.destination.map {
      Place(host: "\($0.host)", port: "\($0.port)", traffic: $0.traffic.rawValue)
    }
    return own == place
  }
}

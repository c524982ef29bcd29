import Addressing

/// In which order blocked destinations are shown.
public enum BlockedOrder: String, CaseIterable, Sendable {
  /// By registered domain, the one with the most denials first, and the most frequent first within it.
  case count
  /// The one that was denied last first.
  case last
  /// The one that was denied first first.
  case first
  /// By name: registered domain, host, port, protocol, agent.
  case destination

  /// The groups in this order.
  public func sorted(_ groups: [BlockedReport.Group]) -> [BlockedReport.Group] {
    switch self {
    case .destination: groups.map { ($0.place, $0) }.sorted { $0.0 < $1.0 }.map(\.1)
    case .last: groups.map { ($0.place, $0) }.sorted { ($1.1.last, $0.0) < ($0.1.last, $1.0) }.map(\.1)
    case .first: groups.map { ($0.place, $0) }.sorted { ($0.1.first, $0.0) < ($1.1.first, $1.0) }.map(\.1)
    case .count: byCount(groups)
    }
  }

  private func byCount(_ groups: [BlockedReport.Group]) -> [BlockedReport.Group] {
    var totals: [String: UInt64] = [:]
    for group in groups { totals[group.domain, default: 0] &+= group.count }
    let keyed = groups.map { (total: totals[$0.domain] ?? 0, place: $0.place, group: $0) }
    return keyed.sorted { left, right in
      if left.total != right.total { return left.total > right.total }
      if left.group.domain != right.group.domain { return left.group.domain < right.group.domain }
      if left.group.count != right.group.count { return left.group.count > right.group.count }
      return left.place < right.place
    }.map(\.group)
  }
}

extension BlockedReport.Group {
  /// By what groups are put in order when all else is equal.
  fileprivate var place: String {
    guard let destination else { return "\(domain.isEmpty ? "\u{7f}" : domain) \(fold?.text ?? "") \(agent)" }
    return "\(domain) \(destination.host) \(destination.port) \(destination.traffic.rawValue) \(agent)"
  }
}

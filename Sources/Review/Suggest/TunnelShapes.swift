import Addressing
import Audit
import Policy
import PolicyFile

/// Registered domains below which the names that were asked for look like data: many, long, never twice.
struct TunnelShapes {
  /// In bytes of labels below a domain that differ: what the gate alerts at within a minute (4 KiB).
  static let labelBudget = 4096
  /// From how many bytes on a label is longer than people make them.
  static let longLabel = 32
  /// How many names with such labels are no accident any more.
  static let longNames = 8

  let domains: Set<Hostname>

  init(_ totals: [Tally]) {
    var names: [Hostname: Set<Hostname>] = [:], found: Set<Hostname> = []
    for tally in totals where tally.kind.layer == .dns {
      // So many names of one domain that they were folded.
      if tally.kind.fold?.level == .domain, case .domain(let domain)? = tally.kind.fold?.hosts {
        found.insert(domain)
      }
    }
    for tally in totals where tally.kind.destination?.traffic == .dns {
      guard case .name(let name)? = tally.kind.destination?.host, let domain = registeredDomain(of: name)
      else {
        continue
      }
      names[domain, default: []].insert(name)
      if tally.kind.reason == Reason.dnsBudget.rawValue { found.insert(domain) }
    }
    for (domain, below) in names where Self.isTunnel(below, under: domain) { found.insert(domain) }
    domains = found
  }

  private static func isTunnel(_ names: Set<Hostname>, under domain: Hostname) -> Bool {
    let bytes = names.reduce(0) { $0 + max(0, $1.text.utf8.count - domain.text.utf8.count - 1) }
    let long = names.count { name in name.labels.contains { $0.utf8.count >= longLabel } }
    return bytes >= labelBudget || long >= longNames
  }
}

import Addressing
import Audit
import Policy
import PolicyFile

/// Places that are told of as one, since there are too many of them.
public struct Fold: Hashable, Sendable {
  /// What they have in common, the narrowest first.
  public enum Level: String, CaseIterable, Sendable {
    /// A registered domain, or a network of addresses.
    case domain
    /// What stands above registered domains: a public suffix.
    case suffix
    /// Who asked.
    case agent
    /// Nothing.
    case everything
  }

  /// What they have in common.
  public var level: Level
  /// Which hosts they are; nil for any, and for requests that name none.
  public var hosts: HostPattern?

  /// Makes one.
  public init(_ level: Level, _ hosts: HostPattern? = nil) {
    (self.level, self.hosts) = (level, hosts)
  }

  /// Whether a host under `pattern` may be among them: rather too often yes than once no.
  func overlaps(_ pattern: HostPattern) -> Bool {
    guard let hosts else { return level != .domain && level != .suffix }
    switch (hosts, pattern) {
    case (.anyName, .prefix), (.prefix, .exact), (.prefix, .subdomains), (.prefix, .domain),
      (.prefix, .anyName),
      (.domain, .prefix):
      return false
    case (.domain(let apex), .exact(let name)), (.domain(let apex), .subdomains(let name)),
      (.domain(let apex), .domain(let name)):
      return apex == name || apex.isBelow(name) || name.isBelow(apex)
    case (.prefix(let own), .prefix(let other)):
      return own.contains(other.address) || other.contains(own.address)
    default: return true
    }
  }
}

extension Fold: CustomStringConvertible {
  /// The hosts as a policy writes them; else in words.
  public var description: String {
    switch level {
    case .domain, .suffix: hosts.map { "\($0)" } ?? "no place that can be read"
    case .agent: "all of one agent's places"
    case .everything: "all agents' places"
    }
  }

  /// The registered domain, or the network; nil for all that is wider.
  var domain: String? {
    guard level == .domain, let hosts else { return nil }
    if case .domain(let name) = hosts { return name.text }
    return "\(hosts)"
  }

  /// As it stands in an index; read by `init(text:)`.
  var text: String { "\(level.rawValue) \(hosts.map { "\($0)" } ?? "")" }

  init?(text: String) {
    let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let level = Level(rawValue: String(parts[0])) else { return nil }
    self.level = level
    guard !parts[1].isEmpty else { return }
    guard let hosts = Self.hosts(parts[1]) else { return nil }
    self.hosts = hosts
  }

  private static func hosts(_ text: Substring) -> HostPattern? {
    if text == "*" { return .anyName }
    if text.hasPrefix("**.") { return (try? Hostname(String(text.dropFirst(3)))).map { .domain($0) } }
    return IPPrefix(String(text)).map { .prefix($0) }
  }
}

extension Fold {
  /// In bits, what of an address counts as its network: more than one party is seldom given.
  private static let networkLength = (v4: 16, v6: 32)

  /// The registered domain, or network, of a host.
  static func domain(of host: Host) -> HostPattern? {
    switch host {
    case .name(let name): .domain(registeredDomain(of: name) ?? name)
    case .address(let address):
      IPPrefix(containing: address, length: address.isV4 ? networkLength.v4 : networkLength.v6).map {
        .prefix($0)
      }
    }
  }

  /// What stands above a registered domain or network.
  static func suffix(above domain: HostPattern?) -> HostPattern? {
    switch domain {
    case .domain(let name): name.parent.map { .domain($0) } ?? .anyName
    case .prefix(let block): IPPrefix(containing: block.address, length: 0).map { .prefix($0) }
    default: nil
    }
  }
}

extension RecordKind {
  /// Whether a part of it is what an agent chooses: of the rest there is a bounded number.
  var isChosen: Bool {
    destination != nil || address != nil || recordType != nil || method != nil || process != nil
  }

  /// Whether a rule stands behind it, so that floods of what no rule speaks of must not touch it.
  var isRuled: Bool {
    rule != nil || reason == Reason.allowed.rawValue || reason == Reason.approved.rawValue
  }

  /// The same without what an agent chooses.
  func folded(_ fold: Fold) -> RecordKind {
    var kind = self
    (kind.destination, kind.address, kind.recordType) = (nil, nil, nil)
    (kind.method, kind.process, kind.fold) = (nil, nil, fold)
    if fold.level == .everything { kind.agent = nil }
    return kind
  }
}

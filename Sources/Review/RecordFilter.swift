import Addressing
import Audit
import Policy

/// Which records a person wants to see; a nil field lets all through.
public struct RecordFilter: Hashable, Sendable {
  /// Not older than this.
  public var since: Timestamp?
  /// Of this agent.
  public var agent: String?
  /// To a host under this pattern.
  public var destination: HostPattern?
  /// For this reason, as in the log.
  public var reason: String?
  /// Decided here.
  public var layer: Layer?

  /// Makes a filter.
  public init(
    since: Timestamp? = nil, agent: String? = nil, destination: HostPattern? = nil, reason: String? = nil,
    layer: Layer? = nil
  ) {
    self.since = since
    self.agent = agent
    self.destination = destination
    self.reason = reason
    self.layer = layer
  }

  /// Whether every record passes.
  public var isOpen: Bool { self == RecordFilter() }

  /// Whether a record passes.
  public func admits(_ record: LogRecord) -> Bool {
    admits(record.time)
      && admits(
        agent: record.agent, reason: record.reason, layer: record.layer, destination: record.destination)
  }

  /// Whether records of this kind pass, their time apart.
  public func admits(_ kind: RecordKind) -> Bool {
    admits(agent: kind.agent, reason: kind.reason, layer: kind.layer, destination: kind.destination)
  }

  /// Whether records that were folded may pass: rather too often yes than once no.
  func mayAdmit(_ kind: RecordKind) -> Bool {
    guard let fold = kind.fold else { return admits(kind) }
    if let own = agent, fold.level != .everything, kind.agent != own { return false }
    if let own = reason, kind.reason != own { return false }
    if let own = layer, kind.layer != own { return false }
    return destination.map(fold.overlaps) ?? true
  }

  /// Whether records of this time pass, their kind apart.
  public func admits(_ time: Timestamp?) -> Bool {
    guard let since else { return true }
    return time.map { $0 >= since } ?? false
  }

  private func admits(agent: String?, reason: String?, layer: Layer?, destination: Destination?) -> Bool {
    if let own = self.agent, agent != own { return false }
    if let own = self.reason, reason != own { return false }
    if let own = self.layer, layer != own { return false }
    guard let own = self.destination else { return true }
    return destination.map { own.matches($0.host) } ?? false
  }
}

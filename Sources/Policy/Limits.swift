/// What one agent may use under one rule; nil: no limit.
public struct Limits: Hashable, Sendable {
  /// Connections at the same time.
  public var connections: Int?
  /// Bytes to upstream, all connections together.
  public var bytesOut: UInt64?
  /// Bytes from upstream, all connections together.
  public var bytesIn: UInt64?
  /// How long one connection may last; nil: as long as the gate lets any.
  public var duration: Duration?
  /// Bytes of labels never seen before, per registered domain and minute.
  public var dnsLabels: LabelBudget?

  /// Makes limits.
  public init(
    connections: Int? = nil, bytesOut: UInt64? = nil, bytesIn: UInt64? = nil, duration: Duration? = nil,
    dnsLabels: LabelBudget? = nil
  ) {
    self.connections = connections
    self.bytesOut = bytesOut
    self.bytesIn = bytesIn
    self.duration = duration
    self.dnsLabels = dnsLabels
  }

  /// The longest duration a policy may name, and what `duration: none` stands for: ten years.
  public static let longestDuration = Duration.seconds(3650 * 86_400)

  /// No limit at all.
  public static let none = Limits()
}

/// A rule's own budget for new DNS labels, instead of the built-in one.
public enum LabelBudget: Hashable, Sendable {
  /// So many bytes.
  case bytes(UInt64)
  /// No budget is kept.
  case unlimited
}

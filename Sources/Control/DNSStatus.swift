import Audit
import Policy

/// What answers agents' questions.
public struct DNSStatus: Hashable, Sendable {
  /// What it listens on, over UDP and TCP.
  public var listeners: [String]
  /// Messages that came.
  public var queries: UInt64
  /// Questions that were allowed, and denied.
  public var allowed: UInt64, denied: UInt64
  /// Questions answered from what was remembered.
  public var hits: UInt64
  /// Messages that are no question.
  public var malformed: UInt64
  /// Questions above the rate of their agent: cut short, or not answered.
  public var limited: UInt64, dropped: UInt64
  /// Answers remembered now.
  public var cached: Int
  /// Questions asked upstream, and those under way now.
  public var forwarded: UInt64, underWay: Int
  /// TCP connections open now.
  public var connections: Int
  /// The addresses that stand for names; nil where names have their own.
  public var pool: PoolStatus?
  /// Domains whose new names are denied, as `agent domain`.
  public var suspended: [String]

  /// Makes a status; every part can be filled in later.
  public init(
    listeners: [String] = [], queries: UInt64 = 0, allowed: UInt64 = 0, denied: UInt64 = 0, hits: UInt64 = 0,
    malformed: UInt64 = 0, limited: UInt64 = 0, dropped: UInt64 = 0, cached: Int = 0, forwarded: UInt64 = 0,
    underWay: Int = 0, connections: Int = 0, pool: PoolStatus? = nil, suspended: [String] = []
  ) {
    self.listeners = listeners
    self.queries = queries
    self.allowed = allowed
    self.denied = denied
    self.hits = hits
    self.malformed = malformed
    self.limited = limited
    self.dropped = dropped
    self.cached = cached
    self.forwarded = forwarded
    self.underWay = underWay
    self.connections = connections
    self.pool = pool
    self.suspended = suspended
  }
}

/// The addresses that stand for names.
public struct PoolStatus: Hashable, Sendable {
  /// How many names can have one.
  public var size: Int
  /// How many have.
  public var mapped: Int
  /// How many rest until another name may have them.
  public var resting: Int
  /// How often a name got none.
  public var exhausted: UInt64

  /// Makes a status.
  public init(size: Int, mapped: Int, resting: Int, exhausted: UInt64) {
    self.size = size
    self.mapped = mapped
    self.resting = resting
    self.exhausted = exhausted
  }
}

extension DNSStatus {
  func json(cap: Int) -> JSONValue {
    .object([
      .init("listeners", .array(listeners.prefix(cap).map(text))), .init("queries", count(queries)),
      .init("allowed", count(allowed)), .init("denied", count(denied)), .init("hits", count(hits)),
      .init("malformed", count(malformed)), .init("limited", count(limited)),
      .init("dropped", count(dropped)),
      .init("cached", .integer(Int64(cached))), .init("forwarded", count(forwarded)),
      .init("under_way", .integer(Int64(underWay))), .init("connections", .integer(Int64(connections))),
      .init("pool", pool?.json ?? .null), .init("suspended", .array(suspended.prefix(cap).map(text))),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      listeners: try fields.texts("listeners"), queries: try fields.count("queries"),
      allowed: try fields.count("allowed"), denied: try fields.count("denied"),
      hits: try fields.count("hits"),
      malformed: try fields.count("malformed"), limited: try fields.count("limited"),
      dropped: try fields.count("dropped"), cached: try fields.number("cached"),
      forwarded: try fields.count("forwarded"), underWay: try fields.number("under_way"),
      connections: try fields.number("connections"), suspended: try fields.texts("suspended"))
    if let fields = try fields.fields(ifPresent: "pool") { pool = try PoolStatus(fields) }
  }
}

extension PoolStatus {
  fileprivate var json: JSONValue {
    .object([
      .init("size", .integer(Int64(size))), .init("mapped", .integer(Int64(mapped))),
      .init("resting", .integer(Int64(resting))), .init("exhausted", count(exhausted)),
    ])
  }

  fileprivate init(_ fields: Fields) throws(ControlError) {
    self.init(
      size: try fields.number("size"), mapped: try fields.number("mapped"),
      resting: try fields.number("resting"), exhausted: try fields.count("exhausted"))
  }
}

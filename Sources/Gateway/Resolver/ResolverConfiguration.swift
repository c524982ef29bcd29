import Addressing

/// Whom a resolver asks and what it knows beforehand.
public struct ResolverConfiguration: Sendable {
  /// The upstream resolvers, in the order they are asked. No other is ever asked.
  public var upstreams: [Endpoint]
  /// Names that are never asked upstream.
  public var hosts: HostsFile
  /// Where `hosts` was read from and is read again when it changes; nil: never.
  public var hostsPath: String?
  /// Whether there is an IPv6 way out; without one no AAAA is asked.
  public var ipv6: Bool

  /// Makes a configuration.
  public init(upstreams: [Endpoint], hosts: HostsFile, ipv6: Bool, hostsPath: String? = nil) {
    self.upstreams = upstreams
    self.hosts = hosts
    self.ipv6 = ipv6
    self.hostsPath = hostsPath
  }
}

/// Limits of a resolver.
enum ResolverLimit {
  /// How long one upstream is waited for (DESIGN: two tries of 2 s).
  static let attempt: Duration = .seconds(2)
  /// How many of those may pass in silence, or one per upstream if that is more.
  static let silentAttempts = 2
  /// When a name is given up, whatever happened before.
  static let lookup: Duration = .milliseconds(4500)
  /// How long the second family is waited for once the first is there (RFC 8305 §3).
  static let resolutionDelay: Duration = .milliseconds(50)
  /// Wrong datagrams for one query before it moves to TCP, where nobody can guess along.
  static let mismatches = 8
  /// Aliases behind one another.
  static let chain = 8
  /// Addresses of one name.
  static let addresses = 64
  /// Time to live, in seconds, of whatever came from an upstream.
  static let timeToLive: ClosedRange<UInt32> = 5...3600
  /// How long it is remembered that the upstreams failed (RFC 9520 §3.2: at least 1 s).
  static let failureMemory: Duration = .seconds(1)
  /// Names being resolved at one time.
  static let lookupsInFlight = 1000
  /// Names remembered; with 64 addresses each, some 20 MiB.
  static let cachedNames = 10_000
}

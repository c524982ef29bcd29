import Addressing
import TLSClient

/// Whom a resolver asks and what it knows beforehand.
public struct ResolverConfiguration: Sendable {
  /// Which upstreams are asked for which names. No other is ever asked.
  public var routes: UpstreamRoutes
  /// Whose certificates TLS upstreams may show; nil: none, so that they are never asked.
  public var secure: TLSSettings?
  /// Names that are never asked upstream.
  public var hosts: HostsFile
  /// Where `hosts` was read from and is read again when it changes; nil: never.
  public var hostsPath: String?
  /// Whether there is an IPv6 way out; without one no AAAA is asked.
  public var ipv6: Bool
  /// Names being resolved at one time, each on two sockets at most; 256 if not said otherwise.
  public var lookupsInFlight: Int

  /// Makes a configuration.
  public init(
    routes: UpstreamRoutes, hosts: HostsFile, ipv6: Bool, hostsPath: String? = nil,
    secure: TLSSettings? = nil, lookupsInFlight: Int? = nil
  ) {
    self.routes = routes
    self.secure = secure
    self.hosts = hosts
    self.ipv6 = ipv6
    self.lookupsInFlight = lookupsInFlight ?? ResolverLimit.lookupsInFlight
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
  /// Names being resolved at one time on one loop: at 10 ms an answer, 25,000 a
  /// second, and 512 sockets when every upstream is silent.
  static let lookupsInFlight = 256
  /// Sockets of one lookup: one for each address family, of which TCP takes the place of UDP.
  static let socketsPerLookup = 2
  /// How many of `lookups` one agent may hold: a quarter, so that a flood of
  /// names is its own trouble, and 8 where that is more, which one page asks for.
  static func lookupsPerAgent(of lookups: Int) -> Int { max(lookups / 4, 8) }
  /// Who waits on one loop; some 200 bytes each, and no descriptor.
  static let waiters = 4096
  /// The same of one agent, most of them for one name: a client that opens 1000
  /// connections to it at once.
  static let waitersPerAgent = 1024
  /// Names remembered; with 64 addresses each, some 20 MiB.
  static let cachedNames = 10_000
}

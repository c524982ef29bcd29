import Addressing

/// What a name resolved to.
public struct Resolution: Hashable, Sendable {
  /// At least one, at most 64; IPv6 before IPv4, else as the upstream gave them.
  public var addresses: [IPAddress]
  /// The aliases followed, each once and in order, without the name asked for:
  /// at most 8 for each address family.
  public var chain: [Hostname]
  /// Whether the addresses come from the hosts file, or the name is special.
  public var fromHosts: Bool

  /// Makes a resolution.
  public init(addresses: [IPAddress], chain: [Hostname] = [], fromHosts: Bool = false) {
    self.addresses = addresses
    self.chain = chain
    self.fromHosts = fromHosts
  }
}

/// Why a name did not resolve.
public enum ResolveFailure: Error, Hashable, Sendable {
  /// The name does not exist (NXDOMAIN).
  case nameDoesNotExist
  /// The name exists, but has no address of a family that can be reached.
  case noAddresses
  /// Every upstream refused or failed, or there is none.
  case serverFailure
  /// The agent has as many names in flight as it may: the gate's own limit,
  /// which says nothing about the name.
  case overload
  /// No upstream answered in time.
  case timeout
  /// What the upstreams answered is no answer to the question.
  case badResponse
  /// More than 8 aliases behind one another, or a loop of them.
  case chainTooLong
}

/// What a resolver has done since its start.
public struct ResolverStatistics: Hashable, Sendable {
  /// Names answered from the cache.
  public var cacheHits: UInt64 = 0
  /// Names that upstreams were asked about.
  public var lookups: UInt64 = 0
  /// Names refused because too many were in flight.
  public var overflows: UInt64 = 0
  /// Queries sent over UDP.
  public var datagramQueries: UInt64 = 0
  /// Queries sent over TCP.
  public var streamQueries: UInt64 = 0
  /// Queries sent over TLS.
  public var secureQueries: UInt64 = 0
  /// Datagrams that answered nothing that was asked: wrong sender, id or question.
  public var mismatches: UInt64 = 0
  /// Queries without an answer in time.
  public var timeouts: UInt64 = 0
  /// Answers that say the upstream cannot or will not answer, and connections to it that failed.
  public var upstreamFailures: UInt64 = 0
  /// Answers to the right question that could not be used.
  public var badResponses: UInt64 = 0
  /// Names dropped from the full cache.
  public var evictions: UInt64 = 0

  /// Makes counters at zero.
  public init() {}

  /// Sums the counters of several loops' resolvers.
  public static func + (left: Self, right: Self) -> Self {
    var sum = left
    sum.cacheHits &+= right.cacheHits
    sum.lookups &+= right.lookups
    sum.overflows &+= right.overflows
    sum.datagramQueries &+= right.datagramQueries
    sum.streamQueries &+= right.streamQueries
    sum.secureQueries &+= right.secureQueries
    sum.mismatches &+= right.mismatches
    sum.timeouts &+= right.timeouts
    sum.upstreamFailures &+= right.upstreamFailures
    sum.badResponses &+= right.badResponses
    sum.evictions &+= right.evictions
    return sum
  }
}

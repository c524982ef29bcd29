/// How the descriptors of the process are shared out, so that no client takes
/// those without which a policy cannot be reloaded nor a name be resolved.
///
/// Below `ceiling` is what the gate holds all its life, and the connections.
/// What is above, half of the rest at most, the resolver and the gate itself
/// use for a while: a quarter for lookups, and `work`.
struct DescriptorBudget: Hashable, Sendable {
  /// Open from the start: three streams, the log, its lock, the control
  /// socket, and Dispatch's own.
  private static let standing = 16
  /// An epoll instance, what wakes it, and what Dispatch watches it and the timers with.
  private static let standingPerLoop = 5
  /// For a while: peers of the control socket, the files of a policy (one at a
  /// time), new listeners, the netlink socket of getifaddrs(3), a rotation.
  private static let work = 32
  /// The limit where the kernel does not say: its usual one.
  private static let usualLimit = 1024
  /// Below this no gate is of use, whatever the limit says; the ceiling holds all the same.
  private static let fewestConnections = 16

  /// Lookups in flight on each loop.
  let lookupsPerLoop: Int
  /// The first descriptor that connections and pipes do not get.
  let ceiling: Int
  /// Connections at one time, each with its client and its upstream. What else
  /// they use for a while, pipes and second attempts to connect, ends at the
  /// ceiling: a pipe is done without, and an attempt fails.
  let connections: Int

  /// - Parameters:
  ///   - limit: RLIMIT_NOFILE; 0 when it is not known.
  ///   - loops: At least 1.
  ///   - listeners: Those of the policy the gate starts with.
  ///   - resolvers: Those to which each loop keeps a connection.
  init(limit: Int, loops: Int, listeners: Int, resolvers: Int = 0) {
    let limit = limit > 0 ? limit : Self.usualLimit, sockets = ResolverLimit.socketsPerLookup
    let standing = Self.standing + (Self.standingPerLoop + resolvers) * loops + listeners
    let free = max(limit - standing, 0)
    lookupsPerLoop = min(max(free / 4 / sockets / loops, 1), ResolverLimit.lookupsInFlight)
    ceiling = limit - min(lookupsPerLoop * sockets * loops + Self.work, free / 2)
    connections = max((ceiling - standing) / 2, Self.fewestConnections)
  }
}

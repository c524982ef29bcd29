import CNetfilter
import Glibc

/// The routing of captured packets: a rule by their mark, and a table in which
/// every address is this host's own. The same as, for both families,
/// `ip rule add fwmark 0x45670001 lookup 17767 priority 17767` and
/// `ip route add local default dev lo table 17767`.
///
/// Without it nothing opens: what was captured is then routed like any other
/// packet, and the gateway's table forwards none of it. The routing table is
/// ours alone: with another route in it, what was captured would go elsewhere.
///
/// Not thread-safe.
public final class PolicyRouting {
  /// The number of the routing table and of the rule, which stands before the main table's (32766).
  public static let table: UInt32 = 0x4567

  /// The same as ip(8) is told it.
  public static let commands = ["", "-6 "].flatMap { family in
    [
      "ip \(family)route add local default dev lo table \(table)",
      "ip \(family)rule add fwmark \(GatewayTable.captureMark) lookup \(table) priority \(table)",
    ]
  }

  private let netlink: Netlink
  private let loopback: UInt32
  private let families: [Int32]

  /// Opens its socket, in the network namespace of the calling thread.
  ///
  /// - Parameter withIPv6: Whether there is IPv6.
  public init(withIPv6: Bool) throws(NetfilterError) {
    netlink = try Netlink(NETLINK_ROUTE)
    loopback = if_nametoindex("lo")
    families = withIPv6 ? [AF_INET, AF_INET6] : [AF_INET]
  }

  /// Adds what is missing.
  ///
  /// - Returns: Whether anything was.
  /// - Throws: `occupied` where the routing table holds a route that is not ours; it stays as it is.
  public func ensure() throws(NetfilterError) -> Bool {
    var wasMissing = false
    for family in families {
      try check(family)
      for object in Object.allCases where try add(object, family) { wasMissing = true }
    }
    return wasMissing
  }

  /// Takes all of it away.
  ///
  /// - Returns: Whether anything was there.
  public func remove() throws(NetfilterError) -> Bool {
    var wasThere = false
    for family in families {
      for object in Object.allCases where try delete(object, family) { wasThere = true }
    }
    return wasThere
  }

  private enum Object: CaseIterable {
    case route, rule

    var words: String { self == .route ? "the route of captured packets" : "the routing rule" }
  }

  private func check(_ family: Int32) throws(NetfilterError) {
    let routes = try netlink.routes(of: Self.table, family)
    guard routes.contains(where: { !$0.isLocalDefault(by: loopback) }) else { return }
    throw NetfilterError(
      "add \(Object.route.words)",
      .occupied("ip \(family == AF_INET6 ? "-6 " : "")route show table \(Self.table)"))
  }

  /// - Returns: Whether it was missing. A rule that is there is the same in all that the kernel compares; a
  ///   route need not be, so routes are looked at before.
  private func add(_ object: Object, _ family: Int32) throws(NetfilterError) -> Bool {
    do {
      try perform(
        object == .route ? RTM_NEWROUTE : RTM_NEWRULE, object, family, "add \(object.words)",
        flags: NLM_F_CREATE | NLM_F_EXCL)
      return true
    } catch {
      guard error.problem == .other(EEXIST) else { throw error }
      return false
    }
  }

  /// - Returns: Whether it was there.
  private func delete(_ object: Object, _ family: Int32) throws(NetfilterError) -> Bool {
    do {
      try perform(
        object == .route ? RTM_DELROUTE : RTM_DELRULE, object, family, "remove \(object.words)", flags: 0)
      return true
    } catch {
      // ESRCH: no such route.
      guard [.absent, .other(ESRCH), .unsupported].contains(error.problem) else { throw error }
      return false
    }
  }

  private func perform(
    _ type: Int, _ object: Object, _ family: Int32, _ operation: String, flags: Int32
  ) throws(NetfilterError) {
    let sequence = netlink.nextSequence()
    var request = Request(
      type: type, header: object == .route ? Self.routeHeader(family) : Self.ruleHeader(family),
      flags: flags | NLM_F_ACK, sequence: sequence)
    switch object {
    case .route:
      request.put(Int(RTA_TABLE.rawValue), hostOrder(Self.table))
      request.put(Int(RTA_OIF.rawValue), hostOrder(loopback))
    case .rule:
      request.put(Int(FRA_PRIORITY), hostOrder(Self.table))
      request.put(Int(FRA_FWMARK), hostOrder(GatewayTable.captureMark))
      request.put(Int(FRA_FWMASK), hostOrder(.max))
      request.put(Int(FRA_TABLE), hostOrder(Self.table))
    }
    try netlink.request(request.bytes, sequence: sequence, operation) { _ in }
  }

  /// Family, both prefix lengths and the service 0; table 0 (RT_TABLE_UNSPEC: as the attribute says), protocol 4
  /// (RTPROT_STATIC), scope 254 (RT_SCOPE_HOST), type 2 (RTN_LOCAL), flags 0.
  ///
  /// - Source: `struct rtmsg` in linux/rtnetlink.h.
  private static func routeHeader(_ family: Int32) -> [UInt8] {
    [UInt8(family), 0, 0, 0, 0, 4, 254, 2, 0, 0, 0, 0]
  }

  /// Family, three times 0, table 0, two reserved, action 1 (FR_ACT_TO_TBL), flags 0.
  ///
  /// - Source: `struct fib_rule_hdr` in linux/fib_rules.h.
  private static func ruleHeader(_ family: Int32) -> [UInt8] {
    [UInt8(family), 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
  }
}

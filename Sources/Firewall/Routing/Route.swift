import CNetfilter
import Glibc

/// What of a route tells whether it is the one that delivers captured packets.
struct Route: Hashable {
  /// In bits; 0 for a default route.
  var prefixLength: UInt8
  /// `RTN_*`: 1 (RTN_UNICAST) leads on, 2 (RTN_LOCAL) delivers here.
  var type: UInt8
  /// The device that it leads to; nil where it has several, or none.
  var device: UInt32?
  /// Whether it leads to another host.
  var hasGateway: Bool

  /// As `local default dev lo` is.
  func isLocalDefault(by loopback: UInt32) -> Bool {
    prefixLength == 0 && type == 2 && device == loopback && !hasGateway
  }

  /// - Returns: nil for a route of another table, and for bytes that are too few.
  /// - Source: `struct rtmsg` in linux/rtnetlink.h.
  init?(_ message: ArraySlice<UInt8>, of table: UInt32) {
    // The header of 16 bytes, then family, both prefix lengths, service, table, origin, scope, type, flags (4).
    guard message.count >= 28 else { return nil }
    let body = Array(message.dropFirst(16)), attributes = Attributes(message.dropFirst(28))
    guard attributes.hostNumber(Int(RTA_TABLE.rawValue)) == table else { return nil }
    (prefixLength, type) = (body[1], body[7])
    device = attributes.hostNumber(Int(RTA_OIF.rawValue))
    hasGateway = [RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH].contains { attributes[Int($0.rawValue)] != nil }
  }
}

extension Netlink {
  /// The routes of one table and family. The kernel tells of that table alone where it can (Linux 4.20), and else of all.
  func routes(of table: UInt32, _ family: Int32) throws(NetfilterError) -> [Route] {
    var isStrict: Int32 = 1
    setsockopt(
      descriptor, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &isStrict, socklen_t(MemoryLayout<Int32>.size))
    let sequence = nextSequence()
    var message = Request(
      type: RTM_GETROUTE, header: [UInt8(family)] + [UInt8](repeating: 0, count: 11), flags: NLM_F_DUMP,
      sequence: sequence)
    message.put(Int(RTA_TABLE.rawValue), hostOrder(table))
    var routes: [Route] = []
    do {
      try request(message.bytes, sequence: sequence, "list the routes of table \(table)") { message in
        if let route = Route(Array(message.bytes)[...], of: table) { routes.append(route) }
      }
    } catch {
      // A table without routes is none; without IPv6 there are none of that.
      guard [.absent, .other(ESRCH), .unsupported].contains(error.problem) else { throw error }
    }
    return routes
  }
}

extension Attributes {
  /// The number in host order that the first attribute of a type holds.
  fileprivate func hostNumber(_ type: Int) -> UInt32? {
    self[type].flatMap { $0.count >= 4 ? $0.hostOrder(at: 0) : nil }
  }
}

import Addressing
import CNetfilter
import Glibc

/// A flow that connection tracking knows.
public struct TrackedFlow: Hashable, Sendable {
  /// Who began it, and to whom, before any translation.
  public var source: IPAddress
  public var destination: IPAddress
  /// The IP protocol number.
  public var transport: UInt8
  /// nil for protocols without ports.
  public var sourcePort: UInt16?
  public var destinationPort: UInt16?
  public var mark: UInt32
  /// Names the entry; one that is made later for the same flow has another.
  var id: UInt32
  /// The original direction and the zone as the kernel wrote them, to be echoed.
  var tuple: [UInt8]
  var zone: [UInt8]?
}

/// Reads and deletes entries of connection tracking, IPv4 and IPv6 alike.
///
/// Not thread-safe.
public final class ConntrackSocket {
  private let netlink: Netlink

  /// Opens the socket in the network namespace of the calling thread.
  public init() throws(NetfilterError) {
    netlink = try Netlink()
    netlink.reserve(receiving: 1 << 20)
  }

  public var descriptor: Int32 { netlink.descriptor }

  /// The flows there are.
  ///
  /// - Parameter mark: Only those with this `ct mark`; nil for all.
  public func flows(mark: UInt32? = nil) throws(NetfilterError) -> [TrackedFlow] {
    let flows = try netlink.dump(
      subsystem: NFNL_SUBSYS_CTNETLINK, message: IPCTNL_MSG_CT_GET.rawValue, family: UInt8(AF_UNSPEC),
      "list tracked flows",
      filter: { request in
        guard let mark else { return }
        request.put(Int(CTA_MARK.rawValue), mark)
        request.put(Int(CTA_MARK_MASK.rawValue), UInt32.max)
      }
    ) { message in TrackedFlow(message.attributes).map { [$0] } ?? [] }
    // A kernel that does not filter gives all of them.
    return mark.map { mark in flows.filter { $0.mark == mark } } ?? flows
  }

  /// Deletes the flows with a mark. Packets of them that still come are new
  /// flows to the kernel, which the tables judge as such.
  ///
  /// - Returns: How many were deleted; those that ended meanwhile are not counted.
  @discardableResult
  public func delete(mark: UInt32) throws(NetfilterError) -> Int { try delete(marks: [mark]) }

  /// The same for many marks, in one walk through all flows however many marks there are.
  @discardableResult
  public func delete(marks: Set<UInt32>) throws(NetfilterError) -> Int {
    guard let one = marks.first else { return 0 }
    var count = 0
    for flow in try flows(mark: marks.count == 1 ? one : nil) where marks.contains(flow.mark) {
      if try delete(flow) { count += 1 }
    }
    return count
  }

  private func delete(_ flow: TrackedFlow) throws(NetfilterError) -> Bool {
    let family = UInt8(flow.source.isV4 ? AF_INET : AF_INET6)
    do {
      try netlink.perform(
        subsystem: NFNL_SUBSYS_CTNETLINK, message: IPCTNL_MSG_CT_DELETE.rawValue, family: family,
        "delete a tracked flow"
      ) { request in
        request.put(Int(CTA_TUPLE_ORIG.rawValue), flow.tuple, isNested: true)
        request.put(Int(CTA_ID.rawValue), flow.id)
        if let zone = flow.zone { request.put(Int(CTA_ZONE.rawValue), zone) }
      }
      return true
    } catch  where error.problem == .absent { return false }
  }
}

extension TrackedFlow {
  /// - Returns: nil when the entry has no addresses or no number.
  init?(_ entry: Attributes) {
    let tuple = entry.nested(Int(CTA_TUPLE_ORIG.rawValue))
    let ip = tuple.nested(Int(CTA_TUPLE_IP.rawValue)), proto = tuple.nested(Int(CTA_TUPLE_PROTO.rawValue))
    guard let raw = entry[Int(CTA_TUPLE_ORIG.rawValue)], let id: UInt32 = entry.number(Int(CTA_ID.rawValue)),
      let source = ip.address(CTA_IP_V4_SRC, CTA_IP_V6_SRC),
      let destination = ip.address(CTA_IP_V4_DST, CTA_IP_V6_DST),
      let transport: UInt8 = proto.number(Int(CTA_PROTO_NUM.rawValue))
    else { return nil }
    self.source = source
    self.destination = destination
    self.transport = transport
    sourcePort = proto.number(Int(CTA_PROTO_SRC_PORT.rawValue))
    destinationPort = proto.number(Int(CTA_PROTO_DST_PORT.rawValue))
    mark = entry.number(Int(CTA_MARK.rawValue)) ?? 0
    self.id = id
    self.tuple = Array(raw)
    zone = entry[Int(CTA_ZONE.rawValue)].map(Array.init)
  }
}

extension Attributes {
  fileprivate func address(_ v4: ctattr_ip, _ v6: ctattr_ip) -> IPAddress? {
    (self[Int(v4.rawValue)] ?? self[Int(v6.rawValue)]).flatMap { IPAddress(networkOrder: $0) }
  }
}

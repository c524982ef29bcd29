import CNetfilter
import Glibc

/// A network device, as the kernel lists it.
public struct NetworkLink: Hashable, Sendable {
  public var name: String
  /// Its number. Once the device is gone, another that is made or moved in may get the same: see `LinkWatch`.
  public var index: UInt32
  public var isUp: Bool
  /// The number of the bridge or bond that it is a port of; nil where it is none.
  public var master: UInt32?

  public init(_ name: String, index: UInt32, isUp: Bool = true, master: UInt32? = nil) {
    (self.name, self.index, self.isUp, self.master) = (name, index, isUp, master)
  }

  /// All devices of the calling thread's network namespace.
  public static func all() throws(NetfilterError) -> [NetworkLink] { try Netlink(NETLINK_ROUTE).links() }

  /// - Returns: nil when it has no name, or the bytes are too few.
  init?(_ message: ArraySlice<UInt8>) {
    // The header of 16 bytes, then family, kind (2), number (4), flags (4), change mask (4).
    guard message.count >= 32 else { return nil }
    let attributes = Attributes(message.dropFirst(32))
    guard let name = attributes.text(Int(IFLA_IFNAME)) else { return nil }
    self.init(
      name, index: message.hostOrder(at: 20), isUp: (message.hostOrder(at: 24) as UInt32) & 1 != 0,  // IFF_UP
      master: attributes[Int(IFLA_MASTER)].flatMap { $0.count >= 4 ? $0.hostOrder(at: 0) : nil })
  }
}

extension Netlink {
  /// All devices of the socket's network namespace; asked again when one changed meanwhile.
  ///
  /// - Source: rtnetlink(7), RTM_GETLINK; `struct ifinfomsg` in linux/rtnetlink.h.
  func links() throws(NetfilterError) -> [NetworkLink] {
    var attempts = 0
    while true {
      attempts += 1
      let sequence = nextSequence()
      let header = [UInt8](repeating: 0, count: MemoryLayout<ifinfomsg>.size)
      let message = Request(type: RTM_GETLINK, header: header, flags: NLM_F_DUMP, sequence: sequence)
      var links: [NetworkLink] = []
      do {
        try request(message.bytes, sequence: sequence, "list network devices") { message in
          if let link = NetworkLink(Array(message.bytes)[...]) { links.append(link) }
        }
        return links
      } catch  where error.problem == .disturbed && attempts < 10 { continue }
    }
  }
}

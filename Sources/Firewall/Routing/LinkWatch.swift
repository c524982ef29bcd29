import CNetfilter
import Glibc

/// Tells of network devices that come, change and go, in that order.
///
/// A number names a device only as long as nobody has told that it went:
/// another that is made or moved in may get the same one, and the same name.
///
/// Not thread-safe. Whoever owns a loop calls `receive` whenever `descriptor` is readable.
public final class LinkWatch {
  /// What became of a device.
  public enum Change: Hashable, Sendable {
    /// It is there, and this is how: made, moved in, renamed, set up or down,
    /// made the port of another or none.
    case present(NetworkLink)
    /// It is there no more: deleted, or moved to another namespace.
    case absent(NetworkLink)
  }

  /// What one read gave.
  public struct Report: Hashable, Sendable {
    public var changes: [Change]
    /// Changes were lost: which device is which, nobody knows now. `links` says what there is.
    public var isOverrun: Bool
    public var isEmpty: Bool { changes.isEmpty && !isOverrun }

    public init(_ changes: [Change] = [], isOverrun: Bool = false) {
      (self.changes, self.isOverrun) = (changes, isOverrun)
    }
  }

  /// Room for more than a thousand changes (in bytes) while nobody reads, which is two seconds at most: a keeper
  /// that hangs for longer is given up.
  private static let room: Int32 = 2 << 20

  private let netlink: Netlink
  /// For lists, so that no answer stands between the changes.
  private let lister: Netlink

  /// Listens in the network namespace of the calling thread: what happens from
  /// now on is told, so devices are listed after it.
  ///
  /// - Source: rtnetlink(7), RTNLGRP_LINK.
  public init() throws(NetfilterError) {
    netlink = try Netlink(NETLINK_ROUTE, groups: 1 << (RTNLGRP_LINK.rawValue - 1))
    netlink.reserve(receiving: Self.room)
    lister = try Netlink(NETLINK_ROUTE)
  }

  /// Readable when something has changed.
  public var descriptor: Int32 { netlink.descriptor }

  /// All that it has open.
  public var descriptors: [Int32] { [netlink.descriptor, lister.descriptor] }

  /// Reads what is there, up to a bound, without waiting.
  public func receive() -> Report {
    var report = Report()
    let reception = netlink.receiveAll { header in
      if let change = Change(header) { report.changes.append(change) }
    }
    if case .failed = reception { report.isOverrun = true }
    return report
  }

  /// All devices there are, in the namespace that is listened to.
  public func links() throws(NetfilterError) -> [NetworkLink] { try lister.links() }
}

extension LinkWatch.Change {
  /// - Returns: nil for a message that is about no device as such. A bridge
  ///   tells of its ports in the same words, as of another family.
  fileprivate init?(_ header: UnsafePointer<nlmsghdr>) {
    let bytes = Array(header.bytes)
    guard bytes.count > 16, Int32(bytes[16]) == AF_UNSPEC, let link = NetworkLink(bytes[...]) else {
      return nil
    }
    switch Int(header.type) {
    case Int(RTM_NEWLINK): self = .present(link)
    case Int(RTM_DELLINK): self = .absent(link)
    default: return nil
    }
  }
}

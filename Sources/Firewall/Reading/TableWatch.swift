import CNetfilter
import Glibc

/// Tells when somebody else changes our tables.
///
/// Not thread-safe. Whoever owns a loop calls `receive` whenever `descriptor` is readable.
public final class TableWatch {
  /// What somebody did.
  public struct Change: Hashable, Sendable {
    public var table: TableName
    public var object: Object
    public var isDeletion: Bool
    /// The netlink port of who did it; the process's number for most programs.
    public var portID: UInt32
  }

  public enum Object: String, Hashable, Sendable {
    case table, chain, rule, set, element
  }

  /// What one read gave.
  public struct Report: Hashable, Sendable {
    public var changes: [Change] = []
    /// Notices were lost: the tables may have been changed in any way.
    public var isOverrun = false
    public var isEmpty: Bool { changes.isEmpty && !isOverrun }
  }

  private let netlink: Netlink
  private let tables: Set<TableName>
  private let ownPorts: Set<UInt32>

  /// Listens in the network namespace of the calling thread.
  ///
  /// - Parameter ownPorts: Whose changes are ours: `NetfilterSocket.portID`.
  public init(tables: [TableName], ownPorts: Set<UInt32>) throws(NetfilterError) {
    netlink = try Netlink(groups: 1 << UInt32(NFNLGRP_NFTABLES.rawValue - 1))
    netlink.reserve(receiving: 1 << 20)
    self.tables = Set(tables)
    self.ownPorts = ownPorts
  }

  public var descriptor: Int32 { netlink.descriptor }

  /// Reads what is there, up to a bound, without waiting.
  public func receive() -> Report {
    var report = Report()
    let reception = netlink.receiveAll { header in
      guard let message = NetlinkMessage(header), message.subsystem == Int(NFNL_SUBSYS_NFTABLES),
        !ownPorts.contains(message.portID), let change = Change(message), tables.contains(change.table)
      else { return }
      report.changes.append(change)
    }
    if case .failed = reception { report.isOverrun = true }
    return report
  }
}

extension TableWatch.Change {
  /// - Returns: nil for a message about nothing that is in a table. The name of
  ///   the table is the first attribute of all of these.
  fileprivate init?(_ message: NetlinkMessage) {
    guard let family = Family(number: UInt32(message.family)), let name = message.attributes.text(1),
      let (object, isDeletion) = Self.meaning(UInt32(message.number))
    else { return nil }
    self.init(
      table: TableName(family, name), object: object, isDeletion: isDeletion, portID: message.portID)
  }

  private static func meaning(_ number: UInt32) -> (TableWatch.Object, Bool)? {
    switch nf_tables_msg_types(rawValue: number) {
    case NFT_MSG_NEWTABLE: (.table, false)
    case NFT_MSG_DELTABLE: (.table, true)
    case NFT_MSG_NEWCHAIN: (.chain, false)
    case NFT_MSG_DELCHAIN: (.chain, true)
    case NFT_MSG_NEWRULE: (.rule, false)
    case NFT_MSG_DELRULE: (.rule, true)
    case NFT_MSG_NEWSET: (.set, false)
    case NFT_MSG_DELSET: (.set, true)
    case NFT_MSG_NEWSETELEM: (.element, false)
    case NFT_MSG_DELSETELEM: (.element, true)
    default: nil
    }
  }
}

import CNetfilter
import Glibc

/// How a table is tied to the process that made it.
public enum Ownership: Hashable, Sendable {
  /// Nobody else may change or delete it while the socket is open; it stays,
  /// free to be claimed, when the socket closes. Linux 6.9 and later.
  case ownedPersistent
  /// Whoever has CAP_NET_ADMIN may change or delete it at any time.
  case plain

  /// - Source: `NFT_TABLE_F_OWNER` (2), `NFT_TABLE_F_PERSIST` (4) in linux/netfilter/nf_tables.h.
  var flags: UInt32 { self == .ownedPersistent ? 6 : 0 }
}

/// The one socket that makes, fills and owns this instance's tables.
///
/// Ownership lasts as long as the object: keep it for the life of the process.
/// Not thread-safe, and no call waits for anything but the kernel's answer,
/// which comes within the system call.
public final class NetfilterSocket {
  let netlink: Netlink
  /// What was last installed, by name: what a refill has to take away.
  private var installed: [TableName: Table] = [:]

  /// Opens the socket in the network namespace of the calling thread.
  ///
  /// - Throws: `NetfilterError` of `notPermitted` or another kind.
  public init() throws(NetfilterError) {
    netlink = try Netlink()
    netlink.reserve(sending: 1 << 20, receiving: 1 << 20)
  }

  /// Takes over the descriptor of one that was opened in another network namespace.
  public init(adopting descriptor: Int32) throws(NetfilterError) {
    netlink = try Netlink(adopting: descriptor)
  }

  /// The socket, for a seccomp filter or a test; reads and writes are this class's own.
  public var descriptor: Int32 { netlink.descriptor }

  /// The number that owns the tables; what `TableWatch` takes as ours.
  public var portID: UInt32 { netlink.portID }

  /// Makes all tables anew, in one batch: a table of the same name is taken
  /// over with the same batch, also one that a crash left behind.
  ///
  /// - Throws: `ownedByAnother` when a running process has one of them;
  ///   `unsupported` when the kernel knows no such flags or expressions. Then
  ///   nothing has changed.
  public func claim(_ tables: [Table], ownership: Ownership = .ownedPersistent) throws(NetfilterError) {
    do {
      try install(tables, ownership, takingOver: ownership)
    } catch  where error.problem == .unsupported {
      // A table with other flags cannot change them: name it as it may be, then delete it.
      try install(tables, ownership, takingOver: ownership == .plain ? .ownedPersistent : .plain)
    }
    for table in tables { installed[table.name] = table }
  }

  private func install(
    _ tables: [Table], _ ownership: Ownership, takingOver: Ownership
  ) throws(NetfilterError) {
    var batch = netlink.newBatch()
    for table in tables {
      batch.addTable(table.name, flags: takingOver.flags)
      batch.deleteTable(table.name)
      batch.addTable(table.name, flags: ownership.flags)
      try batch.fill(table, counters: table.counters)
    }
    try netlink.commit(batch)
  }

  /// Replaces rules, chains and the elements of all but the learned sets, in
  /// one batch: between two packets, and with the table never open. A chain
  /// that counts flows stays as it is where it is to be the same, and so does its count.
  ///
  /// - Throws: `absent` when the table is gone; then `claim` is the way.
  public func refill(_ table: Table) throws(NetfilterError) {
    var batch = netlink.newBatch()
    let previous = installed[table.name]
    // A base and a set's shape cannot change: what differs in them is made anew.
    let oldChains = (previous?.chains ?? []).filter { old in
      !table.chains.contains { $0.name == old.name && $0.base == old.base }
    }
    let oldSets = (previous?.sets ?? []).filter { old in !table.sets.contains { $0.hasShape(of: old) } }
    let counting = Set(
      (previous?.chains ?? []).filter { $0.countsFlows && table.chains.contains($0) }.map(\.name))
    for chain in previous?.chains ?? table.chains where !counting.contains(chain.name) {
      batch.flushChain(chain.name, of: table.name)
    }
    for set in previous?.sets ?? table.sets where !set.hasTimeout && !oldSets.contains(set) {
      batch.flushSet(set.name, of: table.name)
    }
    for chain in oldChains { batch.deleteChain(chain.name, of: table.name) }
    for set in oldSets { batch.deleteSet(set.name, of: table.name) }
    let counters = table.counters.filter { previous?.counters.contains($0) != true }
    try batch.fill(table, counters: counters, leaving: counting)
    try netlink.commit(batch)
    installed[table.name] = table
  }

  /// Adds elements and returns when the kernel has them. An element that is
  /// there already gets the new timeout, counted from now; one of a map that
  /// is there with other data is an error (`.other(EEXIST)`).
  public func add(_ elements: [Element], to set: NFSet, of table: TableName) throws(NetfilterError) {
    var batch = netlink.newBatch()
    try batch.addElements(elements, to: set, of: table)
    try netlink.commit(batch)
  }

  /// Deletes elements, all or none.
  ///
  /// - Throws: `absent` when one is not there, as one that timed out.
  public func delete(_ elements: [Element], of set: NFSet, in table: TableName) throws(NetfilterError) {
    var batch = netlink.newBatch()
    try batch.deleteElements(elements, of: set, in: table)
    try netlink.commit(batch)
  }

  /// Deletes a table that no running process owns.
  ///
  /// - Throws: `ownedByAnother` for one that is owned, `absent` for none.
  public func remove(_ table: TableName) throws(NetfilterError) {
    var batch = netlink.newBatch()
    batch.deleteTable(table)
    try netlink.commit(batch)
    installed[table] = nil
  }
}

extension Batch {
  /// Adds all of a table but the table itself; what is there already is left in place.
  ///
  /// - Parameters:
  ///   - counters: Those that are not there yet.
  ///   - full: The chains whose rules are there already.
  fileprivate mutating func fill(
    _ table: Table, counters: [String], leaving full: Set<String> = []
  ) throws(NetfilterError) {
    for counter in counters { addCounter(counter, to: table.name) }
    for set in table.sets {
      addSet(set, to: table.name)
      if !set.elements.isEmpty { try addElements(set.elements, to: set, of: table.name) }
    }
    for chain in table.chains { addChain(chain, to: table.name) }
    for chain in table.chains where !full.contains(chain.name) {
      for rule in chain.rules { try addRule(rule, to: chain.name, of: table.name) }
    }
  }
}

extension Chain {
  /// Whether one of its rules remembers the flows that came by it.
  fileprivate var countsFlows: Bool {
    rules.contains { $0.expressions.contains { if case .flowsOver = $0 { true } else { false } } }
  }
}

import CNetfilter
import Glibc

/// Reads the packets that rules log to one NFLOG group.
///
/// Not thread-safe. Whoever owns a loop calls `receive` whenever `descriptor` is readable.
public final class PacketLog {
  /// What one read gave.
  public struct Delivery: Hashable, Sendable {
    public var packets: [LoggedPacket] = []
    /// How many the kernel logged and could not deliver, by the gaps in its count.
    public var lost: UInt64 = 0
    /// The buffer overflowed: the next packet tells how many were lost, and
    /// where none follows nobody can.
    public var isOverrun = false
    public var isEmpty: Bool { packets.isEmpty && lost == 0 && !isOverrun }
  }

  private let netlink: Netlink
  private var expected: UInt32?

  /// Binds to a group, in the network namespace of the calling thread.
  ///
  /// - Parameters:
  ///   - snaplen: How many bytes of each packet are wanted.
  ///   - batch: How many packets the kernel gathers, for at most a tenth of a second, before it hands them over.
  /// - Throws: `ownedByAnother` when another process reads the group.
  public init(group: UInt16, snaplen: UInt32 = 128, batch: UInt32 = 10) throws(NetfilterError) {
    netlink = try Netlink()
    netlink.reserve(receiving: 1 << 20)
    try bind(group)
    try configure(group, "set up NFLOG group \(group)") { request in
      // How much, then the mode, which is "the packet", and a byte of padding.
      request.put(
        Int(NFULA_CFG_MODE.rawValue), hostOrder(snaplen.bigEndian) + [UInt8(NFULNL_COPY_PACKET), 0])
      request.put(Int(NFULA_CFG_FLAGS.rawValue), networkOrder(UInt16(NFULNL_CFG_F_SEQ)))
      // In the kernel's unit of 10 ms.
      request.put(Int(NFULA_CFG_TIMEOUT.rawValue), 10)
      request.put(Int(NFULA_CFG_QTHRESH.rawValue), batch)
    }
  }

  /// Takes over the descriptor of one that was bound in another network namespace.
  public init(adopting descriptor: Int32) throws(NetfilterError) {
    netlink = try Netlink(adopting: descriptor)
  }

  private func bind(_ group: UInt16) throws(NetfilterError) {
    let operation = "bind NFLOG group \(group)"
    do {
      try configure(group, operation) { request in
        request.put(Int(NFULA_CFG_CMD.rawValue), [UInt8(NFULNL_CFG_CMD_BIND.rawValue)])
      }
    } catch  where error.problem == .notPermitted {
      // A group that is taken gives the same errno; who may list tables has the capability.
      _ = try NetfilterSocket().tables(prefix: "")
      throw NetfilterError(operation, .ownedByAnother)
    }
  }

  private func configure(
    _ group: UInt16, _ operation: String, _ fill: (inout Request) -> Void
  ) throws(NetfilterError) {
    try netlink.perform(
      subsystem: NFNL_SUBSYS_ULOG, message: NFULNL_MSG_CONFIG.rawValue, family: 0, resource: group, operation,
      fill)
  }

  public var descriptor: Int32 { netlink.descriptor }

  /// Reads what is there, up to a bound, without waiting.
  public func receive() -> Delivery {
    var delivery = Delivery()
    let reception = netlink.receiveAll { header in
      guard let message = NetlinkMessage(header), message.subsystem == Int(NFNL_SUBSYS_ULOG),
        message.number == Int(NFULNL_MSG_PACKET.rawValue)
      else { return }
      let packet = LoggedPacket(message.attributes)
      delivery.lost += gap(before: packet.sequence)
      delivery.packets.append(packet)
    }
    if case .failed(ENOBUFS) = reception { delivery.isOverrun = true }
    return delivery
  }

  private func gap(before sequence: UInt32?) -> UInt64 {
    guard let sequence else { return 0 }
    defer { expected = sequence &+ 1 }
    return expected.map { UInt64(sequence &- $0) } ?? 0
  }
}

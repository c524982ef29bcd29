import CNetfilter
import Glibc

/// Messages that the kernel takes together or not at all.
///
/// Each message remembers what it was for, so that an error can say which one
/// the kernel refused.
struct Batch {
  private(set) var bytes: [UInt8] = []
  private(set) var operations: [UInt32: String] = [:]
  let first: UInt32
  private(set) var last: UInt32
  private var lastOffset = 0
  /// Numbers the anonymous sets of the batch.
  private var setIDs: UInt32 = 0

  /// - Parameter sequence: The number of the first message; the others follow.
  init(sequence: UInt32) {
    first = sequence
    last = sequence
    append { nftnl_batch_begin($0, sequence) }
  }

  /// What fits a message: its lengths have 16 bits; libnftnl does not check.
  private static let messageSpace = 1 << 17

  private mutating func append(_ build: (UnsafeMutablePointer<CChar>) -> UnsafeMutablePointer<nlmsghdr>?) {
    withUnsafeTemporaryAllocation(byteCount: Self.messageSpace, alignment: 8) { space in
      let start = space.baseAddress.map { $0.assumingMemoryBound(to: CChar.self) }
      guard let start, let header = build(start) else { return }
      lastOffset = bytes.count
      bytes += UnsafeRawBufferPointer(start: header, count: (Int(header.pointee.nlmsg_len) + 3) & ~3)
    }
  }

  /// Adds one message of the nf_tables subsystem.
  ///
  /// - Parameters:
  ///   - type: `NFT_MSG_*`.
  ///   - flags: `NLM_F_*` beside `NLM_F_REQUEST`, which is added.
  ///   - operation: What the message does, for errors.
  mutating func add(
    _ type: nf_tables_msg_types, _ family: Family, flags: Int32 = 0, _ operation: String,
    _ payload: (UnsafeMutablePointer<nlmsghdr>?) -> Void
  ) {
    last &+= 1
    operations[last] = operation
    let sequence = last
    append { space in
      let header = nftnl_nlmsg_build_hdr(
        space, UInt16(type.rawValue), family.number, UInt16(flags | NLM_F_REQUEST), sequence)
      payload(header)
      return header
    }
  }

  mutating func nextSetID() -> UInt32 {
    setIDs += 1
    return setIDs
  }

  var isEmpty: Bool { last == first }

  /// The bytes to send: the last message asks to be acknowledged, and the end
  /// of the batch follows it.
  func finished() -> [UInt8] {
    var copy = self
    copy.bytes.withUnsafeMutableBytes { buffer in
      let place = lastOffset + 6
      let flags = buffer.loadUnaligned(fromByteOffset: place, as: UInt16.self) | UInt16(NLM_F_ACK)
      buffer.storeBytes(of: flags, toByteOffset: place, as: UInt16.self)
    }
    let sequence = last &+ 1
    copy.append { nftnl_batch_end($0, sequence) }
    return copy.bytes
  }
}

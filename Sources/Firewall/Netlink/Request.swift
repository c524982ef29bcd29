import CNetfilter

/// One message that is no part of a batch, written byte by byte.
struct Request {
  private(set) var bytes: [UInt8]

  /// - Parameters:
  ///   - subsystem: `NFNL_SUBSYS_*`.
  ///   - flags: `NLM_F_*` beside `NLM_F_REQUEST`, which is added.
  ///   - resource: What netfilter's own header names, such as a log group.
  init(
    subsystem: Int32, message: UInt32, family: UInt8, flags: Int32, resource: UInt16 = 0, sequence: UInt32
  ) {
    let type = UInt16(subsystem) << 8 | UInt16(message)
    bytes = hostOrder(0) + hostOrder16(type) + hostOrder16(UInt16(flags | NLM_F_REQUEST))
    bytes += hostOrder(sequence) + hostOrder(0) + [family, 0] + networkOrder(resource)
    setLength()
  }

  /// A message of another bus than netfilter's.
  ///
  /// - Parameter header: What stands before the attributes; a multiple of 4 bytes.
  init(type: Int, header: [UInt8], flags: Int32, sequence: UInt32) {
    bytes = hostOrder(0) + hostOrder16(UInt16(type)) + hostOrder16(UInt16(flags | NLM_F_REQUEST))
    bytes += hostOrder(sequence) + hostOrder(0) + header
    setLength()
  }

  mutating func put(_ type: Int, _ value: [UInt8], isNested: Bool = false) {
    bytes +=
      hostOrder16(UInt16(value.count + 4)) + hostOrder16(UInt16(type) | (isNested ? 0x8000 : 0)) + value
    bytes += [UInt8](repeating: 0, count: -value.count & 3)
    setLength()
  }

  mutating func put(_ type: Int, _ text: String) { put(type, Array(text.utf8) + [0]) }

  /// Puts a number in network order.
  mutating func put(_ type: Int, _ number: UInt32) { put(type, hostOrder(number.bigEndian)) }

  private mutating func setLength() { bytes.replaceSubrange(0..<4, with: hostOrder(UInt32(bytes.count))) }
}

/// The bytes of a number as the host stores it.
func hostOrder16(_ number: UInt16) -> [UInt8] { withUnsafeBytes(of: number) { Array($0) } }

extension Netlink {
  /// Asks for a dump and hands on each message; asks again when a change
  /// disturbed it, at most some times.
  func dump<Item>(
    subsystem: Int32, message: UInt32, family: UInt8, _ operation: String,
    filter: (inout Request) -> Void = { _ in }, _ read: (NetlinkMessage) -> [Item]
  ) throws(NetfilterError) -> [Item] {
    var attempts = 0
    while true {
      attempts += 1
      let sequence = nextSequence()
      var request = Request(
        subsystem: subsystem, message: message, family: family, flags: NLM_F_DUMP, sequence: sequence)
      filter(&request)
      var items: [Item] = []
      do {
        try self.request(request.bytes, sequence: sequence, operation) { header in
          if let message = NetlinkMessage(header) { items += read(message) }
        }
        return items
      } catch  where error.problem == .disturbed && attempts < 10 { continue }
    }
  }

  /// Sends a request that is answered by nothing but its acknowledgement.
  func perform(
    subsystem: Int32, message: UInt32, family: UInt8, resource: UInt16 = 0, _ operation: String,
    _ fill: (inout Request) -> Void
  ) throws(NetfilterError) {
    let sequence = nextSequence()
    var request = Request(
      subsystem: subsystem, message: message, family: family, flags: NLM_F_ACK, resource: resource,
      sequence: sequence)
    fill(&request)
    try self.request(request.bytes, sequence: sequence, operation) { _ in }
  }
}

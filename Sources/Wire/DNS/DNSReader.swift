/// A place in a message and what can be read there. Every read is checked
/// against the end; none moves the place when it fails.
struct DNSReader {
  let message: [UInt8]
  var offset: Int

  init(_ message: [UInt8], at offset: Int = 0) {
    self.message = message
    self.offset = offset
  }

  var isAtEnd: Bool { offset == message.count }

  /// Reads `count` bytes.
  mutating func bytes(_ count: Int) throws(DNSError) -> ArraySlice<UInt8> {
    guard count <= message.count - offset else { throw .truncated }
    defer { offset += count }
    return message[offset..<(offset + count)]
  }

  /// Reads 16 bits in network order.
  mutating func uint16() throws(DNSError) -> UInt16 {
    guard message.count - offset >= 2 else { throw .truncated }
    defer { offset += 2 }
    return UInt16(message[offset]) << 8 | UInt16(message[offset + 1])
  }

  /// Reads 32 bits in network order.
  mutating func uint32() throws(DNSError) -> UInt32 {
    guard message.count - offset >= 4 else { throw .truncated }
    let upper = try uint16()
    return UInt32(upper) << 16 | UInt32(try uint16())
  }

  /// Reads one domain name and moves past it.
  mutating func name() throws(DNSError) -> DNSName {
    try DNSName.read(from: message, at: &offset)
  }
}

extension DNSName {
  /// The most pointers one name may hold: as many as a name has labels. More
  /// add nothing to a name, only work for its reader.
  private static let maximumPointers = 127

  /// Reads one domain name from a DNS message and moves `offset` past it.
  ///
  /// Each compression pointer must lead to before the run of labels that holds
  /// it, so no pointer is followed twice and the read always ends.
  ///
  /// - Parameters:
  ///   - message: The whole message; pointers count from its first byte.
  ///   - offset: In bytes. On success, the first byte after the name.
  /// - Throws: `.truncated`, `.reservedLabelType`, `.nameTooLong` or
  ///   `.badPointer`; `offset` is then unchanged.
  /// - Source: RFC 1035 §3.1 (labels), §4.1.4 (pointers), §2.3.4 (limits).
  public static func read(from message: [UInt8], at offset: inout Int) throws(DNSError) -> DNSName {
    var wire: [UInt8] = []
    var run = offset, pointers = 0
    var end: Int?
    while true {
      let stop = try endOfRun(in: message, from: run)
      wire.append(contentsOf: message[run..<stop])
      let isPointer = message[stop] != 0
      guard wire.count < maximumLength else { throw .nameTooLong }
      guard isPointer else {
        wire.append(0)
        offset = end ?? (stop + 1)
        return DNSName(checked: wire)
      }
      pointers += 1
      guard pointers <= maximumPointers else { throw .badPointer }
      end = end ?? (stop + 2)
      run = try pointer(in: message, at: stop, before: run)
    }
  }

  /// Passes over the labels of one run; what stands behind them is the root or
  /// a pointer.
  private static func endOfRun(in message: [UInt8], from start: Int) throws(DNSError) -> Int {
    var position = start
    while true {
      guard message.indices.contains(position) else { throw .truncated }
      let length = message[position]
      switch length >> 6 {
      case 0b00:
        if length == 0 { return position }
        position += 1 + Int(length)
        guard position - start < maximumLength else { throw .nameTooLong }
      case 0b11: return position
      default: throw .reservedLabelType
      }
    }
  }

  private static func pointer(
    in message: [UInt8], at position: Int, before run: Int
  ) throws(DNSError) -> Int {
    guard position + 1 < message.count else { throw .truncated }
    let target = Int(message[position] & 0x3f) << 8 | Int(message[position + 1])
    guard target >= DNSHeader.length, target < run else { throw .badPointer }
    return target
  }
}

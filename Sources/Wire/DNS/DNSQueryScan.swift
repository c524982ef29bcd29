/// A client's query as it lies in its message: read once, nothing copied,
/// nothing allocated. Whatever else the client put into the message is passed
/// over and never kept.
///
/// - Source: RFC 1035 §4.1; RFC 6891 §6.1 (EDNS).
public struct DNSQueryScan: Hashable, Sendable {
  /// What the response must repeat.
  public let id: UInt16
  /// The flags as sent; RD and CD are repeated.
  public let flags: DNSFlags
  /// Length bytes, labels and root of the name: 1 to 255 bytes, which begin at `nameOffset`.
  public let nameLength: Int
  /// The type asked for.
  public let type: DNSRecordType
  /// The class asked for.
  public let questionClass: UInt16
  /// What the OPT record says; nil: the client speaks no EDNS.
  public let edns: EDNS?

  /// Where the name begins, in bytes.
  public static let nameOffset = DNSHeader.length

  /// Where the question ends, in bytes from the start of the message.
  public var questionEnd: Int { Self.nameOffset + nameLength + 4 }

  /// Reads a query.
  ///
  /// - Parameter message: The whole message, without TCP's length.
  /// - Throws: `DNSError`. Only `.wrongDirection`, and `.truncated` in the
  ///   header, deserve no answer at all.
  public init(_ message: RawSpan) throws(DNSError) {
    guard message.byteCount >= DNSHeader.length else { throw .truncated }
    id = message.uint16(at: 0)
    flags = DNSFlags(rawValue: message.uint16(at: 2))
    guard !flags.contains(.response) else { throw .wrongDirection }
    guard flags.opcode == 0 else { throw .unsupportedOpcode }
    guard message.uint16(at: 4) == 1, message.uint16(at: 6) == 0, message.uint16(at: 8) == 0 else {
      throw .wrongCounts
    }
    nameLength = try Self.nameLength(in: message)
    let tail = Self.nameOffset + nameLength
    guard message.byteCount - tail >= 4 else { throw .truncated }
    type = DNSRecordType(rawValue: message.uint16(at: tail))
    questionClass = message.uint16(at: tail + 2)
    edns = try Self.options(in: message, from: tail + 4, count: message.uint16(at: 10))
    guard questionClass == dnsClassInternet else { throw .unsupportedClass }
  }

  /// The length of the name of the question. A pointer there has nothing before
  /// it that it could lead to but the header.
  private static func nameLength(in message: RawSpan) throws(DNSError) -> Int {
    var position = nameOffset
    while true {
      guard position < message.byteCount else { throw .truncated }
      let length = message.byte(at: position)
      guard length < 0x40 else { throw length < 0xc0 ? .reservedLabelType : .badPointer }
      position += 1 + Int(length)
      guard position - nameOffset <= DNSName.maximumLength else { throw .nameTooLong }
      if length == 0 { return position - nameOffset }
    }
  }

  /// Passes over the additional records; they end the message.
  private static func options(in message: RawSpan, from start: Int, count: UInt16) throws(DNSError) -> EDNS? {
    var position = start
    var edns: EDNS?
    for _ in 0..<count {
      let owner = position
      position = try skipName(in: message, at: owner)
      guard message.byteCount - position >= 10 else { throw .truncated }
      let length = Int(message.uint16(at: position + 8))
      guard message.byteCount - position - 10 >= length else { throw .truncated }
      if message.uint16(at: position) == DNSRecordType.opt.rawValue {
        guard edns == nil, position == owner + 1 else { throw .badOptions }
        edns = EDNS(in: message, at: position)
        try checkOptions(in: message, (position + 10)..<(position + 10 + length))
      }
      position += 10 + length
    }
    guard position == message.byteCount else { throw .trailingBytes }
    return edns
  }

  /// The place behind a name whose pointers are not followed: nobody asks where they lead.
  private static func skipName(in message: RawSpan, at start: Int) throws(DNSError) -> Int {
    var position = start
    while position < message.byteCount {
      let length = message.byte(at: position)
      switch length >> 6 {
      case 0b00:
        position += 1 + Int(length)
        guard position - start <= DNSName.maximumLength else { throw .nameTooLong }
        if length == 0 { return position }
      case 0b11:
        guard position + 1 < message.byteCount else { throw .truncated }
        return position + 2
      default: throw .reservedLabelType
      }
    }
    throw .truncated
  }

  /// Options are codes and lengths that fill the record exactly (RFC 6891 §6.1.2).
  private static func checkOptions(in message: RawSpan, _ data: Range<Int>) throws(DNSError) {
    var position = data.lowerBound
    while position < data.upperBound {
      guard data.upperBound - position >= 4 else { throw .badOptions }
      position += 4 + Int(message.uint16(at: position + 2))
    }
    guard position == data.upperBound else { throw .badOptions }
  }
}

extension EDNS {
  /// Reads class and TTL of the OPT record whose type is at `position`; the caller has checked the length.
  init(in message: RawSpan, at position: Int) {
    self.init(
      payloadSize: message.uint16(at: position + 2), dnssecOK: message.byte(at: position + 6) & 0x80 != 0)
    extendedResponseCode = message.byte(at: position + 4)
    version = message.byte(at: position + 5)
  }
}

extension RawSpan {
  /// One byte; `offset` must be inside, which is checked.
  @inline(__always)
  func byte(at offset: Int) -> UInt8 {
    precondition(offset >= 0 && offset < byteCount)
    return unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
  }

  /// 16 bits in network order; both bytes must be inside, which is checked.
  @inline(__always)
  func uint16(at offset: Int) -> UInt16 {
    UInt16(byte(at: offset)) << 8 | UInt16(byte(at: offset + 1))
  }
}

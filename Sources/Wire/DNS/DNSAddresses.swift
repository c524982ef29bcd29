import Addressing

/// What the plainest and most frequent answer says: the addresses of the name
/// asked for, without an alias, and nothing else but EDNS.
///
/// It is read where it lies. Whatever is not of this form is left to
/// `DNSResponse`, which reads all of them, and reads the same from this one.
public struct DNSAddresses: Hashable, Sendable {
  /// In order, each once; at least one.
  public private(set) var addresses: [IPAddress] = []
  /// The shortest time to live, in seconds.
  public private(set) var timeToLive = UInt32.max

  /// Bytes of a record whose owner is a pointer, without its data.
  private static let recordHeader = 12

  /// Reads a whole message; nil unless it is of the form above and answers `query`:
  /// the same id, and the same question to the letter.
  ///
  /// - Source: RFC 1035 §4.1; RFC 6891 §6.1.2 (OPT); RFC 2181 §8 (times to live).
  public init?(_ message: Span<UInt8>, answering query: DNSQuery) {
    let question = query.question, name = question.name.wire
    let records = DNSHeader.length + name.count + 4
    guard question.type == .a || question.type == .aaaa, message.count > records,
      message.uint16(0) == query.id, message.uint16(2) & 0xfa0f == 0x8000, message.uint16(4) == 1,
      message.uint16(6) > 0, message.uint16(8) == 0, message.uint16(10) <= 1,
      message.uint16(records - 4) == question.type.rawValue,
      message.uint16(records - 2) == question.questionClass, question.questionClass == dnsClassInternet
    else { return nil }
    for index in name.indices where message[DNSHeader.length + index] != name[index] { return nil }
    var offset = records
    for _ in 0..<message.uint16(6) {
      guard let length = take(message, question.type, at: offset) else { return nil }
      offset += length
    }
    guard let end = Self.end(of: message, afterOptions: message.uint16(10), at: offset), end == message.count
    else { return nil }
  }

  /// Takes the record at `offset`. Returns its length in bytes; nil: it is another kind.
  private mutating func take(_ message: Span<UInt8>, _ type: DNSRecordType, at offset: Int) -> Int? {
    let count = type == .a ? 4 : 16, length = Self.recordHeader + count
    guard message.count - offset >= length,
      message.uint16(offset) == 0xc000 | UInt16(DNSHeader.length),
      message.uint16(offset + 2) == type.rawValue, message.uint16(offset + 4) == dnsClassInternet,
      message.uint16(offset + 10) == UInt16(count)
    else { return nil }
    let seconds = message.uint32(offset + 6)
    timeToLive = min(timeToLive, seconds > UInt32(Int32.max) ? 0 : seconds)
    let data = offset + Self.recordHeader
    let address: IPAddress =
      type == .a
      ? .v4(message.uint32(data)) : .v6(high: message.uint64(data), low: message.uint64(data + 8))
    if !addresses.contains(address) { addresses.append(address) }
    return length
  }

  /// Where the message ends behind an OPT record, if it has one; nil when what is
  /// there is another record, or says more about the response than its header.
  private static func end(of message: Span<UInt8>, afterOptions count: UInt16, at offset: Int) -> Int? {
    guard count > 0 else { return offset }
    guard message.count - offset >= EDNS.length, message[offset] == 0,
      message.uint16(offset + 1) == DNSRecordType.opt.rawValue, message[offset + 5] == 0
    else { return nil }
    return offset + EDNS.length + Int(message.uint16(offset + 9))
  }
}

extension Span<UInt8> {
  /// 16 bits in network order.
  fileprivate func uint16(_ offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }

  /// 32 bits in network order.
  fileprivate func uint32(_ offset: Int) -> UInt32 {
    UInt32(uint16(offset)) << 16 | UInt32(uint16(offset + 2))
  }

  /// 64 bits in network order.
  fileprivate func uint64(_ offset: Int) -> UInt64 {
    UInt64(uint32(offset)) << 32 | UInt64(uint32(offset + 4))
  }
}

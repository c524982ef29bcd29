import CNetfilter

/// The attributes of a netlink message, read from bytes that may be anything.
///
/// Each is a length and a type of 16 bits in host order, then the value, padded
/// to 4 bytes. Reading stops at the first one whose length does not fit.
///
/// - Source: netlink(7); linux/netlink.h, `struct nlattr`.
struct Attributes: Sequence, IteratorProtocol {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  mutating func next() -> (type: Int, value: ArraySlice<UInt8>)? {
    guard rest.count >= 4 else { return nil }
    let length = Int(rest.hostOrder(at: 0) as UInt16)
    guard length >= 4, length <= rest.count else { return nil }
    // The two highest bits say that the value is nested or in network order.
    let type = Int((rest.hostOrder(at: 2) as UInt16) & 0x3fff)
    let value = rest.dropFirst(4).prefix(length - 4)
    rest = rest.dropFirst((length + 3) & ~3)
    return (type, value)
  }

  /// The value of the first attribute of a type.
  subscript(type: Int) -> ArraySlice<UInt8>? { first { $0.type == type }?.value }

  /// The attributes inside the first attribute of a type; none where it is absent.
  func nested(_ type: Int) -> Attributes { Attributes(self[type] ?? []) }

  /// The number in network order that the first attribute of a type holds.
  func number<Number: FixedWidthInteger>(_ type: Int) -> Number? {
    guard let value = self[type], value.count >= MemoryLayout<Number>.size else { return nil }
    return value.networkOrder(at: 0)
  }

  /// The text of the first attribute of a type, up to its zero byte.
  func text(_ type: Int) -> String? {
    self[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

extension ArraySlice<UInt8> {
  /// A number in network order; `offset` counts from the slice's start, and
  /// the bytes must be there.
  func networkOrder<Number: FixedWidthInteger>(at offset: Int) -> Number {
    let start = startIndex + offset
    return self[start..<start + MemoryLayout<Number>.size].reduce(0) { $0 << 8 | Number($1) }
  }

  /// A number as the host stores it, as above.
  func hostOrder<Number: FixedWidthInteger>(at offset: Int) -> Number {
    Number(bigEndian: networkOrder(at: offset))
  }
}

/// A netlink message: what its header says, and what follows it.
struct NetlinkMessage {
  var type: UInt16
  var portID: UInt32
  /// The family, from netfilter's own header of 4 bytes.
  var family: UInt8
  /// What follows that header.
  var attributes: Attributes

  /// - Returns: nil when the bytes are too few for the two headers.
  init?(_ bytes: ArraySlice<UInt8>) {
    guard bytes.count >= 20 else { return nil }
    type = bytes.hostOrder(at: 4)
    portID = bytes.hostOrder(at: 12)
    family = bytes[bytes.startIndex + 16]
    attributes = Attributes(bytes.dropFirst(20))
  }

  init?(_ header: UnsafePointer<nlmsghdr>) { self.init(Array(header.bytes)[...]) }

  /// Which message it is within its subsystem.
  var number: Int { Int(type & 0xff) }
  var subsystem: Int { Int(type >> 8) }
}

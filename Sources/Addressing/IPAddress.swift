/// An IPv4 or IPv6 address, without zone.
public enum IPAddress: Hashable, Sendable {
  /// IPv4 as a number: 127.0.0.1 is `0x7f00_0001`.
  case v4(UInt32)
  /// IPv6 as its upper and lower 64 bits.
  case v6(high: UInt64, low: UInt64)

  /// Whether this is an IPv4 address.
  public var isV4: Bool {
    if case .v4 = self { return true }
    return false
  }

  /// The address in network order: 4 or 16 bytes.
  public var bytes: [UInt8] {
    switch self {
    case .v4(let value): bigEndianBytes(value)
    case .v6(let high, let low): bigEndianBytes(high) + bigEndianBytes(low)
    }
  }

  /// Takes an address from network order.
  ///
  /// - Returns: nil unless there are 4 or 16 bytes.
  @inlinable
  public init?(networkOrder bytes: some Collection<UInt8>) {
    var high: UInt64 = 0, low: UInt64 = 0, count = 0
    for byte in bytes {
      (high, low) = (high << 8 | low >> 56, low << 8 | UInt64(byte))
      count += 1
    }
    switch count {
    case 4: self = .v4(UInt32(truncatingIfNeeded: low))
    case 16: self = .v6(high: high, low: low)
    default: return nil
    }
  }

  /// The eight groups of an IPv6 address.
  static func groups(high: UInt64, low: UInt64) -> [UInt16] {
    [high, low].flatMap { half in
      [48, 32, 16, 0].map { UInt16(truncatingIfNeeded: half >> UInt64($0)) }
    }
  }
}

extension IPAddress: Comparable {
  /// IPv4 before IPv6, then by number.
  public static func < (left: IPAddress, right: IPAddress) -> Bool {
    switch (left, right) {
    case (.v4(let a), .v4(let b)): a < b
    case (.v6(let aHigh, let aLow), .v6(let bHigh, let bLow)): (aHigh, aLow) < (bHigh, bLow)
    case (.v4, .v6): true
    case (.v6, .v4): false
    }
  }
}

private func bigEndianBytes(_ value: some FixedWidthInteger) -> [UInt8] {
  stride(from: value.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
}

/// A block of addresses: an address and the number of leading bits that count.
public struct IPPrefix: Hashable, Sendable, CustomStringConvertible {
  /// The first address of the block; the bits behind `length` are zero.
  public let address: IPAddress
  /// In bits: 0 to 32 for IPv4, 0 to 128 for IPv6.
  public let length: Int

  /// Makes a block; nil when `length` does not fit the family or `address` has
  /// a bit set behind it (`10.0.0.1/8` is a slip of the pen, not a block).
  public init?(_ address: IPAddress, length: Int) {
    guard length >= 0, length <= (address.isV4 ? 32 : 128), address.masked(to: length) == address else {
      return nil
    }
    self.address = address
    self.length = length
  }

  /// Makes the block of an address; nil when `length` does not fit the family.
  public init?(containing address: IPAddress, length: Int) {
    guard length >= 0, length <= (address.isV4 ? 32 : 128) else { return nil }
    self.address = address.masked(to: length)
    self.length = length
  }

  /// Reads `ADDRESS/LENGTH`, or an address alone as the block of just itself.
  /// The length is in decimal digits without a leading zero.
  public init?(_ text: String) {
    let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard let first = parts.first, let address = IPAddress(first), parts.count <= 2 else { return nil }
    guard parts.count == 2 else {
      self.init(address, length: address.isV4 ? 32 : 128)
      return
    }
    guard let length = decimal(parts[1], below: 129),
      parts[1].first != UInt8(ascii: "0") || parts[1].count == 1
    else { return nil }
    self.init(address, length: length)
  }

  /// Whether `candidate` lies in the block; families never mix.
  public func contains(_ candidate: IPAddress) -> Bool {
    candidate.isV4 == address.isV4 && candidate.masked(to: length) == address
  }

  public var description: String { "\(address)/\(length)" }
}

extension IPAddress {
  /// The address with every bit behind the first `length` cleared.
  func masked(to length: Int) -> IPAddress {
    switch self {
    case .v4(let value): .v4(value & leadingOnes(length))
    case .v6(let high, let low):
      .v6(high: high & leadingOnes(min(length, 64)), low: low & leadingOnes(max(length - 64, 0)))
    }
  }
}

private func leadingOnes<T: FixedWidthInteger>(_ count: Int) -> T {
  count == 0 ? 0 : ~0 << T(T.bitWidth - count)
}

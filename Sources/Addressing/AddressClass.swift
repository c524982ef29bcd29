/// What kind of address it is, where it is not a public unicast address.
///
/// - Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890);
///   the metadata services' own documentation.
public enum AddressClass: String, Hashable, Sendable, CaseIterable {
  /// An instance metadata service, or any link-local address.
  case metadata
  /// 127.0.0.0/8, ::1.
  case loopback
  /// 0.0.0.0/8, ::.
  case unspecified
  /// 224.0.0.0/4, ff00::/8.
  case multicast
  /// 255.255.255.255.
  case broadcast
  /// RFC 1918, RFC 6598, RFC 4193.
  case privateUse = "private"
  /// Documentation, benchmarking, and ranges set aside by IANA.
  case reserved
  /// Everything else.
  case global
}

extension IPAddress {
  /// The class of the address; an IPv4 address embedded in IPv6 is unwrapped
  /// first, and the stricter of the two classes is answered.
  public var addressClass: AddressClass {
    if let embedded = embeddedIPv4 {
      let inner = classifyV4(embedded)
      return inner == .global ? .reserved : inner
    }
    return switch self {
    case .v4(let value): classifyV4(value)
    case .v6: firstClass(of: self, in: specialV6) ?? .global
    }
  }

  /// The IPv4 address inside a mapped, compatible, translated, NAT64, 6to4,
  /// Teredo or ISATAP address.
  ///
  /// - Source: RFC 4291 §2.5.5, RFC 2765 §2.1, RFC 6052 §2.1, RFC 8215,
  ///   RFC 3056 §2, RFC 4380 §4, RFC 5214 §6.1.
  public var embeddedIPv4: UInt32? {
    guard case .v6(let high, let low) = self else { return nil }
    let lower = UInt32(truncatingIfNeeded: low)
    switch (high, low >> 32) {
    case (0, 0xffff), (0, 0xffff_0000): return lower
    case (0, 0) where low > 1: return lower
    case (0x0064_ff9b_0000_0000, 0): return lower
    case (let prefix, _) where prefix >> 16 == 0x0064_ff9b_0001: return lower
    case (let prefix, _) where prefix >> 48 == 0x2002: return UInt32(truncatingIfNeeded: prefix >> 16)
    case (let prefix, _) where prefix >> 32 == 0x2001_0000: return ~lower
    case (_, 0x0000_5efe), (_, 0x0200_5efe): return lower
    default: return nil
    }
  }
}

extension AddressClass {
  /// The blocks of one family that are of this class, as the registries list
  /// them. A block may lie in a larger one of another class; the larger is then
  /// listed whole. Addresses that embed IPv4 are in `IPPrefix.embeddingIPv4`.
  public func blocks(isV4: Bool) -> [IPPrefix] {
    (isV4 ? specialV4 : specialV6).filter { $0.1 == self }.map(\.0)
  }
}

extension IPPrefix {
  /// The IPv6 blocks whose addresses embed an IPv4 address; ISATAP, which is
  /// told by its interface identifier, is in none.
  public static let embeddingIPv4 = table([
    ("::/96", .reserved), ("::ffff:0:0/96", .reserved), ("::ffff:0:0:0/96", .reserved),
    ("64:ff9b::/96", .reserved), ("64:ff9b:1::/48", .reserved), ("2002::/16", .reserved),
    ("2001::/32", .reserved),
  ]).map(\.0)
}

private func classifyV4(_ value: UInt32) -> AddressClass {
  firstClass(of: .v4(value), in: specialV4) ?? .global
}

private func firstClass(of address: IPAddress, in table: [(IPPrefix, AddressClass)]) -> AddressClass? {
  table.first { $0.0.contains(address) }?.1
}

/// Builds a table; a text that is no block would be a slip in this file, and
/// the table's tests count the rows.
private func table(_ rows: [(String, AddressClass)]) -> [(IPPrefix, AddressClass)] {
  rows.compactMap { row in IPPrefix(row.0).map { ($0, row.1) } }
}

/// More specific rows first.
let specialV4 = table([
  ("169.254.0.0/16", .metadata), ("100.100.100.200/32", .metadata), ("168.63.129.16/32", .metadata),
  ("127.0.0.0/8", .loopback), ("0.0.0.0/8", .unspecified), ("255.255.255.255/32", .broadcast),
  ("224.0.0.0/4", .multicast), ("10.0.0.0/8", .privateUse), ("172.16.0.0/12", .privateUse),
  ("192.168.0.0/16", .privateUse), ("100.64.0.0/10", .privateUse), ("192.0.0.0/24", .reserved),
  ("192.0.2.0/24", .reserved), ("192.88.99.0/24", .reserved), ("198.18.0.0/15", .reserved),
  ("198.51.100.0/24", .reserved), ("203.0.113.0/24", .reserved), ("240.0.0.0/4", .reserved),
])

/// Addresses that embed IPv4 never get here.
let specialV6 = table([
  ("fd00:ec2::254/128", .metadata), ("fe80::/10", .metadata), ("::1/128", .loopback),
  ("::/128", .unspecified), ("ff00::/8", .multicast), ("fc00::/7", .privateUse), ("fec0::/10", .privateUse),
  ("100::/64", .reserved), ("2001::/23", .reserved), ("2001:db8::/32", .reserved), ("3fff::/20", .reserved),
  ("5f00::/16", .reserved), ("64:ff9b:1::/48", .reserved), ("100:0:0:1::/64", .reserved),
])

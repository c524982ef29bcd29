import Addressing

/// The type of a set's key or data, or of a field a rule looks at.
///
/// The raw value is the number that nft(8) gives the type in what it stores
/// beside a set, so that it can list the set later.
///
/// - Source: `enum datatypes` in datatype.h of nftables; nft(8), DATA TYPES.
public enum DataType: UInt32, Hashable, Sendable {
  case nfproto = 2
  case integer = 4
  case ipv4Address = 7
  case ipv6Address = 8
  case etherType = 10
  case inetProtocol = 12
  case inetService = 13
  case icmpType = 14
  case mark = 19
  case interfaceIndex = 20
  case realm = 22
  case uid = 24
  case icmpv6Type = 29
  case interfaceName = 41

  /// The name in a set's `type`.
  var text: String {
    switch self {
    case .nfproto: "nf_proto"
    case .integer: "integer"
    case .ipv4Address: "ipv4_addr"
    case .ipv6Address: "ipv6_addr"
    case .etherType: "ether_type"
    case .inetProtocol: "inet_proto"
    case .inetService: "inet_service"
    case .icmpType: "icmp_type"
    case .mark: "mark"
    case .interfaceIndex: "iface_index"
    case .realm: "realm"
    case .uid: "uid"
    case .icmpv6Type: "icmpv6_type"
    case .interfaceName: "ifname"
    }
  }

  /// In bytes, without padding.
  var length: Int {
    switch self {
    case .nfproto, .integer, .inetProtocol, .icmpType, .icmpv6Type: 1
    case .etherType, .inetService: 2
    case .ipv4Address, .mark, .interfaceIndex, .realm, .uid: 4
    case .ipv6Address, .interfaceName: 16
    }
  }

  /// Whether the kernel compares the number as the host stores it; what is
  /// read from a packet is in network order.
  var isHostOrder: Bool {
    switch self {
    case .mark, .interfaceIndex, .realm, .uid, .interfaceName: true
    default: false
    }
  }

  /// The bytes after `data` of a value of the type; nil when it is none.
  func encode(_ datum: Datum) -> [UInt8]? {
    switch datum {
    case .address(let address):
      return address.bytes.count == length ? address.bytes : nil
    case .prefix(let prefix):
      return prefix.address.bytes.count == length ? prefix.address.bytes : nil
    case .interface(let name):
      let bytes = Array(name.utf8)
      guard self == .interfaceName, !bytes.isEmpty, bytes.count < length else { return nil }
      return bytes + [UInt8](repeating: 0, count: length - bytes.count)
    case .number(let number), .named(let number, _):
      return encode(number)
    case .ports:
      return nil
    }
  }

  private func encode(_ number: UInt32) -> [UInt8]? {
    guard length <= 4, length == 4 || number >> UInt32(length * 8) == 0 else { return nil }
    if isHostOrder { return withUnsafeBytes(of: number) { Array($0) } }
    return (0..<length).reversed().map { UInt8(truncatingIfNeeded: number >> UInt32($0 * 8)) }
  }

  /// Reads back what `encode` wrote; nil unless `bytes` has the right length.
  func decode(_ bytes: some Collection<UInt8>) -> Datum? {
    guard bytes.count == length else { return nil }
    switch self {
    case .ipv4Address, .ipv6Address:
      return IPAddress(networkOrder: bytes).map(Datum.address)
    case .interfaceName:
      return .interface(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
    default:
      let number = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      return .number(isHostOrder ? number.byteSwappedOnLittleEndian : number)
    }
  }
}

extension UInt32 {
  /// Undoes the reading of a host-order number as if it were big-endian.
  fileprivate var byteSwappedOnLittleEndian: UInt32 { UInt32(bigEndian: self) }
}

/// One value that a packet's field is compared with, or a part of a set's key.
public enum Datum: Hashable, Sendable, CustomStringConvertible {
  case address(IPAddress)
  /// In a rule a comparison of the leading bits, in an interval set a range.
  case prefix(IPPrefix)
  case ports(ClosedRange<UInt16>)
  /// A port, a mark, an id: decimal in text.
  case number(UInt32)
  /// A number that nft(8) calls by a name.
  case named(UInt32, String)
  case interface(String)

  /// A transport port.
  public static func port(_ port: UInt16) -> Datum { .number(UInt32(port)) }

  public var description: String {
    switch self {
    case .address(let address): "\(address)"
    case .prefix(let prefix): prefix.length == prefix.address.bitWidth ? "\(prefix.address)" : "\(prefix)"
    case .ports(let ports):
      ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)"
    case .number(let number): String(number)
    case .named(_, let name): name
    case .interface(let name): "\"\(name)\""
    }
  }
}

extension Datum {
  public static let tcp = Datum.named(6, "tcp")
  public static let udp = Datum.named(17, "udp")
  static let icmp = Datum.named(1, "icmp"), icmpv6 = Datum.named(58, "ipv6-icmp")
  static let ipv4 = Datum.named(2, "ipv4")
  static let ipv6 = Datum.named(10, "ipv6")
}

extension IPAddress {
  /// 32 or 128.
  var bitWidth: Int { isV4 ? 32 : 128 }
}

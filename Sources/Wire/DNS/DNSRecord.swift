import Addressing

/// The type of a record or a question; any number may come.
///
/// - Source: IANA, "Resource Record (RR) TYPEs".
public struct DNSRecordType: RawRepresentable, Hashable, Sendable {
  /// The number as on the wire.
  public let rawValue: UInt16

  /// Takes a type's number.
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// An IPv4 address (RFC 1035 §3.4.1).
  public static let a = DNSRecordType(rawValue: 1)
  /// The name that this one is an alias of (RFC 1035 §3.3.1).
  public static let cname = DNSRecordType(rawValue: 5)
  /// A zone's start of authority (RFC 1035 §3.3.13).
  public static let soa = DNSRecordType(rawValue: 6)
  /// The host's hardware and system; all that an ANY question gets (RFC 8482 §4.2).
  public static let hinfo = DNSRecordType(rawValue: 13)
  /// An IPv6 address (RFC 3596 §2.1).
  public static let aaaa = DNSRecordType(rawValue: 28)
  /// EDNS, not a record of any name (RFC 6891 §6.1.1).
  public static let opt = DNSRecordType(rawValue: 41)
}

/// The class of Internet records (RFC 1035 §3.2.4).
public let dnsClassInternet: UInt16 = 1

/// One resource record.
///
/// - Source: RFC 1035 §4.1.3.
public struct DNSRecord: Hashable, Sendable {
  /// The name it belongs to.
  public var owner: DNSName
  /// Its type.
  public var type: DNSRecordType
  /// Its class, IN being `dnsClassInternet`.
  public var recordClass: UInt16
  /// Time to live, in seconds, as sent.
  public var ttl: UInt32
  /// What it says.
  public var data: DNSRecordData

  init(_ reader: inout DNSReader) throws(DNSError) {
    owner = try reader.name()
    type = DNSRecordType(rawValue: try reader.uint16())
    recordClass = try reader.uint16()
    ttl = try reader.uint32()
    let length = Int(try reader.uint16())
    data = try DNSRecordData.read(&reader, type: type, recordClass: recordClass, length: length)
  }

  /// The time to live that counts, in seconds: one with the top bit set is 0
  /// (RFC 2181 §8).
  public var effectiveTTL: UInt32 { ttl > UInt32(Int32.max) ? 0 : ttl }
}

/// The data of a record, read where its type is known here.
public enum DNSRecordData: Hashable, Sendable {
  /// A, AAAA.
  case address(IPAddress)
  /// CNAME: what the owner is an alias of.
  case canonicalName(DNSName)
  /// SOA: its MINIMUM field, in seconds (RFC 2308 §4).
  case startOfAuthority(minimum: UInt32)
  /// Anything else, raw. Names in it may be compressed against its message, so
  /// it must not be sent on in another one.
  case other(ArraySlice<UInt8>)

  static func read(
    _ reader: inout DNSReader, type: DNSRecordType, recordClass: UInt16, length: Int
  ) throws(DNSError) -> DNSRecordData {
    let start = reader.offset
    let raw = try reader.bytes(length)
    guard recordClass == dnsClassInternet else { return .other(raw) }
    var inner = DNSReader(reader.message, at: start)
    let data: DNSRecordData
    switch type {
    case .a: data = try address(raw, count: 4)
    case .aaaa: data = try address(raw, count: 16)
    case .cname:
      data = .canonicalName(try inner.name())
      guard inner.offset == reader.offset else { throw .badRecord }
    case .soa:
      data = .startOfAuthority(minimum: try soaMinimum(&inner))
      guard inner.offset == reader.offset else { throw .badRecord }
    default: data = .other(raw)
    }
    return data
  }

  private static func address(_ raw: ArraySlice<UInt8>, count: Int) throws(DNSError) -> DNSRecordData {
    guard raw.count == count, let address = IPAddress(networkOrder: raw) else { throw .badRecord }
    return .address(address)
  }

  /// MNAME and RNAME, then SERIAL, REFRESH, RETRY, EXPIRE and MINIMUM.
  private static func soaMinimum(_ reader: inout DNSReader) throws(DNSError) -> UInt32 {
    _ = try reader.name()
    _ = try reader.name()
    _ = try reader.bytes(16)
    return try reader.uint32()
  }
}

/// What an OPT record says. Its options are dropped.
///
/// - Source: RFC 6891 §6.1.
public struct EDNS: Hashable, Sendable {
  /// The largest UDP message its sender takes, in bytes.
  public var payloadSize: UInt16
  /// The upper eight bits of the response code.
  public var extendedResponseCode: UInt8
  /// 0; anything above is answered with BADVERS.
  public var version: UInt8
  /// DO: the sender wants DNSSEC records.
  public var dnssecOK: Bool

  /// Makes what a query says.
  public init(payloadSize: UInt16, dnssecOK: Bool = false) {
    self.payloadSize = payloadSize
    extendedResponseCode = 0
    version = 0
    self.dnssecOK = dnssecOK
  }

  /// Takes the OPT record out of the additional section.
  ///
  /// - Throws: `.badOptions` when there are two, or it is not the root's.
  init?(in additionals: [DNSRecord]) throws(DNSError) {
    guard let record = additionals.first(where: { $0.type == .opt }) else { return nil }
    guard additionals.count(where: { $0.type == .opt }) == 1, record.owner == .root else { throw .badOptions }
    payloadSize = record.recordClass
    extendedResponseCode = UInt8(truncatingIfNeeded: record.ttl >> 24)
    version = UInt8(truncatingIfNeeded: record.ttl >> 16)
    dnssecOK = record.ttl & 0x8000 != 0
  }

  /// The OPT record as it is sent, without options.
  public var encoded: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }

  /// Without options, in bytes.
  static let length = 11

  func append(to bytes: inout [UInt8]) {
    bytes.append(0)
    bytes.append(networkOrder: DNSRecordType.opt.rawValue)
    bytes.append(networkOrder: payloadSize)
    bytes.append(extendedResponseCode)
    bytes.append(version)
    bytes.append(networkOrder: dnssecOK ? 0x8000 : 0)
    bytes.append(networkOrder: 0)
  }
}

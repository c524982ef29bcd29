/// The twelve bytes every message begins with.
///
/// - Source: RFC 1035 §4.1.1.
public struct DNSHeader: Hashable, Sendable {
  /// What matches a response to its query.
  public var id: UInt16
  /// The second 16 bits, as sent.
  public var flags: DNSFlags
  /// Entries in the question, answer, authority and additional sections.
  public var questionCount: UInt16, answerCount: UInt16, authorityCount: UInt16, additionalCount: UInt16

  /// In bytes.
  public static let length = 12

  /// Makes a header.
  public init(
    id: UInt16, flags: DNSFlags, questionCount: UInt16 = 1, answerCount: UInt16 = 0,
    authorityCount: UInt16 = 0, additionalCount: UInt16 = 0
  ) {
    self.id = id
    self.flags = flags
    self.questionCount = questionCount
    self.answerCount = answerCount
    self.authorityCount = authorityCount
    self.additionalCount = additionalCount
  }

  init(_ reader: inout DNSReader) throws(DNSError) {
    id = try reader.uint16()
    flags = DNSFlags(rawValue: try reader.uint16())
    questionCount = try reader.uint16()
    answerCount = try reader.uint16()
    authorityCount = try reader.uint16()
    additionalCount = try reader.uint16()
  }

  /// The header as it is sent.
  public var encoded: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }

  func append(to bytes: inout [UInt8]) {
    bytes.append(networkOrder: id)
    bytes.append(networkOrder: flags.rawValue)
    bytes.append(networkOrder: questionCount)
    bytes.append(networkOrder: answerCount)
    bytes.append(networkOrder: authorityCount)
    bytes.append(networkOrder: additionalCount)
  }
}

/// Flags, opcode and response code of a header.
///
/// - Source: RFC 1035 §4.1.1, RFC 4035 §3 (AD, CD).
public struct DNSFlags: OptionSet, Hashable, Sendable {
  /// The 16 bits as in the header.
  public let rawValue: UInt16

  /// Takes the 16 bits of a header.
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// QR: a response.
  public static let response = DNSFlags(rawValue: 1 << 15)
  /// AA: from the zone's own server.
  public static let authoritative = DNSFlags(rawValue: 1 << 10)
  /// TC: cut short, ask again over TCP.
  public static let truncated = DNSFlags(rawValue: 1 << 9)
  /// RD: the client wants recursion.
  public static let recursionDesired = DNSFlags(rawValue: 1 << 8)
  /// RA: the server offers recursion.
  public static let recursionAvailable = DNSFlags(rawValue: 1 << 7)
  /// CD: the client wants no validation.
  public static let checkingDisabled = DNSFlags(rawValue: 1 << 4)

  /// 0 is QUERY.
  public var opcode: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 11 & 0xf) }
  /// The lower four bits of the response code.
  public var responseCode: UInt8 { UInt8(truncatingIfNeeded: rawValue & 0xf) }
}

/// A response code, with the upper bits that EDNS adds.
///
/// - Source: IANA, "DNS RCODEs"; RFC 6891 §6.1.3.
public struct DNSResponseCode: RawRepresentable, Hashable, Sendable {
  /// 0 to 4095.
  public let rawValue: UInt16

  /// Takes the code.
  public init(rawValue: UInt16) {
    self.rawValue = rawValue
  }

  /// NOERROR.
  public static let noError = DNSResponseCode(rawValue: 0)
  /// FORMERR.
  public static let formatError = DNSResponseCode(rawValue: 1)
  /// SERVFAIL.
  public static let serverFailure = DNSResponseCode(rawValue: 2)
  /// NXDOMAIN.
  public static let nameDoesNotExist = DNSResponseCode(rawValue: 3)
  /// NOTIMP.
  public static let notImplemented = DNSResponseCode(rawValue: 4)
  /// REFUSED.
  public static let refused = DNSResponseCode(rawValue: 5)
  /// BADVERS: an EDNS version that is not spoken (RFC 6891 §6.1.3).
  public static let badVersion = DNSResponseCode(rawValue: 16)
}

extension [UInt8] {
  /// Adds the bytes of `value` in network order.
  mutating func append(networkOrder value: UInt16) {
    append(UInt8(truncatingIfNeeded: value >> 8))
    append(UInt8(truncatingIfNeeded: value))
  }
}

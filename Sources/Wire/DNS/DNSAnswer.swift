import Addressing

/// What a response says behind its question, ready to be written for any client
/// that asked this question: the records' bytes, and where their times to live are.
///
/// Owners are pointers to the question, so the bytes fit every message whose
/// question has the same length.
public struct DNSAnswer: Hashable, Sendable {
  /// What became of the question.
  public let responseCode: DNSResponseCode
  /// Why, for clients that speak EDNS.
  public let error: DNSExtendedError?
  /// Records in the answer section and in the authority section.
  public let answerCount: UInt16, authorityCount: UInt16
  /// The records of both sections.
  public let records: [UInt8]
  /// Where in `records` the 32 bits of each time to live begin.
  public let lifetimes: [UInt16]

  /// A response without records.
  public init(_ responseCode: DNSResponseCode, _ error: DNSExtendedError? = nil) {
    self.init(DNSAnswerBuilder(questionLength: 0), responseCode, error)
  }

  init(_ builder: DNSAnswerBuilder, _ responseCode: DNSResponseCode, _ error: DNSExtendedError?) {
    self.responseCode = responseCode
    self.error = error
    answerCount = builder.answerCount
    authorityCount = builder.authorityCount
    records = builder.records
    lifetimes = builder.lifetimes
  }
}

/// Why an answer is what it is, as a number and a few words.
///
/// - Source: RFC 8914; IANA, "Extended DNS Error Codes".
public struct DNSExtendedError: Hashable, Sendable {
  /// The INFO-CODE.
  public var code: UInt16
  /// The EXTRA-TEXT: at most 64 bytes of ASCII, the gate's own words.
  public var text: String

  /// Makes an error.
  public init(code: UInt16, text: String = "") {
    self.code = code
    self.text = text
  }

  /// Blocked: an administrator's rule denies the name (§4.16).
  public static func blocked(_ text: String) -> Self { Self(code: 15, text: text) }
  /// Filtered: what the name leads to is denied (§4.18).
  public static func filtered(_ text: String) -> Self { Self(code: 17, text: text) }
  /// Prohibited: this client may not ask this (§4.19).
  public static func prohibited(_ text: String) -> Self { Self(code: 18, text: text) }
  /// Not Authoritative: RD is clear and nothing is known (§4.21).
  public static func notAuthoritative(_ text: String) -> Self { Self(code: 20, text: text) }
  /// No Reachable Authority: no upstream answered in time (§4.23).
  public static func unreachable(_ text: String) -> Self { Self(code: 22, text: text) }
  /// Network Error: an upstream failed (§4.24).
  public static func networkError(_ text: String) -> Self { Self(code: 23, text: text) }
  /// Other (§4.1).
  public static func other(_ text: String) -> Self { Self(code: 0, text: text) }
}

/// Puts the records of an answer together, in their order on the wire.
public struct DNSAnswerBuilder: Sendable {
  fileprivate(set) var answerCount: UInt16 = 0
  fileprivate(set) var authorityCount: UInt16 = 0
  fileprivate(set) var records: [UInt8] = []
  fileprivate(set) var lifetimes: [UInt16] = []
  private let questionLength: Int
  /// Points to the name that the next answer belongs to: at first that of the question.
  private var owner = 0xc000 | UInt16(DNSHeader.length)

  /// Answers longer than this are cut: no message is longer (RFC 1035 §4.2.2),
  /// and a pointer must reach their start (§4.1.4).
  private static let limit = 0x3fff - DNSHeader.length - DNSName.maximumLength - 4

  /// - Parameter questionLength: Name, type and class, in bytes.
  public init(questionLength: Int) {
    self.questionLength = questionLength
  }

  /// Adds an alias of the name so far; what follows belongs to `target`.
  public mutating func add(alias target: DNSName) {
    let place = DNSHeader.length + questionLength + records.count + 2 + 10
    guard add(.cname, target.wire) else { return }
    owner = 0xc000 | UInt16(truncatingIfNeeded: place)
  }

  /// Adds an A or AAAA record.
  public mutating func add(_ address: IPAddress) {
    switch address {
    case .v4(let value):
      guard begin(owner: owner, .a, count: 4) else { return }
      records.append(networkOrder: UInt16(truncatingIfNeeded: value >> 16))
      records.append(networkOrder: UInt16(truncatingIfNeeded: value))
    case .v6(let high, let low):
      guard begin(owner: owner, .aaaa, count: 16) else { return }
      for half in [high, low] {
        for shift in stride(from: 48, through: 0, by: -16) {
          records.append(networkOrder: UInt16(truncatingIfNeeded: half >> UInt64(shift)))
        }
      }
    }
    answerCount += 1
  }

  /// Adds a record with uncompressed data. False: there is no room for it.
  @discardableResult
  public mutating func add(_ type: DNSRecordType, _ data: [UInt8]) -> Bool {
    guard begin(owner: owner, type, count: data.count) else { return false }
    records += data
    answerCount += 1
    return true
  }

  /// Adds the SOA that lets a client remember that there is nothing, for as
  /// long as its own time to live says (RFC 2308 §5). It is the root's, so it
  /// stands above every name.
  ///
  /// - Parameters:
  ///   - serial: What its SERIAL says.
  ///   - minimum: MINIMUM, in seconds.
  public mutating func addAuthority(serial: UInt32, minimum: UInt32) {
    var data: [UInt8] = [0, 0]
    for number in [serial, minimum, minimum, minimum, minimum] {
      data += bigEndianBytes(UInt64(number), count: 4)
    }
    guard begin(owner: nil, .soa, count: data.count) else { return }
    records += data
    authorityCount += 1
  }

  /// Writes all of a record but its data. False: there is no room for `count` bytes of it.
  ///
  /// - Parameter owner: A pointer; nil: the root.
  private mutating func begin(owner: UInt16?, _ type: DNSRecordType, count: Int) -> Bool {
    guard count <= Int(UInt16.max), records.count + 12 + count <= Self.limit else { return false }
    if records.isEmpty { records.reserveCapacity(2 * (12 + count)) }
    if let owner { records.append(networkOrder: owner) } else { records.append(0) }
    records.append(networkOrder: type.rawValue)
    records.append(networkOrder: dnsClassInternet)
    lifetimes.append(UInt16(truncatingIfNeeded: records.count))
    records.append(networkOrder: 0)
    records.append(networkOrder: 0)
    records.append(networkOrder: UInt16(truncatingIfNeeded: count))
    return true
  }

  /// The answer so far.
  public func finish(_ responseCode: DNSResponseCode, _ error: DNSExtendedError? = nil) -> DNSAnswer {
    DNSAnswer(self, responseCode, error)
  }
}

private func bigEndianBytes(_ value: UInt64, count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - $0))) }
}

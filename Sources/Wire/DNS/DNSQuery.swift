/// A question: a name, a type and a class.
///
/// - Source: RFC 1035 §4.1.2.
public struct DNSQuestion: Hashable, Sendable {
  /// The name, in the case it was sent in.
  public var name: DNSName
  /// The type asked for.
  public var type: DNSRecordType
  /// The class, IN being `dnsClassInternet`.
  public var questionClass: UInt16

  /// Makes a question of class IN.
  public init(_ name: DNSName, _ type: DNSRecordType) {
    self.name = name
    self.type = type
    questionClass = dnsClassInternet
  }

  init(_ reader: inout DNSReader) throws(DNSError) {
    name = try reader.name()
    type = DNSRecordType(rawValue: try reader.uint16())
    questionClass = try reader.uint16()
  }

  /// The question as it is sent, never compressed.
  public var encoded: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }

  func append(to bytes: inout [UInt8]) {
    bytes += name.wire
    bytes.append(networkOrder: type.rawValue)
    bytes.append(networkOrder: questionClass)
  }

  /// The question with its name in lower case.
  public var folded: DNSQuestion {
    var copy = self
    copy.name = name.folded
    return copy
  }
}

/// A query with one question: the one form that is sent, and the one form that
/// is taken. Nothing else that a client puts into its message is kept.
public struct DNSQuery: Hashable, Sendable {
  /// What the response must repeat.
  public var id: UInt16
  /// RD.
  public var recursionDesired: Bool
  /// CD.
  public var checkingDisabled: Bool
  /// The question.
  public var question: DNSQuestion
  /// nil: the sender speaks no EDNS.
  public var edns: EDNS?

  /// The largest UDP response that is asked for, in bytes: it fits the smallest
  /// IPv6 MTU with room for headers (DNS Flag Day 2020).
  public static let payloadSize: UInt16 = 1232

  /// Makes a recursive query of one's own, with EDNS.
  public init(id: UInt16, question: DNSQuestion) {
    self.id = id
    self.question = question
    recursionDesired = true
    checkingDisabled = false
    edns = EDNS(payloadSize: Self.payloadSize)
  }

  /// Reads a client's query.
  ///
  /// - Parameter bytes: The whole message, without TCP's length.
  /// - Throws: `DNSError`. Only `.wrongDirection`, and `.truncated` in the
  ///   header, deserve no answer at all.
  public static func parse(_ bytes: [UInt8]) throws(DNSError) -> DNSQuery {
    let scan = try DNSQueryScan(unsafe bytes.span.bytes)
    let name = bytes[DNSQueryScan.nameOffset..<(DNSQueryScan.nameOffset + scan.nameLength)]
    var query = DNSQuery(id: scan.id, question: DNSQuestion(DNSName(checked: Array(name)), scan.type))
    query.recursionDesired = scan.flags.contains(.recursionDesired)
    query.checkingDisabled = scan.flags.contains(.checkingDisabled)
    query.edns = scan.edns
    return query
  }

  /// The message as it is sent, without TCP's length.
  public var encoded: [UInt8] {
    var flags: DNSFlags = recursionDesired ? .recursionDesired : []
    if checkingDisabled { flags.insert(.checkingDisabled) }
    let header = DNSHeader(id: id, flags: flags, additionalCount: edns == nil ? 0 : 1)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(DNSHeader.length + question.name.wire.count + 4 + EDNS.length)
    header.append(to: &bytes)
    question.append(to: &bytes)
    edns?.append(to: &bytes)
    return bytes
  }
}

/// Reads `count` records; each takes at least 11 bytes, so the message bounds them.
func readRecords(_ count: UInt16, _ reader: inout DNSReader) throws(DNSError) -> [DNSRecord] {
  var records: [DNSRecord] = []
  for _ in 0..<count { records.append(try DNSRecord(&reader)) }
  return records
}

/// The data of a response's records, made fit to be sent in another message.
///
/// Names inside the data may be compressed against the message they came in
/// (RFC 1035 §4.1.4), so data is taken apart and written anew wherever its type
/// is old enough for that; any other is copied, since no newer type may be
/// compressed (RFC 3597 §4).
public enum DNSRecordRebuild {
  /// The most records that are taken.
  public static let maximumCount = 64
  /// The most data that is taken, in bytes: with it, a question, 8 aliases and
  /// the records' own headers still make one message of 65,535 bytes.
  public static let maximumSize = 60_000

  /// The data of those answer records of class IN that belong to `owner` and
  /// are of `type`, each once and in order; what is above the limits is left out.
  ///
  /// - Parameters:
  ///   - message: The whole response, without TCP's length.
  ///   - owner: Compared without case.
  /// - Throws: `DNSError`; `.badRecord` when data does not fit its type.
  public static func answers(
    in message: [UInt8], of owner: DNSName, type: DNSRecordType
  ) throws(DNSError) -> [[UInt8]] {
    var reader = DNSReader(message)
    let header = try DNSHeader(&reader)
    for _ in 0..<header.questionCount { _ = try DNSQuestion(&reader) }
    let owner = owner.folded
    var found: [[UInt8]] = [], size = 0
    for _ in 0..<header.answerCount {
      let record = try Place(&reader)
      guard record.owner == owner, record.type == type, record.isInternet else { continue }
      let data = try rebuilt(record, in: message)
      guard size + data.count <= maximumSize, !found.contains(data) else { continue }
      found.append(data)
      size += data.count
      if found.count == maximumCount { break }
    }
    return found
  }

  /// Writes the data of one record anew.
  private static func rebuilt(_ record: Place, in message: [UInt8]) throws(DNSError) -> [UInt8] {
    guard let fields = RebuiltPart.layout(of: record.type) else { return Array(message[record.data]) }
    var reader = DNSReader(message, at: record.data.lowerBound)
    var data: [UInt8] = []
    for field in fields { data += try field.read(&reader, until: record.data.upperBound) }
    guard reader.offset == record.data.upperBound else { throw .badRecord }
    return data
  }
}

/// Where the parts of one record are.
private struct Place {
  let owner: DNSName, type: DNSRecordType, isInternet: Bool
  let data: Range<Int>

  init(_ reader: inout DNSReader) throws(DNSError) {
    owner = try reader.name().folded
    type = DNSRecordType(rawValue: try reader.uint16())
    isInternet = try reader.uint16() == dnsClassInternet
    _ = try reader.uint32()
    let length = Int(try reader.uint16())
    let start = reader.offset
    _ = try reader.bytes(length)
    data = start..<reader.offset
  }
}

/// A part of the data of a type that may hold compressed names.
private enum RebuiltPart {
  /// So many bytes.
  case bytes(Int)
  /// A domain name.
  case name
  /// A length byte and as many bytes (RFC 1035 §3.3).
  case string
  /// All that is left.
  case rest

  /// The parts of a type's data; nil when it holds no name that may be compressed.
  ///
  /// - Source: RFC 1035 §3.3 (NS 2, MD 3, MF 4, CNAME 5, SOA 6, MB 7, MG 8, MR 9,
  ///   PTR 12, MINFO 14, MX 15); RFC 3597 §4 names the others whose first
  ///   descriptions allowed it: RFC 1183 (RP 17, AFSDB 18, RT 21), RFC 2535 (SIG 24,
  ///   NXT 30), RFC 2163 (PX 26), RFC 2782 (SRV 33), RFC 3403 (NAPTR 35), and, as
  ///   seen in the wild, RFC 2230 (KX 36), RFC 6672 (DNAME 39).
  static func layout(of type: DNSRecordType) -> [RebuiltPart]? {
    switch type.rawValue {
    case 2, 3, 4, 5, 7, 8, 9, 12, 39: [.name]
    case 6: [.name, .name, .bytes(20)]
    case 14, 17: [.name, .name]
    case 15, 18, 21, 36: [.bytes(2), .name]
    case 24: [.bytes(18), .name, .rest]
    case 26: [.bytes(2), .name, .name]
    case 30: [.name, .rest]
    case 33: [.bytes(6), .name]
    case 35: [.bytes(4), .string, .string, .string, .name]
    default: nil
    }
  }

  /// Reads this part; it must end at `end` or before.
  func read(_ reader: inout DNSReader, until end: Int) throws(DNSError) -> [UInt8] {
    let part: [UInt8]
    switch self {
    case .bytes(let count): part = Array(try reader.bytes(count))
    // In lower case: one that was compressed has the random case of the gate's own query.
    case .name: part = try reader.name().folded.wire
    case .string:
      guard let length = try reader.bytes(1).first else { throw .truncated }
      part = [length] + (try reader.bytes(Int(length)))
    case .rest: part = Array(try reader.bytes(max(end - reader.offset, 0)))
    }
    guard reader.offset <= end else { throw .badRecord }
    return part
  }
}

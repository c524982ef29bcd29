/// A response, read in two steps: first what tells whether it answers a query
/// at all, then its records.
public struct DNSResponse: Hashable, Sendable {
  /// The header.
  public let header: DNSHeader
  /// The one question it repeats.
  public let question: DNSQuestion
  /// Where the records begin, in bytes.
  private let recordsOffset: Int
  private let bytes: [UInt8]

  /// Reads header and question.
  ///
  /// - Parameter bytes: The whole message, without TCP's length; of a truncated
  ///   response the rest may be anything.
  /// - Throws: `DNSError`.
  public init(_ bytes: [UInt8]) throws(DNSError) {
    var reader = DNSReader(bytes)
    header = try DNSHeader(&reader)
    guard header.flags.contains(.response) else { throw .wrongDirection }
    guard header.flags.opcode == 0 else { throw .unsupportedOpcode }
    guard header.questionCount == 1 else { throw .wrongCounts }
    question = try DNSQuestion(&reader)
    recordsOffset = reader.offset
    self.bytes = bytes
  }

  /// TC: the records are not all there.
  public var isTruncated: Bool { header.flags.contains(.truncated) }

  /// Reads the records of all three sections.
  ///
  /// - Throws: `DNSError`.
  public func sections() throws(DNSError) -> DNSSections {
    var reader = DNSReader(bytes, at: recordsOffset)
    let answers = try readRecords(header.answerCount, &reader)
    let authorities = try readRecords(header.authorityCount, &reader)
    let additionals = try readRecords(header.additionalCount, &reader)
    guard reader.isAtEnd else { throw .trailingBytes }
    guard !(answers + authorities).contains(where: { $0.type == .opt }) else { throw .badOptions }
    let edns = try EDNS(in: additionals)
    let upper = UInt16(edns?.extendedResponseCode ?? 0) << 4
    return DNSSections(
      responseCode: DNSResponseCode(rawValue: upper | UInt16(header.flags.responseCode)),
      answers: answers, authorities: authorities, additionals: additionals, edns: edns)
  }
}

/// The records of a response.
public struct DNSSections: Hashable, Sendable {
  /// The response code, EDNS's upper bits included.
  public var responseCode: DNSResponseCode
  /// The answer section.
  public var answers: [DNSRecord]
  /// The authority section.
  public var authorities: [DNSRecord]
  /// The additional section, the OPT record included.
  public var additionals: [DNSRecord]
  /// What the OPT record says.
  public var edns: EDNS?
}

/// Writes the response to one query into memory that the caller has: header,
/// the question as the client spelled it, the records of an answer, and an OPT
/// record when the client sent one.
///
/// - Source: RFC 1035 §4.1, RFC 6891 §7 (OPT), RFC 8914 §2 (EDE).
public enum DNSResponseWriter {
  /// The largest response over UDP, in bytes (DNS Flag Day 2020).
  public static let datagramLimit = 1232
  /// The smallest size a client must take over UDP (RFC 1035 §4.2.1).
  static let smallestLimit = 512
  /// The largest message there is (RFC 1035 §4.2.2).
  public static let messageLimit = 65_535

  /// How many bytes a response over UDP may have for this client.
  public static func datagramLimit(for query: DNSQueryScan) -> Int {
    guard let edns = query.edns else { return smallestLimit }
    return min(max(Int(edns.payloadSize), smallestLimit), datagramLimit)
  }

  /// Writes a response.
  ///
  /// - Parameters:
  ///   - message: The query, from whose beginning to `questionEnd` is repeated.
  ///   - lifetime: What every record's time to live is set to, in seconds.
  ///   - limit: The most bytes it may have; a longer one becomes TC=1 without records.
  ///   - output: At least `limit` bytes, and 512.
  /// - Returns: The bytes written.
  public static func write(
    _ answer: DNSAnswer, to query: DNSQueryScan, in message: RawSpan, lifetime: UInt32, limit: Int,
    into output: inout MutableRawSpan
  ) -> Int {
    let end = query.questionEnd
    let tail = optionsLength(for: query, answer.error)
    let fits = end + answer.records.count + tail <= min(limit, output.byteCount)
    var flags: DNSFlags = [.response, .recursionAvailable]
    flags.formUnion(query.flags.intersection([.recursionDesired, .checkingDisabled]))
    if !fits { flags.insert(.truncated) }
    output.put(query.id, at: 0)
    output.put(flags.rawValue | answer.responseCode.rawValue & 0xf, at: 2)
    output.put(1, at: 4)
    output.put(fits ? answer.answerCount : 0, at: 6)
    output.put(fits ? answer.authorityCount : 0, at: 8)
    output.put(query.edns == nil ? 0 : 1, at: 10)
    output.copy(message, DNSHeader.length..<end, to: DNSHeader.length)
    var position = end
    if fits {
      unsafe output.copy(answer.records.span.bytes, 0..<answer.records.count, to: position)
      for place in answer.lifetimes { output.put32(lifetime, at: position + Int(place)) }
      position += answer.records.count
    }
    return putOptions(answer, query, at: position, limit, into: &output)
  }

  /// Writes the twelve bytes that answer what is no query: its id, and why not.
  public static func writeError(
    _ responseCode: DNSResponseCode, to message: RawSpan, into output: inout MutableRawSpan
  ) -> Int {
    let asked = DNSFlags(rawValue: message.uint16(at: 2))
    var flags: DNSFlags = [.response, .recursionAvailable]
    flags.formUnion(asked.intersection(.recursionDesired))
    output.put(message.uint16(at: 0), at: 0)
    output.put(flags.rawValue | UInt16(asked.opcode) << 11 | responseCode.rawValue & 0xf, at: 2)
    for place in stride(from: 4, to: DNSHeader.length, by: 2) { output.put(0, at: place) }
    return DNSHeader.length
  }

  private static func optionsLength(for query: DNSQueryScan, _ error: DNSExtendedError?) -> Int {
    guard query.edns != nil else { return 0 }
    return 11 + (error.map { 6 + $0.text.utf8.count } ?? 0)
  }

  /// The gate's own OPT record: its size, DO as the client had it, and the error.
  private static func putOptions(
    _ answer: DNSAnswer, _ query: DNSQueryScan, at position: Int, _ limit: Int,
    into output: inout MutableRawSpan
  ) -> Int {
    guard let edns = query.edns else { return position }
    let error = position + optionsLength(for: query, answer.error) <= limit ? answer.error : nil
    output.put8(0, at: position)
    output.put(DNSRecordType.opt.rawValue, at: position + 1)
    output.put(DNSQuery.payloadSize, at: position + 3)
    output.put8(UInt8(truncatingIfNeeded: answer.responseCode.rawValue >> 4), at: position + 5)
    output.put8(0, at: position + 6)
    output.put(edns.dnssecOK ? 0x8000 : 0, at: position + 7)
    guard let error else {
      output.put(0, at: position + 9)
      return position + 11
    }
    let text = error.text.utf8
    output.put(UInt16(truncatingIfNeeded: 6 + text.count), at: position + 9)
    output.put(15, at: position + 11)
    output.put(UInt16(truncatingIfNeeded: 2 + text.count), at: position + 13)
    output.put(error.code, at: position + 15)
    unsafe output.copy(text.span.bytes, 0..<text.count, to: position + 17)
    return position + 17 + text.count
  }
}

extension MutableRawSpan {
  fileprivate mutating func put8(_ value: UInt8, at offset: Int) {
    storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
  }

  fileprivate mutating func put(_ value: UInt16, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
  }

  fileprivate mutating func put32(_ value: UInt32, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
  }

  fileprivate mutating func copy(_ source: RawSpan, _ range: Range<Int>, to offset: Int) {
    precondition(offset >= 0 && range.count <= byteCount - offset)
    let part = source.extracting(range)
    // Both ends were checked, one against each span.
    unsafe withUnsafeMutableBytes { target in
      unsafe part.withUnsafeBytes {
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: $0)
      }
    }
  }
}

import Addressing
import EventLoop
import Policy
import Testing
import Wire

@testable import Gateway

/// A client's query, byte for byte.
struct NameQuery {
  var id: UInt16 = 0x1234
  var flags: UInt16 = 0x0100
  var type = DNSRecordType.a
  /// EDNS's UDP size; nil: no OPT record.
  var edns: UInt16? = 1232
  /// Options behind the OPT record's header.
  var options: [UInt8] = []

  /// The message; the letters' case stays as it is.
  func bytes(_ name: String) -> [UInt8] {
    let labels = name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    let question = labels + [0] + [UInt8(type.rawValue >> 8), UInt8(type.rawValue & 0xff), 0, 1]
    let head = [id, flags, 1, 0, 0, edns == nil ? 0 : 1].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
    return head + question + opt
  }

  private var opt: [UInt8] {
    guard let edns else { return [] }
    return [0, 0, 41, UInt8(edns >> 8), UInt8(edns & 0xff), 0, 0, 0, 0]
      + [UInt8(options.count >> 8), UInt8(options.count & 0xff)] + options
  }
}

/// A response as a client reads it.
struct NameReply: CustomStringConvertible {
  let id: UInt16
  let isTruncated: Bool
  /// The name of the question, in the case in which it came back.
  let name: String
  let code: UInt16
  let answers: [DNSRecord]
  let authorities: [DNSRecord]
  /// The extended error.
  let error: UInt16?

  init(_ bytes: [UInt8]) throws {
    let response = try DNSResponse(bytes)
    let sections = try response.sections()
    id = response.header.id
    isTruncated = response.isTruncated
    name = response.question.name.description
    code = sections.responseCode.rawValue
    (answers, authorities) = (sections.answers, sections.authorities)
    // The gate's OPT record ends its message, with the error as its one option (RFC 8914 §2).
    error = sections.additionals.first.flatMap { record in
      guard case .other(let data) = record.data, data.count >= 6 else { return nil }
      return UInt16(data[data.startIndex + 4]) << 8 | UInt16(data[data.startIndex + 5])
    }
  }

  /// `0 www.test/CNAME=a.test a.test/A=11.11.0.10`, `3 18`, `0` for an answer without records.
  var description: String {
    ([String(code)] + (error.map { [String($0)] } ?? []) + answers.map(\.words)).joined(separator: " ")
  }

  /// The shortest time to live of the answers, in seconds.
  var lifetime: UInt32? { (answers + authorities).map(\.ttl).min() }
}

extension DNSRecord {
  fileprivate var words: String {
    switch data {
    case .address(let address): "\(owner)/\(type.mnemonic)=\(address)"
    case .canonicalName(let name): "\(owner)/CNAME=\(name)"
    case .startOfAuthority: "\(owner)/SOA"
    case .other(let data): "\(owner)/\(type.mnemonic)=\(data.count) bytes"
    }
  }
}

extension DNSAnswer {
  /// What a client reads that asked for `name`, `seconds` before the answer is over.
  func reply(to name: String, _ type: DNSRecordType = .a, lifetime: UInt32 = 60) throws -> NameReply {
    let query = NameQuery(type: type).bytes(name)
    var output = [UInt8](repeating: 0xee, count: DNSResponseWriter.messageLimit)
    let count = try output.withUnsafeMutableBytes { buffer in
      let scan = try DNSQueryScan(query.span.bytes)
      var span = buffer.mutableBytes
      return DNSResponseWriter.write(
        self, to: scan, in: query.span.bytes, lifetime: lifetime, limit: DNSResponseWriter.messageLimit,
        into: &span)
    }
    return try NameReply(Array(output[..<count]))
  }
}

extension QuestionVerdict {
  /// `deny no-rule`, `allow rule web would-deny @11.11.0.10`.
  var words: String {
    let parts = [
      action.rawValue, reason.rawValue, rule?.text, wouldDeny ? "would-deny" : nil, address.map { "@\($0)" },
    ]
    return parts.compactMap(\.self).joined(separator: " ")
  }
}

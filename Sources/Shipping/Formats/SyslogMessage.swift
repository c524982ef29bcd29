import Audit
import Policy

/// A syslog message: what people filter by as structured data, and the record's line, byte for byte, as its text.
///
/// - Source: RFC 5424 §6.
struct SyslogMessage: Sendable {
  /// Facility 13, "log audit" (§6.2.1).
  private static let facility: Int64 = 13
  /// Nobody has registered an enterprise number for this program; 32473 is the one for examples (RFC 5612),
  /// which no product's elements can be taken for.
  private static let element = "exitgate@32473"
  /// `sequenceId` goes from 1 to here and begins anew (§7.3.1).
  private static let lastSequenceID: UInt64 = 2_147_483_647

  /// The message without framing, printable ASCII.
  let text: String

  /// The message of a record.
  init(_ record: ExportRecord, from source: ExportSource) {
    text = Self.text(
      severity: record.severity, time: record.time, event: record.event, fields: record.fields,
      sequence: record.sequence, body: record.text, source)
  }

  /// The message of a signed head, which stands for the chain up to its number.
  init(_ head: SignedHead, from source: ExportSource) {
    text = Self.text(
      severity: 1, time: head.time, event: "head",
      fields: [
        .init("seq", .integer(Int64(clamping: head.sequence))), .init("hash", .string("\(head.hash)")),
        .init("event", .string("head")),
      ], sequence: nil, body: head.text, source)
  }

  private static func text(
    severity: Int64, time: Timestamp, event: String, fields: [JSONValue.Member], sequence: UInt64?,
    body: String, _ source: ExportSource
  ) -> String {
    let priority = facility * 8 + level(severity)
    let data = "[\(element) " + fields.map(parameter).joined(separator: " ") + "]"
    let meta = sequence.map { "[meta sequenceId=\"\(($0 &- 1) % lastSequenceID + 1)\"]" } ?? ""
    return
      "<\(priority)>1 \(time) \(source.host ?? "-") exitgate - \(identifier(event)) \(data)\(meta) \(body)"
  }

  /// Severities of syslog (§6.2.1): notice 5, warning 4, error 3, else informational 6.
  private static func level(_ severity: Int64) -> Int64 {
    switch severity {
    case 2: 5
    case 3: 4
    case 4...: 3
    default: 6
    }
  }

  /// `MSGID`: up to 32 bytes of printable ASCII without spaces.
  private static func identifier(_ event: String) -> String {
    let isFit = (1...32).contains(event.utf8.count) && event.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    return isFit ? event : "-"
  }

  private static func parameter(_ member: JSONValue.Member) -> String {
    let value: String
    switch member.value {
    case .string(let text): value = text
    case .bool(let flag): value = "\(flag)"
    default: value = compact(member.value)
    }
    return "\(member.name)=\"\(escaped(value))\""
  }

  /// `"`, `\` and `]` get a backslash (§6.3.3); what is not printable ASCII is first written as JSON escapes it.
  private static func escaped(_ value: String) -> String {
    var writer = JSONWriter(reserving: value.utf8.count + 2)
    writer.string(value)
    let isPlain = value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
    let shown = isPlain ? Array(value.utf8) : Array(writer.bytes.dropFirst().dropLast())
    var text: [UInt8] = []
    for byte in shown {
      if #"]\""#.utf8.contains(byte) { text.append(UInt8(ascii: "\\")) }
      text.append(byte)
    }
    return String(decoding: text, as: UTF8.self)
  }
}

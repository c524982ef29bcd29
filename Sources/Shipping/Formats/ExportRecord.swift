import Audit
import Policy

/// A record on its way out of the log, with its line, which other formats are made of.
public struct ExportRecord: Sendable {
  /// All that the record says.
  public let record: LogRecord
  /// Its number.
  public let sequence: UInt64
  /// Its hash, 64 hexadecimal digits, as the line states it.
  public let hash: String
  /// When it happened.
  public let time: Timestamp
  /// Its line, printable ASCII without its end: the bytes that hash and signature speak of.
  public let text: String

  /// Reads a line; nil for what is no whole record.
  public init?(_ line: LogLine) {
    guard !line.isTorn, let record = try? LogRecord(line), let sequence = record.sequence,
      let hash = record.json["hash"]?.text, let time = record.time
    else { return nil }
    (self.record, self.sequence, self.hash, self.time) = (record, sequence, hash, time)
    text = line.text
  }

  /// The kind of record; `record` where it names none.
  var event: String { record.event ?? "record" }
  /// Whether its line proves the chain up to itself.
  var isCheckpoint: Bool { record.event == "checkpoint" }
  /// `severity_id` of OCSF: 1 informational, 2 low, 3 medium, 4 high.
  var severity: Int64 { record.json["severity_id"]?.integer ?? 1 }

  /// What people search for, by names that are the same in every format: texts, and numbers as numbers.
  var fields: [JSONValue.Member] {
    let destination = record.json["dst_endpoint"]
    let all: [(String, JSONValue?)] = [
      ("seq", .integer(Int64(clamping: sequence))), ("hash", .string(hash)), ("event", .string(event)),
      ("agent", record.agent.map { .string($0) }), ("layer", record.layer.map { .string($0.rawValue) }),
      ("verdict", record.verdict.map { .string($0.rawValue) }),
      ("would_deny", record.wouldDeny ? .bool(true) : nil),
      ("reason", record.reason.map { .string($0) }), ("rule", record.rule.map { .string($0) }),
      ("host", (destination?["hostname"] ?? destination?["ip"])?.text.map { .string($0) }),
      ("port", destination?["port"]?.integer.map { .integer($0) }),
      ("protocol", record.ownText("protocol").map { .string($0) }),
      ("count", record.count > 1 ? .integer(Int64(clamping: record.count)) : nil),
    ]
    return all.compactMap { name, value in value.map { JSONValue.Member(name, $0) } }
  }
}

/// What an export says of the host and the program that it comes from.
public struct ExportSource: Hashable, Sendable {
  /// The host's name; nil where it has none that can be written.
  public var host: String?
  /// The version of the program.
  public var version: String

  /// Makes one. A name that is no printable ASCII, or too long for syslog, is left out.
  public init(host: String?, version: String) {
    self.host = host.flatMap { host in
      let isFit = !host.isEmpty && host.utf8.count <= 255 && host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
      return isFit ? host : nil
    }
    self.version = version
  }
}

/// In which form records leave.
public enum ExportFormat: String, Hashable, Sendable, CaseIterable {
  /// Documents of the Open Cybersecurity Schema Framework, one JSON object each.
  case ocsf
  /// Documents of the Elastic Common Schema, one JSON object each.
  case ecs
  /// Requests of OTLP/JSON with logs, one for each batch of records.
  case otlp
  /// Messages of RFC 5424.
  case syslog

  /// How many records one line of the output may hold.
  public var batchSize: Int { self == .otlp ? 100 : 1 }

  /// One line of output without its end, printable ASCII.
  public func line(for records: [ExportRecord], from source: ExportSource) -> String {
    switch self {
    case .ocsf: records.map { compact($0.ocsf(from: source)) }.joined(separator: "\n")
    case .ecs: records.map { compact($0.ecs(from: source)) }.joined(separator: "\n")
    case .otlp: compact(OTLPLogs.request(records.map(OTLPLogs.entry), from: source))
    case .syslog: records.map { SyslogMessage($0, from: source).text }.joined(separator: "\n")
    }
  }
}

/// A value as JSON in printable ASCII.
func compact(_ json: JSONValue) -> String {
  var writer = JSONWriter()
  writer.value(json)
  return String(decoding: writer.bytes, as: UTF8.self)
}

/// An object of the members that there are, in this order.
func object(_ members: [(String, JSONValue?)]) -> JSONValue {
  .object(members.compactMap { name, value in value.map { JSONValue.Member(name, $0) } })
}

/// An object as above; nil when it has no member.
func objectUnlessEmpty(_ members: [(String, JSONValue?)]) -> JSONValue? {
  let made = object(members)
  return made.members?.isEmpty == true ? nil : made
}

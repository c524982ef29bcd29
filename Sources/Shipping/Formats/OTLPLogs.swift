import Audit
import Policy

/// Records as logs of OTLP in its JSON encoding: the line as the body, what people search for as attributes.
///
/// - Source: OpenTelemetry protocol 1.x, `opentelemetry/proto/logs/v1/logs.proto` and "JSON Protobuf Encoding"; log
///   data model, severities.
enum OTLPLogs {
  /// A request for `/v1/logs`.
  static func request(_ entries: [JSONValue], from source: ExportSource) -> JSONValue {
    let scope = object([
      ("scope", scope(named: "exitgate.audit", source)), ("logRecords", .array(entries)),
    ])
    let resource = object([("resource", resource(source)), ("scopeLogs", .array([scope]))])
    return object([("resourceLogs", .array([resource]))])
  }

  /// One log record.
  static func entry(_ record: ExportRecord) -> JSONValue {
    let level = level(record.severity)
    return object([
      ("timeUnixNano", nanoseconds(record.time)), ("observedTimeUnixNano", nanoseconds(record.time)),
      ("severityNumber", .integer(level.number)), ("severityText", .string(level.text)),
      ("body", object([("stringValue", .string(record.text))])),
      ("attributes", .array(record.fields.map { attribute("exitgate.\($0.name)", $0.value) })),
      ("eventName", .string("exitgate.\(record.event)")),
    ])
  }

  /// The signed head of a log, as a log record.
  static func entry(_ head: SignedHead) -> JSONValue {
    object([
      ("timeUnixNano", nanoseconds(head.time)), ("observedTimeUnixNano", nanoseconds(head.time)),
      ("severityNumber", .integer(9)), ("severityText", .string("INFO")),
      ("body", object([("stringValue", .string(head.text))])),
      (
        "attributes",
        .array([
          attribute("exitgate.seq", .integer(Int64(clamping: head.sequence))),
          attribute("exitgate.hash", .string("\(head.hash)")), attribute("exitgate.event", .string("head")),
        ])
      ),
      ("eventName", .string("exitgate.head")),
    ])
  }

  /// Who it comes from.
  static func resource(_ source: ExportSource) -> JSONValue {
    let attributes = [
      attribute("service.name", .string("exitgate")), attribute("service.version", .string(source.version)),
    ]
    let host = source.host.map { [attribute("host.name", .string($0))] } ?? []
    return object([("attributes", .array(attributes + host))])
  }

  /// The part of the program that speaks.
  static func scope(named name: String, _ source: ExportSource) -> JSONValue {
    object([("name", .string(name)), ("version", .string(source.version))])
  }

  /// A `KeyValue`; integers of 64 bits are text in this encoding.
  static func attribute(_ name: String, _ value: JSONValue) -> JSONValue {
    let typed: JSONValue
    switch value {
    case .string(let text): typed = object([("stringValue", .string(text))])
    case .bool(let flag): typed = object([("boolValue", .bool(flag))])
    case .integer(let number): typed = object([("intValue", .string("\(number)"))])
    default: typed = object([("stringValue", .string(compact(value)))])
    }
    return object([("key", .string(name)), ("value", typed)])
  }

  /// A `fixed64` of nanoseconds since 1970; what cannot be one is 0, which means unknown.
  static func nanoseconds(_ time: Timestamp) -> JSONValue {
    let (nanoseconds, overflow) = UInt64(max(0, time.milliseconds)).multipliedReportingOverflow(by: 1_000_000)
    return .string("\(overflow ? 0 : nanoseconds)")
  }

  private static func level(_ severity: Int64) -> (number: Int64, text: String) {
    switch severity {
    case 2: (10, "INFO2")
    case 3: (13, "WARN")
    case 4...: (17, "ERROR")
    default: (9, "INFO")
    }
  }
}

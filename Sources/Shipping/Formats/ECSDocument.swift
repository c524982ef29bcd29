import Addressing
import Audit
import Policy

extension ExportRecord {
  /// The record as a document of the Elastic Common Schema 8.17; what that has no field for is below `exitgate`.
  ///
  /// - Source: ECS 8.17, field sets base, event, observer, source, destination, network, dns, http, rule, process, user.
  func ecs(from source: ExportSource) -> JSONValue {
    ECSParts(self, source).document
  }
}

private struct ECSParts {
  let record: ExportRecord
  let source: ExportSource
  private var json: JSONValue { record.record.json }

  init(_ record: ExportRecord, _ source: ExportSource) {
    (self.record, self.source) = (record, source)
  }

  var document: JSONValue {
    object([
      ("@timestamp", .string("\(record.time)")), ("ecs", object([("version", .string("8.17.0"))])),
      ("message", .string(TailFormat(isColoured: false).line(for: record.record))),
      ("event", event), ("observer", observer), ("source", client), ("destination", destination),
      ("network", network), ("dns", names), ("http", request), ("rule", rule),
      ("process", process),
      ("user", objectUnlessEmpty([("id", json["actor"]?["user"]?["uid"])])), ("exitgate", own),
    ])
  }

  private var process: JSONValue? {
    let process = json["actor"]?["process"]
    return objectUnlessEmpty([
      ("pid", process?["pid"]), ("name", process?["name"]), ("executable", process?["file"]?["path"]),
      ("command_line", process?["cmd_line"]), ("working_directory", process?["working_directory"]),
    ])
  }

  private var event: JSONValue {
    object([
      ("kind", .string(record.record.isAlert ? "alert" : "event")),
      ("category", .array([.string(kind.category)])), ("type", .array(kind.types.map { .string($0) })),
      ("action", .string(record.event)), ("outcome", outcome.map { .string($0) }),
      ("reason", record.record.reason.map { .string($0) }), ("severity", .integer(record.severity)),
      ("module", .string("exitgate")), ("dataset", .string("exitgate.audit")),
      ("sequence", .integer(Int64(clamping: record.sequence))), ("hash", .string(record.hash)),
      (
        "duration",
        record.record.duration.map { .integer($0.multipliedReportingOverflow(by: 1_000_000).partialValue) }
      ),
      ("start", time("start_time")), ("end", time("end_time")),
      ("original", record.isCheckpoint ? .string(record.text) : nil),
    ])
  }

  private func time(_ name: String) -> JSONValue? {
    json[name]?.integer.map { .string("\(Timestamp(milliseconds: $0))") }
  }

  /// `event.category` and `event.type`.
  private var kind: (category: String, types: [String]) {
    switch record.event {
    case "decision", "rollup":
      let first = record.record.layer == .dns ? "protocol" : "connection"
      switch record.record.verdict {
      case .allow: return ("network", [first, "allowed"])
      case .deny: return ("network", [first, "denied"])
      default: return ("network", [first, "info"])
      }
    case "close": return ("network", ["connection", "end"])
    case "policy", "control": return ("configuration", ["change"])
    case "start": return ("process", ["start"])
    case "stop": return ("process", ["end"])
    default: return ("process", ["info"])
    }
  }

  private var outcome: String? {
    if let status = json["status_id"]?.integer { return status == 1 ? "success" : "failure" }
    switch record.record.verdict {
    case .allow: return "success"
    case .deny: return "failure"
    case .ask: return "unknown"
    case nil: return nil
    }
  }

  private var observer: JSONValue {
    object([
      ("product", .string("Exitgate")), ("vendor", .string("Exitgate")), ("type", .string("proxy")),
      ("version", .string(source.version)), ("hostname", source.host.map { .string($0) }),
    ])
  }

  private var client: JSONValue? {
    let endpoint = json["src_endpoint"]
    return objectUnlessEmpty([
      ("address", endpoint?["ip"] ?? endpoint?["name"]), ("ip", endpoint?["ip"]), ("port", endpoint?["port"]),
      ("bytes", json["traffic"]?["bytes_out"]),
    ])
  }

  private var destination: JSONValue? {
    let endpoint = json["dst_endpoint"]
    return objectUnlessEmpty([
      ("address", endpoint?["hostname"] ?? endpoint?["ip"]), ("domain", endpoint?["hostname"]),
      ("ip", endpoint?["ip"]), ("port", endpoint?["port"]), ("bytes", json["traffic"]?["bytes_in"]),
    ])
  }

  private var network: JSONValue? {
    guard kind.category == "network" else { return nil }
    let traffic = record.record.ownText("protocol").flatMap(TrafficProtocol.init)
    let bytes = json["traffic"].map { _ in record.record.bytesOut &+ record.record.bytesIn }
    return object([
      ("direction", .string("outbound")), ("transport", json["connection_info"]?["protocol_name"]),
      ("protocol", record.record.layer == .dns ? .string("dns") : application(traffic)),
      ("bytes", bytes.map { .integer(Int64(clamping: $0)) }),
    ])
  }

  /// `network.protocol` is of the application layer; `tcp` and `udp` are none.
  private func application(_ traffic: TrafficProtocol?) -> JSONValue? {
    switch traffic {
    case .https: .string("tls")
    case .http: .string("http")
    case .dns: .string("dns")
    default: nil
    }
  }

  private var names: JSONValue? {
    let question = objectUnlessEmpty([("name", json["query"]?["hostname"]), ("type", json["query"]?["type"])])
    return objectUnlessEmpty([("question", question), ("response_code", json["rcode"])])
  }

  private var request: JSONValue? {
    guard record.record.layer == .http, let method = record.record.ownText("method") else { return nil }
    return object([("request", object([("method", .string(method))]))])
  }

  private var rule: JSONValue? { record.record.rule.map { object([("id", .string($0))]) } }

  private var own: JSONValue {
    let chain = ["prev", "key", "signature"].compactMap { name in
      json[name].map { JSONValue.Member(name, $0) }
    }
    return .object((json["unmapped"]?.members ?? []) + chain)
  }
}

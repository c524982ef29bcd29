import Audit

extension ExportRecord {
  /// The record as a document of OCSF 1.8.0. The log's own lines are shaped after it; what one line of a log need not
  /// say each time is added, and what OCSF has no place for goes to `unmapped`.
  ///
  /// - Source: OCSF 1.8.0, classes network_activity, dns_activity, device_config_state_change, api_activity and
  ///   application_lifecycle; profiles security_control and host.
  func ocsf(from source: ExportSource) -> JSONValue {
    let json = record.json
    var members = (json.members ?? []).filter { !Self.remade.contains($0.name) }
    let added = OCSFParts(self, source)
    for (name, value) in added.members {
      if let value { members.append(.init(name, value)) }
    }
    return .object(members)
  }

  /// Members that are written anew, or stand elsewhere in a document.
  private static let remade: Set<String> = [
    "seq", "prev", "hash", "key", "signature", "metadata", "query", "connection_info", "src_endpoint",
    "unmapped",
  ]
}

/// What a document has beside the members of the line that stay as they are.
private struct OCSFParts {
  let record: ExportRecord
  let source: ExportSource
  private var json: JSONValue { record.record.json }

  init(_ record: ExportRecord, _ source: ExportSource) {
    (self.record, self.source) = (record, source)
  }

  var members: [(String, JSONValue?)] {
    [
      ("metadata", metadata), ("message", .string(TailFormat(isColoured: false).line(for: record.record))),
      ("activity_name", json["activity_id"]?.integer == 99 ? .string(record.event) : nil),
      ("query", json["query"]?["hostname"] == nil ? nil : json["query"]),
      ("connection_info", connection), ("src_endpoint", client), ("firewall_rule", rule),
      ("app", classNumber == 6002 ? product : nil), ("device", classNumber == 5019 ? device : nil),
      ("raw_data", record.isCheckpoint ? .string(record.text) : nil), ("unmapped", unmapped),
    ]
  }

  private var classNumber: Int64? { json["class_uid"]?.integer }
  private var isNetwork: Bool { classNumber == 4001 || classNumber == 4003 }
  private var isJudged: Bool { json["action_id"] != nil }

  private var metadata: JSONValue {
    object([
      ("version", .string("1.8.0")), ("product", product), ("log_name", .string("audit")),
      ("profiles", isJudged ? .array(profiles.map { .string($0) }) : nil),
      ("sequence", .integer(Int64(clamping: record.sequence))), ("uid", .string(record.hash)),
    ])
  }

  /// Who acted is no part of network activity but by the profile of hosts.
  private var profiles: [String] {
    ["security_control"] + (isNetwork && json["actor"] != nil ? ["host"] : [])
  }

  private var product: JSONValue {
    object([
      ("name", .string("Exitgate")), ("vendor_name", .string("Exitgate")),
      ("version", .string(source.version)),
    ])
  }

  /// `direction_id` 2: outbound, as all is that a gate decides.
  private var connection: JSONValue? {
    guard let members = json["connection_info"]?.members else { return nil }
    return .object(members + [.init("direction_id", .integer(2))])
  }

  /// Who began it: where the line names no address, the agent; for what came over the control socket, that.
  private var client: JSONValue? {
    if let known = json["src_endpoint"] { return known }
    if classNumber == 6003 { return object([("name", .string("control socket"))]) }
    return isNetwork ? object([("name", .string(record.record.agent ?? "default"))]) : nil
  }

  private var rule: JSONValue? {
    guard isJudged, let rule = record.record.rule else { return nil }
    return object([("uid", .string(rule))])
  }

  /// `type_id` 0: what kind of device a gate runs on, it does not know.
  private var device: JSONValue {
    object([
      ("type_id", .integer(0)), (source.host == nil ? "name" : "hostname", .string(source.host ?? "gate")),
    ])
  }

  private var unmapped: JSONValue {
    let own = json["unmapped"]?.members ?? []
    let chain = ["prev", "key", "signature"].compactMap { name in
      json[name].map { JSONValue.Member(name, $0) }
    }
    return .object(own + chain)
  }
}

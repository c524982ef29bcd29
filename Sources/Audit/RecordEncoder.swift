import Addressing
import Policy

/// The classes and numbers of OCSF 1.8 that the log uses.
///
/// - Source: Open Cybersecurity Schema Framework 1.8.0, classes
///   network_activity, dns_activity, device_config_state_change, api_activity,
///   application_lifecycle; enum of `disposition_id`.
enum OCSF {
  enum ActionID: Int { case allowed = 1, denied = 2, observed = 3 }
  enum Disposition: Int { case allowed = 1, blocked = 2, delayed = 14, logged = 17, reset = 21, error = 27 }
  enum Severity: Int { case informational = 1, low = 2, medium = 3, high = 4 }
}

/// The most bytes of one text field; what is longer is cut, and its length
/// written beside it. Longer than any host name (253) and any rule id (128).
let maximumFieldLength = 256

extension Record {
  /// Whether the record must reach the disk at once.
  var isUrgent: Bool {
    switch self {
    case .policy, .lifecycle, .control: true
    case .decision, .rollUp, .close: false
    }
  }

  /// Writes the record's members without the braces, the sequence number and
  /// the hashes around them.
  func encode(into json: inout JSONWriter) {
    switch self {
    case .decision(let record): record.encode(into: &json)
    case .rollUp(let record): record.encode(into: &json)
    case .close(let record): record.encode(into: &json)
    case .policy(let record): record.encode(into: &json)
    case .lifecycle(let record): record.encode(into: &json)
    case .control(let record): record.encode(into: &json)
    }
  }
}

extension DecisionRecord {
  func encode(into json: inout JSONWriter) {
    json.activity(layer: layer, verdict: verdict)
    json.judgement(time: time, reason: reason, verdict: verdict, wouldDeny: wouldDeny)
    if layer == .dns { json.query(destination, type: method) }
    if let responseCode { json.response(code: responseCode) }
    json.client(client)
    json.destination(destination, address: address)
    json.connection(destination, flow: flow, isPacket: layer == .kernel)
    program?.encodeAsActor(into: &json)
    json.object("unmapped") { json in
      encodeOwnFields(into: &json)
    }
  }

  private func encodeOwnFields(into json: inout JSONWriter) {
    json.verbatim(#""event":"decision""#)
    json.judged(agent: agent, layer: layer, destination: destination, reason: reason, rule: rule)
    json.outcome(verdict: verdict, wouldDeny: wouldDeny, generation: generation, extendedError: extendedError)
    if let method, layer != .dns { json.field("method", method) }
    if !listener.isEmpty { json.field("listener", listener) }
    if let detail { json.field("detail", detail) }
    approval?.encode(into: &json)
    if let rawHost { encode(rawHost, into: &json) }
  }

  private func encode(_ raw: [UInt8], into json: inout JSONWriter) {
    json.key("host_raw")
    json.string(bytes: raw.prefix(maximumFieldLength))
    guard raw.count > maximumFieldLength else { return }
    json.verbatim(#""truncated":true"#)
    json.key("len")
    json.integer(raw.count)
  }
}

extension CloseRecord {
  func encode(into json: inout JSONWriter) {
    json.networkActivity(activity)
    json.key("time")
    json.integer(time.milliseconds)
    json.verbatim(#""severity_id":1"#)
    json.key("duration")
    json.integer(duration.wholeMilliseconds)
    json.client(client)
    json.destination(destination, address: address?.address)
    json.connection(destination, flow: flow)
    json.object("traffic") { json in
      json.key("bytes_in")
      json.integer(bytesIn)
      json.key("bytes_out")
      json.integer(bytesOut)
    }
    json.object("unmapped") { json in
      json.verbatim(#""event":"close""#)
      json.owner(agent, destination)
      json.field("reason", reason.token)
      if let rule { json.field("rule", rule.text) }
      json.key("generation")
      json.integer(generation)
    }
  }

  private var activity: NetworkActivity {
    switch reason {
    case .finished, .idle, .shutdown: .close
    case .clientReset, .upstreamReset: .reset
    case .cut(.connectRefused), .cut(.connectTimeout), .cut(.connectFailed), .cut(.dnsFailure),
      .cut(.dnsTimeout):
      .fail
    case .cut: .close
    }
  }
}

extension PolicyRecord {
  func encode(into json: inout JSONWriter) {
    json.verbatim(#""class_uid":5019,"category_uid":5,"activity_id":1,"type_uid":501901"#)
    json.key("time")
    json.integer(time.milliseconds)
    json.verbatim(outcome == .loaded ? #""severity_id":1,"status_id":1"# : #""severity_id":3,"status_id":2"#)
    json.object("unmapped") { json in
      json.verbatim(#""event":"policy""#)
      json.field("outcome", outcome.rawValue)
      json.key("generation")
      json.integer(generation)
      json.field("mode", mode.rawValue)
      if let sha256 { json.field("sha256", sha256) }
      if let error { json.field("error", error) }
      json.key("sources")
      json.beginArray()
      for source in sources.prefix(16) { json.bounded(source, limit: 128) }
      json.endArray()
      if sources.count > 16 {
        json.key("sources_total")
        json.integer(sources.count)
      }
    }
  }
}

extension LifecycleRecord {
  func encode(into json: inout JSONWriter) {
    switch event {
    case .start: json.verbatim(startFields)
    case .stop: json.verbatim(#""class_uid":6002,"category_uid":6,"activity_id":4,"type_uid":600204"#)
    case .recovered, .collapsed, .rotated, .removed, .notice:
      json.verbatim(#""class_uid":6002,"category_uid":6,"activity_id":99,"type_uid":600299"#)
    }
    json.key("time")
    json.integer(time.milliseconds)
    json.verbatim(event == .collapsed || event == .recovered ? #""severity_id":3"# : #""severity_id":1"#)
    json.object("unmapped") { json in
      json.field("event", event.rawValue)
      if !detail.isEmpty { json.field("detail", detail) }
      if let agent { json.field("agent", agent.description) }
      if let reason { json.field("reason", reason) }
      for count in counts.prefix(16) {
        json.key(dynamic: count.name)
        json.integer(count.value)
      }
    }
  }

  /// `metadata` stands once in a run, not in each line.
  private var startFields: StaticString {
    """
    "class_uid":6002,"category_uid":6,"activity_id":3,"type_uid":600203,\
    "metadata":{"version":"1.8.0","product":{"name":"Exitgate"}}
    """
  }
}

extension ControlRecord {
  func encode(into json: inout JSONWriter) {
    json.verbatim(#""class_uid":6003,"category_uid":6,"activity_id":3,"type_uid":600303"#)
    json.key("time")
    json.integer(time.milliseconds)
    json.verbatim(refusal == nil ? #""severity_id":1,"status_id":1"# : #""severity_id":3,"status_id":2"#)
    json.object("actor") { json in
      if let processID {
        json.object("process") { json in
          json.key("pid")
          json.integer(processID)
        }
      }
      if let userID {
        json.object("user") { json in
          json.field("uid", String(userID))
        }
      }
    }
    json.object("api") { json in
      json.field("operation", operation)
    }
    json.object("unmapped") { json in
      json.verbatim(#""event":"control""#)
      if let subject { json.field("subject", subject) }
      if let refusal { json.field("refusal", refusal) }
      answer?.encode(into: &json)
    }
  }
}

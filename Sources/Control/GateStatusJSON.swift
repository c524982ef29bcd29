import Audit
import Policy

extension GateStatus {
  /// The JSON object that stands for the status on the control socket and in
  /// `exitgate status --json`.
  public var json: JSONValue { json(cap: .max) }

  /// The same with at most `cap` elements in each list.
  func json(cap: Int) -> JSONValue {
    .object([
      .init("pid", .integer(Int64(pid))), .init("version", text(version)),
      .init("uptime_ms", .integer(milliseconds(uptime))), .init("enforcing", .bool(warning == nil)),
      .init("warning", optional(warning)), .init("policy", policy.json),
      .init("listeners", .array(listeners.prefix(cap).map(\.json))),
      .init("stop", .object(stop.members(cap: cap))),
      .init("agents", .array(agents.prefix(cap).map { text($0.text) })),
      .init("decisions", .array(decisions.prefix(max(cap, Reason.allCases.count * 3)).map(\.json))),
      .init("connections", connections.json), .init("asking", asking.json), .init("audit", audit.json),
      .init("resolver", resolver.json(cap: cap)), .init("dns", dns?.json(cap: cap) ?? .null),
      .init("fence", fence?.json ?? .null), .init("processes", .array(processes.prefix(cap).map(\.json))),
      .init("loops", .array(loops.prefix(cap).map(\.json))), .init("cut", .bool(isCut || longestList > cap)),
    ])
  }

  private var longestList: Int {
    [
      listeners.count, agents.count, resolver.upstreams.count, loops.count, dns?.suspended.count ?? 0,
      dns?.listeners.count ?? 0,
    ].max() ?? 0
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      pid: try fields.number("pid"), version: try fields.text("version"),
      uptime: .milliseconds(try fields.number("uptime_ms") as Int64),
      policy: try PolicyStatus(try fields.fields("policy")),
      listeners: try fields.list("listeners", ListenerStatus.init),
      agents: try agentNames(fields.texts("agents")),
      decisions: try fields.list("decisions", DecisionCount.init),
      connections: try ConnectionStatus(try fields.fields("connections")),
      audit: try AuditStatus(try fields.fields("audit")),
      resolver: try ResolverStatus(try fields.fields("resolver")),
      loops: try fields.list("loops", LoopStatus.init))
    isCut = try fields.flag("cut")
    if let fields = try fields.fields(ifPresent: "stop") { stop = try StopOrder(fields) }
    if let fields = try fields.fields(ifPresent: "asking") { asking = try AskingStatus(fields) }
    if let fields = try fields.fields(ifPresent: "dns") { dns = try DNSStatus(fields) }
    if let fields = try fields.fields(ifPresent: "fence") { fence = try FenceStatus(fields) }
    processes = try fields.list("processes", ProcessStatus.init)
  }
}

extension PolicyStatus {
  var json: JSONValue {
    .object([
      .init("path", text(path)), .init("mode", .string(mode.rawValue)),
      .init("generation", count(generation)),
      .init("loaded_at", .string(loadedAt.description)),
      .init("audit_until", optional(auditUntil?.description)), .init("rules", .integer(Int64(rules))),
      .init("last_error", optional(lastError)),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    guard let loadedAt = Timestamp(try fields.text("loaded_at")) else { throw .field("loaded_at") }
    self.init(
      path: try fields.text("path"), mode: try fields.word("mode"),
      generation: try fields.count("generation"),
      loadedAt: loadedAt, auditUntil: try fields.text(ifPresent: "audit_until").flatMap { Timestamp($0) },
      rules: try fields.number("rules"),
      lastError: try fields.text(ifPresent: "last_error"))
  }
}

extension ListenerStatus {
  var json: JSONValue {
    .object([
      .init("address", text(address)), .init("agent", optional(agent?.text)),
      .init("accepted", count(accepted)),
      .init("paused", .bool(paused)),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    let agent = try fields.text(ifPresent: "agent")
    self.init(
      address: try fields.text("address"), agent: try agent.map(agentName),
      accepted: try fields.count("accepted"),
      paused: try fields.flag("paused"))
  }
}

extension DecisionCount {
  var json: JSONValue {
    .object([
      .init("verdict", .string(verdict.rawValue)), .init("reason", .string(reason.rawValue)),
      .init("count", Control.count(count)),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      verdict: try fields.word("verdict"), reason: try fields.word("reason"), count: try fields.count("count")
    )
  }
}

extension ConnectionStatus {
  var json: JSONValue {
    .object([
      .init("open", .integer(Int64(open))), .init("accepted", count(accepted)),
      .init("finished", count(finished)),
      .init("bytes_out", count(bytesOut)), .init("bytes_in", count(bytesIn)),
      .init("longest_ms", .integer(milliseconds(longest))),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      open: try fields.number("open"), accepted: try fields.count("accepted"),
      finished: try fields.count("finished"), bytesOut: try fields.count("bytes_out"),
      bytesIn: try fields.count("bytes_in"),
      longest: .milliseconds(try fields.number("longest_ms") as Int64))
  }
}

extension AuditStatus {
  var json: JSONValue {
    .object([
      .init("path", text(path)), .init("available", .bool(available)), .init("records", count(records)),
      .init("bytes", count(bytes)), .init("collapsed", count(collapsed)),
      .init("last_error", optional(lastError)),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      path: try fields.text("path"), available: try fields.flag("available"),
      records: try fields.count("records"),
      bytes: try fields.count("bytes"), collapsed: try fields.count("collapsed"),
      lastError: try fields.text(ifPresent: "last_error"))
  }
}

extension ResolverStatus {
  func json(cap: Int) -> JSONValue {
    .object([
      .init("upstreams", .array(upstreams.prefix(cap).map(\.json))), .init("lookups", count(lookups)),
      .init("cached", count(cached)), .init("queries", count(queries)), .init("failures", count(failures)),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      upstreams: try fields.list("upstreams", UpstreamStatus.init), lookups: try fields.count("lookups"),
      cached: try fields.count("cached"), queries: try fields.count("queries"),
      failures: try fields.count("failures"))
  }
}

extension LoopStatus {
  var json: JSONValue {
    .object([.init("channels", .integer(Int64(channels))), .init("accepted", count(accepted))])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(channels: try fields.number("channels"), accepted: try fields.count("accepted"))
  }
}

func optional(_ value: String?) -> JSONValue {
  value.map(text) ?? .null
}

/// Whole milliseconds; a duration too long for them stands still at the last.
private func milliseconds(_ duration: Duration) -> Int64 {
  let (seconds, attoseconds) = duration.components
  let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
  return overflow ? .max : whole.addingReportingOverflow(attoseconds / 1_000_000_000_000_000).partialValue
}

private func agentName(_ text: String) throws(ControlError) -> AgentName {
  guard let name = AgentName(text) else { throw .field("agent") }
  return name
}

func agentNames(_ texts: [String]) throws(ControlError) -> [AgentName] {
  var names: [AgentName] = []
  for text in texts { names.append(try agentName(text)) }
  return names
}

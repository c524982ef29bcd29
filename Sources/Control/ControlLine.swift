import Audit
import Policy

extension ControlRequest {
  /// Reads a request; nothing but the version, the verb and what belongs to it may
  /// stand in it, so that a later field is never dropped in silence by an older gate.
  ///
  /// - Parameter line: One line without its newline.
  public init(line: [UInt8]) throws(ControlError) {
    let fields = try openEnvelope(line)
    guard let verb = Verb(rawValue: try fields.text("request")) else { throw .unknownRequest }
    let known = ["exitgate", "request"] + Self.fieldNames(of: verb)
    guard fields.names.allSatisfy(known.contains) else { throw .unknownField }
    switch verb {
    case .status: self = .status
    case .reload: self = .reload
    case .stop: self = .stop(try fields.agent(ifPresent: "agent"))
    case .resume: self = .resume(try fields.agent(ifPresent: "agent"))
    }
  }

  private static func fieldNames(of verb: Verb) -> [String] {
    switch verb {
    case .status, .reload: []
    case .stop, .resume: ["agent"]
    }
  }

  /// The request as one line, newline included.
  public func line() -> [UInt8] {
    envelope([.init("request", .string(verb.rawValue))] + members)
  }

  private var members: [JSONValue.Member] {
    switch self {
    case .status, .reload: []
    case .stop(let agent), .resume(let agent): agent.map { [.init("agent", .string($0.text))] } ?? []
    }
  }
}

extension ControlReply {
  /// Reads a reply. Fields that are not known are passed over: a newer gate may
  /// say more.
  ///
  /// - Parameter line: One line without its newline.
  public init(line: [UInt8]) throws(ControlError) {
    let fields = try openEnvelope(line)
    if let status = try fields.fields(ifPresent: "status") {
      self = .status(try GateStatus(status))
    } else if let report = try fields.fields(ifPresent: "reloaded") {
      self = .reloaded(try ReloadReport(report))
    } else if fields.names.contains("reload_refused") {
      self = .reloadRefused(problems: try fields.texts("reload_refused"))
    } else if let report = try fields.fields(ifPresent: "stopped") {
      self = .stopped(try StopReport(report))
    } else {
      self = .refused(try fields.text("refused"))
    }
  }

  /// The reply as one line, newline included. Lists that would not fit into
  /// `ControlProtocol.maximumLength` lose their tails, and say so.
  public func line() -> [UInt8] {
    for cap in [1024, 256, 64, 16, 4, 1] {
      let line = envelope([member(cap: cap)])
      if line.count <= ControlProtocol.maximumLength { return line }
    }
    return envelope([.init("refused", .string("the answer does not fit a message"))])
  }

  private func member(cap: Int) -> JSONValue.Member {
    switch self {
    case .status(let status): .init("status", status.json(cap: cap))
    case .reloaded(let report): .init("reloaded", report.json(cap: cap))
    case .reloadRefused(let problems): .init("reload_refused", sentences(problems, cap: cap))
    case .stopped(let report): .init("stopped", report.json(cap: cap))
    case .refused(let why): .init("refused", text(why))
    }
  }
}

extension ReloadReport {
  /// The JSON object that stands for the report on the control socket and in
  /// `exitgate reload --json`.
  public var json: JSONValue { json(cap: .max) }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      generation: try fields.count("generation"), rules: try fields.number("rules"),
      enforcing: try fields.flag("enforcing"), closed: try fields.number("closed"),
      warnings: try fields.texts("warnings"))
  }

  func json(cap: Int) -> JSONValue {
    .object([
      .init("generation", count(generation)), .init("rules", .integer(Int64(rules))),
      .init("enforcing", .bool(enforcing)), .init("closed", .integer(Int64(closed))),
      .init("warnings", sentences(warnings, cap: cap)),
    ])
  }
}

/// The longest text in a message, in characters; a path is at most 4096 bytes
/// (PATH_MAX, limits.h), and a sentence of ours is far shorter.
private let maximumText = 1024

/// Text, cut where it is longer than any that makes sense.
func text(_ text: String) -> JSONValue {
  let scalars = text.unicodeScalars
  guard scalars.count > maximumText else { return .string(text) }
  var cut = String.UnicodeScalarView(scalars.prefix(maximumText - 1))
  cut.append("\u{2026}")
  return .string(String(cut))
}

/// A count; beyond 2^63 it stands still.
func count(_ number: UInt64) -> JSONValue {
  .integer(Int64(clamping: number))
}

private func sentences(_ all: [String], cap: Int) -> JSONValue {
  let shown = all.prefix(cap).map(text)
  guard all.count > cap else { return .array(shown) }
  return .array(shown + [.string("and \(all.count - cap) more")])
}

private func envelope(_ members: [JSONValue.Member]) -> [UInt8] {
  var writer = JSONWriter()
  writer.value(.object([.init("exitgate", .integer(Int64(ControlProtocol.version)))] + members))
  return writer.bytes + [UInt8(ascii: "\n")]
}

private func openEnvelope(_ line: [UInt8]) throws(ControlError) -> Fields {
  guard line.count <= ControlProtocol.maximumLength else { throw .tooLong }
  guard let value = try? JSONValue(parsing: line, limit: ControlProtocol.maximumLength), value.members != nil
  else {
    throw .notAnObject
  }
  let fields = Fields(value)
  guard try fields.number("exitgate") == ControlProtocol.version else { throw .version }
  return fields
}

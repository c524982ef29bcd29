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
    case .pending: self = .pending
    case .granted: self = .granted
    case .follow: self = .follow
    case .attend: self = .attend
    case .here: self = .here(try fields.count("beat"))
    case .approve: self = .approve(try AnswerOrder(fields))
    case .refuse: self = .refuse(try AnswerOrder(fields))
    case .wait: self = .wait(id: try fields.text("id"))
    case .revoke: self = .revoke(id: try fields.text("id"))
    }
  }

  private static func fieldNames(of verb: Verb) -> [String] {
    switch verb {
    case .status, .reload, .pending, .granted, .follow, .attend: []
    case .stop, .resume: ["agent"]
    case .approve, .refuse: AnswerOrder.names
    case .wait, .revoke: ["id"]
    case .here: ["beat"]
    }
  }

  /// The request as one line, newline included.
  public func line() -> [UInt8] {
    envelope([.init("request", .string(verb.rawValue))] + members)
  }

  private var members: [JSONValue.Member] {
    switch self {
    case .status, .reload, .pending, .granted, .follow, .attend: []
    case .approve(let order), .refuse(let order): order.members
    case .wait(let id), .revoke(let id): [.init("id", text(id))]
    case .here(let beat): [.init("beat", count(beat))]
    case .stop(let agent), .resume(let agent): agent.map { [.init("agent", .string($0.text))] } ?? []
    }
  }
}

extension AnswerOrder {
  fileprivate static let names = ["id", "generation", "digest", "scope", "seconds", "note", "channel"]

  fileprivate var members: [JSONValue.Member] {
    [
      .init("id", text(id)), .init("generation", count(generation)), .init("digest", text(digest)),
      .init("scope", text(scope)), .init("seconds", seconds.map { .integer($0) } ?? .null),
      .init("note", note.map(text) ?? .null), .init("channel", channel.map(text) ?? .null),
    ]
  }

  fileprivate init(_ fields: Fields) throws(ControlError) {
    self.init(
      id: try fields.text("id"), generation: try fields.count("generation"),
      digest: try fields.text("digest"), scope: try fields.text("scope"),
      seconds: try fields.number(ifPresent: "seconds"), note: try fields.text(ifPresent: "note"),
      channel: try fields.text(ifPresent: "channel"))
  }
}

extension ControlReply {
  /// Reads a reply. Fields that are not known are passed over: a newer gate may
  /// say more.
  ///
  /// - Parameter line: One line without its newline.
  public init(line: [UInt8]) throws(ControlError) {
    let fields = try openEnvelope(line)
    if let reply = try Self.aboutQuestions(fields) {
      self = reply
    } else if let status = try fields.fields(ifPresent: "status") {
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

  private static func aboutQuestions(_ fields: Fields) throws(ControlError) -> ControlReply? {
    if let question = try fields.fields(ifPresent: "question") {
      return .question(try PendingStatus(question))
    }
    if let grant = try fields.fields(ifPresent: "grant") { return .grant(try GrantStatus(grant)) }
    if let closed = try fields.fields(ifPresent: "closed") { return .closed(try ClosedStatus(closed)) }
    if fields.names.contains("beat") { return .beat(try fields.count("beat")) }
    if fields.names.contains("listed") { return .listed(try fields.number("listed")) }
    if fields.names.contains("answered") { return .answered(try fields.text("answered")) }
    if fields.names.contains("revoked") { return .revoked(try fields.number("revoked")) }
    return nil
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
    case .question(let question): .init("question", question.json)
    case .grant(let grant): .init("grant", grant.json)
    case .closed(let closed): .init("closed", closed.json)
    case .beat(let number): .init("beat", count(number))
    case .listed(let number): .init("listed", .integer(Int64(number)))
    case .answered(let words): .init("answered", text(words))
    case .revoked(let number): .init("revoked", .integer(Int64(number)))
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

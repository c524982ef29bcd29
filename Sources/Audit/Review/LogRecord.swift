import Addressing
import Policy

/// A record as read back from a log.
public struct LogRecord: Sendable {
  /// The line it was read from.
  public var line: LogLine
  /// All members.
  public var json: JSONValue

  /// Reads a line.
  ///
  /// - Throws: `JSONError`.
  public init(_ line: LogLine) throws(JSONError) {
    self.line = line
    json = try JSONValue(parsing: line.bytes, limit: SealedLine.maximumLength)
  }

  /// The members that OCSF has no place for.
  private var own: JSONValue? { json["unmapped"] }

  /// The record's number.
  public var sequence: UInt64? { json["seq"]?.integer.flatMap { UInt64(exactly: $0) } }
  /// When it happened.
  public var time: Timestamp? { json["time"]?.integer.map { Timestamp(milliseconds: $0) } }
  /// The kind: `decision`, `rollup`, `close`, `policy`, `control`, `start`, `stop`, …
  public var event: String? { own?["event"]?.text }
  /// Who asked.
  public var agent: String? { own?["agent"]?.text }
  /// Which part of the gate decided.
  public var layer: Layer? { own?["layer"]?.text.flatMap(Layer.init) }
  /// What happened.
  public var verdict: Action? { own?["verdict"]?.text.flatMap(Action.init) }
  /// Whether enforce mode would have denied what passed.
  public var wouldDeny: Bool { own?["would_deny"]?.bool ?? false }
  /// Why, as in the log: a `Reason` for decisions.
  public var reason: String? { own?["reason"]?.text }
  /// For DNS, the type that was asked for.
  public var recordType: String? { json["query"]?["type"]?.text }
  /// For DNS, what was answered: `NXDOMAIN`, with the extended error `NXDOMAIN, EDE 18`.
  public var answer: String? {
    guard let code = json["rcode_id"]?.integer else { return nil }
    let word = ResponseCode.mnemonic(identifier: code) ?? json["rcode"]?.text ?? "rcode \(code)"
    return own?["ede"]?.integer.map { "\(word), EDE \($0)" } ?? word
  }
  /// The rule behind it.
  public var rule: String? { own?["rule"]?.text }
  /// The policy's number.
  public var generation: Int64? { own?["generation"]?.integer }
  /// The connection's number.
  public var flow: String? { json["connection_info"]?["uid"]?.text }
  /// Which program asked, where the gate could know.
  public var process: String? {
    json["actor"]?["process"]?["name"]?.text
  }
  /// Whether it is a roll-up of several places, too many to be told apart.
  public var isOverflow: Bool { own?["overflow"]?.bool ?? false }
  /// How many denied packets the gate did not see, by this record.
  public var lostEvents: UInt64 { own?["events_lost"]?.integer.flatMap { UInt64(exactly: $0) } ?? 0 }
  /// A member of the gate's own, as text.
  public func ownText(_ name: String) -> String? { own?[name]?.text }
  /// How many events the record stands for.
  public var count: UInt64 { json["count"]?.integer.flatMap { UInt64(exactly: $0) } ?? 1 }
  /// The first event it stands for.
  public var first: Timestamp? { json["start_time"]?.integer.map { Timestamp(milliseconds: $0) } ?? time }
  /// Bytes to the upstream.
  public var bytesOut: UInt64 { traffic("bytes_out") }
  /// Bytes from the upstream.
  public var bytesIn: UInt64 { traffic("bytes_in") }
  /// In milliseconds.
  public var duration: Int64? { json["duration"]?.integer }

  private func traffic(_ name: String) -> UInt64 {
    json["traffic"]?[name]?.integer.flatMap { UInt64(exactly: $0) } ?? 0
  }

  /// The client's address.
  public var client: String? {
    guard let source = json["src_endpoint"] else { return nil }
    guard let address = source["ip"]?.text, let port = source["port"]?.integer else {
      return source["name"]?.text
    }
    return address.utf8.contains(UInt8(ascii: ":")) ? "[\(address)]:\(port)" : "\(address):\(port)"
  }

  /// The address that was dialled or refused.
  public var address: String? { json["dst_endpoint"]?["ip"]?.text }

  /// Where to, when the record names a place and a protocol.
  public var destination: Destination? {
    guard let endpoint = json["dst_endpoint"],
      let host = (endpoint["hostname"] ?? endpoint["ip"])?.text.flatMap(Self.host),
      let port = endpoint["port"]?.integer.flatMap({ UInt16(exactly: $0) }).flatMap({ Port($0) }),
      let traffic = own?["protocol"]?.text.flatMap(TrafficProtocol.init)
    else { return nil }
    return Destination(host, port, traffic)
  }

  private static func host(_ text: String) -> Host? {
    if let address = IPAddress(text) { return .address(address) }
    return (try? Hostname(text.utf8)).map { .name($0) }
  }

  /// Whether the record warns of something that passed.
  public var isAlert: Bool { verdict == .allow && reason == Reason.dnsBudget.rawValue }

  /// Whether the record tells of something denied, or that enforce mode would deny.
  public var isBlocked: Bool {
    (event == "decision" || event == "rollup") && (verdict == .deny || wouldDeny)
  }
}

extension LogReader {
  /// Hands every record to `body`, in order; lines that are no records are skipped (`LogVerifier` names them).
  ///
  /// - Returns: how many lines were no records.
  /// - Throws: `AuditError` when a file cannot be read.
  @discardableResult
  public mutating func forEach(_ body: (LogRecord) -> Void) throws(AuditError) -> Int {
    var unreadable = 0
    while let line = try next() {
      if let record = try? LogRecord(line) { body(record) } else { unreadable += 1 }
    }
    return unreadable
  }
}

import Addressing
import Policy

/// `activity_id` of OCSF class 4001.
enum NetworkActivity: Sendable { case open, close, reset, fail, refuse, other }

/// The parts that records have in common.
extension JSONWriter {
  /// Writes class, category, activity and type.
  mutating func networkActivity(_ activity: NetworkActivity) {
    switch activity {
    case .open: verbatim(#""class_uid":4001,"category_uid":4,"activity_id":1,"type_uid":400101"#)
    case .close: verbatim(#""class_uid":4001,"category_uid":4,"activity_id":2,"type_uid":400102"#)
    case .reset: verbatim(#""class_uid":4001,"category_uid":4,"activity_id":3,"type_uid":400103"#)
    case .fail: verbatim(#""class_uid":4001,"category_uid":4,"activity_id":4,"type_uid":400104"#)
    case .refuse: verbatim(#""class_uid":4001,"category_uid":4,"activity_id":5,"type_uid":400105"#)
    case .other: verbatim(#""class_uid":4001,"category_uid":4,"activity_id":99,"type_uid":400199"#)
    }
  }

  /// Writes the same for a decision: DNS has a class of its own, and its record
  /// tells of question and answer together.
  mutating func activity(layer: Layer, verdict: Action) {
    switch (layer, verdict) {
    case (.dns, _): verbatim(#""class_uid":4003,"category_uid":4,"activity_id":6,"type_uid":400306"#)
    case (_, .deny): networkActivity(.refuse)
    case (_, .allow): networkActivity(.open)
    case (_, .ask): networkActivity(.other)
    }
  }

  /// Writes time, severity, action and disposition of a decision.
  mutating func judgement(time: Timestamp, reason: Reason, verdict: Action, wouldDeny: Bool) {
    key("time")
    integer(time.milliseconds)
    key("severity_id")
    integer(severity(of: reason, verdict: verdict, wouldDeny: wouldDeny).rawValue)
    switch verdict {
    case .allow where wouldDeny: verbatim(#""action_id":3,"disposition_id":17"#)
    case .allow: verbatim(#""action_id":1,"disposition_id":1"#)
    case .ask: verbatim(#""action_id":3,"disposition_id":14"#)
    case .deny: verbatim(#""action_id":2,"disposition_id":2"#)
    }
  }

  private func severity(of reason: Reason, verdict: Action, wouldDeny: Bool) -> OCSF.Severity {
    // A budget that is exceeded is an alert, also while it lets the question pass.
    if reason == .dnsBudget { return .medium }
    if verdict == .allow, !wouldDeny { return .informational }
    switch reason {
    case .specialAddress, .selfAddress, .sniMismatch, .hostMismatch, .cnameDenied, .rebinding: return .medium
    case .internalError, .auditUnavailable: return .high
    default: return .low
    }
  }

  /// Writes `src_endpoint`: `address:port` is taken apart, anything else is a name.
  mutating func client(_ text: String) {
    object("src_endpoint") { json in
      var text = text
      guard !text.withUTF8({ json.place($0) }) else { return }
      json.field("name", text)
    }
  }

  /// Writes address and port of `address:port`; false, and nothing written, where it is anything else.
  private mutating func place(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    guard text.count <= Self.longestPlace, let colon = text.lastIndex(of: UInt8(ascii: ":")),
      isPort(text[(colon + 1)...]), let address = address(in: text[..<colon]), address.allSatisfy(isPlainByte)
    else { return false }
    key("ip")
    plainString { $0.append(contentsOf: UnsafeBufferPointer(rebasing: address)) }
    key("port")
    plainNumber { $0.append(contentsOf: UnsafeBufferPointer(rebasing: text[(colon + 1)...])) }
    return true
  }

  /// The most bytes of an address with its port: `[`, 39 of IPv6, `%` and a device (15), `]`, `:` and 5 digits, rounded up.
  private static let longestPlace = 64

  /// The address before a port: IPv4 as it is, IPv6 in brackets, without which its last group would be the port.
  private func address(in text: Slice<UnsafeBufferPointer<UInt8>>) -> Slice<UnsafeBufferPointer<UInt8>>? {
    guard let first = text.first else { return nil }
    if first == UInt8(ascii: "[") {
      return text.last == UInt8(ascii: "]") ? text.dropFirst().dropLast() : nil
    }
    return isDigit(first) && !text.contains(UInt8(ascii: ":")) ? text : nil
  }

  /// Whether it is a port's decimal digits, no leading zero.
  private func isPort(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
    guard let first = text.first, first != UInt8(ascii: "0"), text.count <= 5, text.allSatisfy(isDigit) else {
      return false
    }
    return text.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) } <= UInt16.max
  }

  /// Writes `dst_endpoint`: the name, the address where it is known, the port.
  mutating func destination(_ destination: Destination?, address: IPAddress?) {
    guard let destination else { return }
    object("dst_endpoint") { json in
      switch destination.host {
      case .name(let name):
        json.field("hostname", name.text)
        if let address { json.ip(address) }
      case .address(let literal): json.ip(literal)
      }
      json.key("port")
      json.integer(destination.port.number)
    }
  }

  private mutating func ip(_ address: IPAddress) {
    key("ip")
    guard case .v4(let value) = address else { return string(address.description) }
    plainString { bytes in
      for shift in stride(from: 24, through: 0, by: -8) {
        if shift != 24 { bytes.append(UInt8(ascii: ".")) }
        appendDecimal(UInt64(value >> shift & 255), to: &bytes)
      }
    }
  }

  /// Writes `connection_info`: the transport and the flow's number.
  ///
  /// - Parameter isPacket: Whether it may be of any protocol where it has no destination.
  mutating func connection(_ destination: Destination?, flow: UInt64, isPacket: Bool = false) {
    object("connection_info") { json in
      switch destination?.traffic {
      case nil where isPacket: break
      case .udp, .dns: json.verbatim(#""protocol_name":"udp""#)
      default: json.verbatim(#""protocol_name":"tcp""#)
      }
      json.key("uid")
      json.plainString { appendDecimal(flow, to: &$0) }
    }
  }

  /// Writes our own fields that decisions and roll-ups share.
  mutating func judged(
    agent: AgentName, layer: Layer, destination: Destination?, reason: Reason, rule: RuleID?
  ) {
    owner(agent, destination)
    key("layer")
    string(layer.rawValue)
    key("reason")
    string(reason.rawValue)
    if let rule { field("rule", rule.text) }
  }

  /// Writes what came of it, as decisions and roll-ups have it.
  mutating func outcome(verdict: Action, wouldDeny: Bool, generation: UInt64, extendedError: UInt16?) {
    key("verdict")
    string(verdict.rawValue)
    if wouldDeny { verbatim(#""would_deny":true"#) }
    key("generation")
    integer(generation)
    guard let extendedError else { return }
    key("ede")
    integer(extendedError)
  }

  /// Writes `query`: the name that was asked for, and the type.
  mutating func query(_ destination: Destination?, type: String?) {
    object("query") { json in
      if let destination { json.field("hostname", "\(destination.host)") }
      if let type { json.field("type", type) }
    }
  }

  /// Writes `rcode_id` and `rcode`.
  mutating func response(code: UInt16) {
    let code = ResponseCode(code)
    key("rcode_id")
    integer(code.identifier)
    field("rcode", code.caption)
  }

  /// Writes the agent, and the protocol as rules name it.
  mutating func owner(_ agent: AgentName, _ destination: Destination?) {
    field("agent", agent.text)
    guard let destination else { return }
    key("protocol")
    string(destination.traffic.rawValue)
  }

  /// Writes a text member of at most `maximumFieldLength` bytes.
  mutating func field(_ name: StaticString, _ text: String) {
    key(name)
    bounded(text, limit: maximumFieldLength)
  }

  /// Writes text of at most `limit` bytes; a longer one ends in `…` and its
  /// length in bytes.
  mutating func bounded(_ text: String, limit: Int) {
    guard text.utf8.count > limit else { return string(text) }
    let kept = String(decoding: text.utf8.prefix(limit), as: UTF8.self)
    string("\(kept)…[\(text.utf8.count) bytes]")
  }
}

extension Duration {
  /// In milliseconds, those that are over; none of a negative one.
  var wholeMilliseconds: UInt64 {
    guard self > .zero else { return 0 }
    let (seconds, attoseconds) = components
    let (product, isTooLong) = UInt64(seconds).multipliedReportingOverflow(by: 1000)
    return isTooLong ? .max : product &+ UInt64(attoseconds / 1_000_000_000_000_000)
  }
}

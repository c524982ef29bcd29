/// The fields that mean something to the gate; every other one is carried.
enum FieldName: UInt8, Sendable {
  case other
  case connection, contentLength, expect, host, http2Settings, keepAlive, maxForwards
  case proxyAuthorization, te, trailer, transferEncoding, upgrade
  /// Every other field that starts with `proxy-`: it speaks to this hop.
  case proxyOther
  /// An agent's credential for a gate, by the name that gates commonly give it.
  case agentToken

  /// Whether the field speaks to the next hop alone, or is one that the gate
  /// writes itself.
  ///
  /// - Source: RFC 9110 §7.6.1; RFC 7540 §3.2.1 (HTTP2-Settings).
  var isHopByHop: Bool {
    switch self {
    case .other, .expect, .maxForwards: false
    default: true
    }
  }
}

private let names: [(text: String, name: FieldName)] = [
  ("te", .te), ("host", .host), ("expect", .expect), ("upgrade", .upgrade), ("trailer", .trailer),
  ("connection", .connection), ("keep-alive", .keepAlive), ("max-forwards", .maxForwards),
  ("x-agent-token", .agentToken), ("content-length", .contentLength), ("http2-settings", .http2Settings),
  ("transfer-encoding", .transferEncoding), ("proxy-authorization", .proxyAuthorization),
]

/// `names` by length in bytes, each as bytes.
private let namesByLength: [[(bytes: [UInt8], name: FieldName)]] = (0...19).map { length in
  names.filter { $0.text.utf8.count == length }.map { (Array($0.text.utf8), $0.name) }
}

private let proxyPrefix = Array("proxy-".utf8)

extension FieldName {
  /// Recognises the field name that fills `range`.
  init(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>) {
    self = .other
    if range.count < namesByLength.count {
      for candidate in namesByLength[range.count] where matches(bytes, range, candidate.bytes) {
        self = candidate.name
        return
      }
    }
    if range.count > proxyPrefix.count, matches(bytes, range.prefix(proxyPrefix.count), proxyPrefix) {
      self = .proxyOther
    }
  }
}

private func matches(_ bytes: borrowing Span<UInt8>, _ range: Range<Int>, _ text: [UInt8]) -> Bool {
  for (offset, expected) in text.enumerated() where lowerCased(bytes[range.lowerBound + offset]) != expected {
    return false
  }
  return true
}

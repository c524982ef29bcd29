import Addressing

/// What the `Connection` fields of a request say.
struct ConnectionOptions {
  var close = false
  var upgrade = false

  /// The most options taken; clients send up to three.
  static let maximumCount = 32
  /// Fields that route or frame: naming one of them here would make two hops
  /// read two requests.
  private static let endToEnd = ["host", "content-length", "transfer-encoding", "content-type", "expect"]

  init(_ fields: FieldList) throws(RequestError) {
    let options = fields.connectionOptions
    guard options.count <= Self.maximumCount else { throw .connection }
    for option in options {
      guard option.allSatisfy(isToken) else { throw .connection }
      if equalsIgnoringCase(option, "close") { close = true }
      if equalsIgnoringCase(option, "upgrade") { upgrade = true }
      guard !Self.endToEnd.contains(where: { equalsIgnoringCase(option, $0) }) else { throw .connection }
    }
  }
}

/// RFC 9112 §6.3, with every repair of §6.1 and §6.2 refused.
func requestFraming(
  _ fields: FieldList, isConnect: Bool, version: HTTPVersion
) throws(RequestError) -> BodyFraming {
  let lengths = fields.count(of: .contentLength), codings = fields.count(of: .transferEncoding)
  if lengths + codings == 0 { return .none }
  guard lengths + codings == 1, !isConnect else { throw .framing }
  if let value = fields.first(.contentLength) {
    guard let length = readContentLength(value) else { throw .framing }
    return length == 0 ? .none : .length(length)
  }
  guard version == .http11, let coding = fields.first(.transferEncoding) else { throw .framing }
  guard equalsIgnoringCase(coding, "chunked") else { throw isCodingList(coding) ? .transferCoding : .framing }
  return .chunked
}

/// Decimal digits without sign, space or leading zero; at most `Int64.max`, of
/// 19 digits.
func readContentLength(_ value: ArraySlice<UInt8>) -> UInt64? {
  guard let first = value.first, value.count <= 19, value.allSatisfy(isDecimal),
    first != UInt8(ascii: "0") || value.count == 1
  else { return nil }
  let length = value.reduce(UInt64(0)) { $0 * 10 + UInt64($1 - UInt8(ascii: "0")) }
  return length <= UInt64(Int64.max) ? length : nil
}

private func isCodingList(_ value: ArraySlice<UInt8>) -> Bool {
  !value.isEmpty && value.allSatisfy { isToken($0) || $0 == space || $0 == UInt8(ascii: ",") }
}

/// RFC 9110 §10.1.1; an HTTP/1.0 client's expectation is passed over, as it says.
func readExpectation(
  _ fields: FieldList, framing: BodyFraming, version: HTTPVersion
) throws(RequestError) -> Bool {
  guard let value = fields.first(.expect) else { return false }
  guard fields.count(of: .expect) == 1, equalsIgnoringCase(value, "100-continue"), framing != .none else {
    throw .expectation
  }
  return version == .http11
}

/// See `RequestHead.upgrade`.
func readUpgrade(_ fields: FieldList, _ line: RequestLine, _ connection: ConnectionOptions) -> String? {
  guard let value = fields.first(.upgrade) else { return nil }
  guard equalsIgnoringCase(value, "websocket") else {
    return String(decoding: value.prefix(64).map(lowerCased), as: UTF8.self)
  }
  let isProper =
    fields.count(of: .upgrade) == 1 && connection.upgrade && line.method == "GET" && line.version == .http11
  return isProper ? "websocket" : "improper websocket"
}

/// For plain HTTP `Host` must be there once and name the target; for CONNECT
/// what it may name needs `checkHost(gate:)`.
func checkHostField(_ fields: FieldList, target: RequestTarget) throws(RequestError) {
  let count = fields.count(of: .host)
  guard case .absolute(let authority, _) = target else {
    guard count <= 1 else { throw .host }
    return
  }
  guard count == 1, let value = fields.first(.host),
    let named = try? Authority(value, defaultPort: .http)
  else { throw .host }
  guard named == authority else { throw .hostMismatch }
}

extension RequestHead {
  /// Checks the `Host` of a CONNECT. It is not used for anything: it may be
  /// missing, lack the port, or name the gate itself, which clients in wide use
  /// do; naming a third place is a sign of two parsers being played off.
  ///
  /// - Parameter gate: Where clients reach the gate; a name without port in
  ///   `Host` is taken for any of its ports.
  /// - Throws: `.host` or `.hostMismatch`.
  public func checkHost(gate: [Authority]) throws(RequestError) {
    guard case .authority(let target) = target, let value = fields.first(.host) else { return }
    guard let named = try? Authority(value, defaultPort: target.port) else { throw .host }
    if named == target || gate.contains(named) { return }
    guard let host = try? Host(value), gate.contains(where: { $0.host == host }) else { throw .hostMismatch }
  }
}

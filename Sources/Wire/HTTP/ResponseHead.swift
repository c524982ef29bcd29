/// The head of an upstream's response.
public struct ResponseHead: Hashable, Sendable {
  /// 100 to 599 (RFC 9110 §15).
  public let status: Int
  /// The reason phrase as it came: field content, often empty.
  public let reason: [UInt8]
  /// The version of the upstream.
  public let version: HTTPVersion
  /// The fields as they came in.
  public let fields: FieldList
  /// How the body ends.
  public let framing: BodyFraming
  /// `Content-Length` of a response without a body: of a HEAD, or 304.
  let lengthWithoutBody: UInt64?

  /// Whether another head follows this one: 100, 102, 103 and their like.
  public var isInterim: Bool { status < 200 && !isUpgrade }
  /// Whether the connection now speaks another protocol.
  public var isUpgrade: Bool { status == 101 }

  /// Reads one head from the beginning of `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: All that came in and was not yet used.
  ///   - requestMethod: Of the request that this answers; HEAD has no body.
  ///   - upgradeAsked: Whether the request sent upstream asked for an upgrade.
  ///   - seen: As for `RequestHead.parse`.
  /// - Returns: The head and its length in bytes with the empty line; nil when
  ///   more bytes are needed. At most 64 KiB have to be kept for that.
  /// - Throws: `ResponseError`.
  /// - Source: RFC 9112 §4, §6.3.
  public static func parse(
    _ bytes: ArraySlice<UInt8>, requestMethod: String, upgradeAsked: Bool = false, resumingAt seen: Int = 0
  ) throws(ResponseError) -> (head: ResponseHead, length: Int)? {
    let raw: RawHead?
    do {
      raw = try readHead(in: bytes.span, from: 0, seen: seen, limits: .response)
    } catch { throw ResponseError(error) }
    guard let raw else { return nil }
    let line = try StatusLine(bytes.prefix(raw.startLine.upperBound))
    guard let end = raw.end else { return nil }
    let fields = FieldList(bytes: Array(bytes.prefix(end)), entries: raw.fields)
    if line.status == 101, !upgradeAsked || !namesWebSocket(fields) { throw .unexpectedUpgrade }
    return (try ResponseHead(line, fields, requestMethod: requestMethod), end)
  }

  /// Whether a 101 switches to WebSocket, the only protocol that is ever asked
  /// for: a server may not choose another (RFC 9110 §7.8).
  private static func namesWebSocket(_ fields: FieldList) -> Bool {
    fields.values(of: "upgrade").map { $0.map { $0 | 0x20 } } == [Array("websocket".utf8)]
  }

  private init(_ line: StatusLine, _ fields: FieldList, requestMethod: String) throws(ResponseError) {
    (status, reason, version) = (line.status, line.reason, line.version)
    self.fields = fields
    let declared = try responseFraming(fields, version: line.version)
    let hasBody = requestMethod != "HEAD" && line.status >= 200 && line.status != 204 && line.status != 304
    framing = hasBody ? declared : .none
    let mayCarryLength = requestMethod == "HEAD" || line.status == 304
    if case .length(let length) = declared, mayCarryLength, line.status >= 200, line.status != 204 {
      lengthWithoutBody = length
    } else {
      lengthWithoutBody = nil
    }
  }
}

/// The start line of a response (RFC 9112 §4). The space before an empty reason
/// may be missing: common servers leave it out.
private struct StatusLine {
  var version: HTTPVersion
  var status: Int
  var reason: [UInt8]

  init(_ line: ArraySlice<UInt8>) throws(ResponseError) {
    let versionText = line.prefix(8), rest = line.dropFirst(8)
    let digits = rest.dropFirst().prefix(3), tail = rest.dropFirst(4)
    if versionText.elementsEqual("HTTP/1.1".utf8) {
      version = .http11
    } else if versionText.elementsEqual("HTTP/1.0".utf8) {
      version = .http10
    } else {
      throw .statusLine
    }
    guard rest.first == space, digits.count == 3, digits.allSatisfy(isDecimal),
      tail.isEmpty || tail.first == space, tail.allSatisfy(isFieldContent)
    else { throw .statusLine }
    status = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    guard (100...599).contains(status) else { throw .statusLine }
    reason = Array(tail.dropFirst())
  }
}

/// What the fields say about the body, whether or not there is one.
private func responseFraming(_ fields: FieldList, version: HTTPVersion) throws(ResponseError) -> BodyFraming {
  let lengths = fields.count(of: .contentLength), codings = fields.count(of: .transferEncoding)
  guard lengths + codings <= 1 else { throw .framing }
  if let value = fields.first(.contentLength) {
    guard let length = readContentLength(value) else { throw .framing }
    return .length(length)
  }
  guard let coding = fields.first(.transferEncoding) else { return .untilClose }
  guard version == .http11, equalsIgnoringCase(coding, "chunked") else { throw .framing }
  return .chunked
}

extension ResponseHead {
  /// How the body may be framed for a client of `version`, which gets no chunks
  /// when it is HTTP/1.0.
  public func downstreamFraming(to version: HTTPVersion) -> BodyFraming {
    framing == .chunked && version == .http10 ? .untilClose : framing
  }

  /// The head as the client gets it: without the fields of the upstream's hop,
  /// with framing and persistence set anew.
  ///
  /// `Proxy-*` fields of an upstream are dropped too: it must not be able to
  /// speak in the gate's name.
  ///
  /// - Parameters:
  ///   - framing: How the body is sent on; see `downstreamFraming(to:)`.
  ///   - keepAlive: Whether the client may send another request; what is framed
  ///     by closing is always closed.
  public func downstreamBytes(framing: BodyFraming, keepAlive: Bool) -> [UInt8] {
    let phrase = String(decoding: reason.filter(isVisibleOrSpace), as: UTF8.self)
    var writer = HeadWriter(startLine: "HTTP/1.1 \(status) \(phrase)", like: fields)
    writer.endToEndFields(of: fields)
    if isUpgrade {
      for value in fields.values(of: "upgrade") { writer.field("Upgrade", value) }
      writer.field("Connection", "Upgrade")
    } else if !isInterim {
      writer.framing(framing == .none ? lengthWithoutBody.map(BodyFraming.length) ?? .none : framing)
      if !keepAlive || framing == .untilClose { writer.field("Connection", "close") }
    }
    writer.via()
    writer.endLine()
    return writer.bytes
  }
}

private func isVisibleOrSpace(_ byte: UInt8) -> Bool {
  isVisible(byte) || byte == space
}

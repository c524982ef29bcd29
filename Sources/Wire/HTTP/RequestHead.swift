import Addressing

/// The head of a request to a proxy: everything in it was checked, so that the
/// gate, the policy and the upstream read the same request.
public struct RequestHead: Hashable, Sendable {
  /// A token of at most 32 bytes without lower-case letters.
  public let method: String
  /// Where it goes.
  public private(set) var target: RequestTarget
  /// The version of the client.
  public let version: HTTPVersion
  /// The fields as they came in.
  public let fields: FieldList
  /// How the body ends; `.none`, `.length` or `.chunked`.
  public let framing: BodyFraming
  /// Whether the connection may carry another request behind this one. Never
  /// for HTTP/1.0, nor for CONNECT.
  public let keepAlive: Bool
  /// Whether the client waits for 100 before it sends the body (RFC 9110 §10.1.1).
  public let expectsContinue: Bool
  /// The protocol to upgrade to in lower case: `websocket` for a request that
  /// asks for it as RFC 6455 §4.1 says; any other text means another upgrade.
  /// Nil for CONNECT. Not for the log.
  public let upgrade: String?

  /// Whether the connection ends with the answer to this request.
  public var wantsClose: Bool { !keepAlive }
  /// Whether this is a CONNECT.
  public var isConnect: Bool { method == "CONNECT" }
  /// The path without the query, as rules see it; nil for CONNECT.
  public var path: String? { target.path }

  /// The same request to another place: one that its target stands for.
  public func aimed(at target: RequestTarget) -> RequestHead {
    var copy = self
    copy.target = target
    return copy
  }
  /// The value of `Host`; nil when there is none (CONNECT alone).
  public var hostField: [UInt8]? { fields.first(.host).map { Array($0) } }

  /// Reads one head from the beginning of `bytes`. One empty line before it is
  /// passed over (RFC 9112 §2.2).
  ///
  /// - Parameters:
  ///   - bytes: All that came in and was not yet used.
  ///   - seen: The length of `bytes` when it was last looked at in vain, so that
  ///     a head that trickles in is not searched again and again.
  /// - Returns: The head and its length in bytes with the empty line; nil when
  ///   more bytes are needed. At most 16 KiB have to be kept for that.
  /// - Throws: `RequestError`, as soon as the bytes that are there suffice.
  /// - Source: RFC 9112, without what §2.2, §3 and §5.2 let a recipient repair.
  public static func parse(
    _ bytes: ArraySlice<UInt8>, resumingAt seen: Int = 0
  ) throws(RequestError) -> (head: RequestHead, length: Int)? {
    try read(bytes, seen, at: nil)
  }

  /// Reads one head as above, of a client that takes the gate for the server it
  /// connected to: its target is a path, and where it goes is said by `place`
  /// and by `Host`, which must not disagree. `Host` may lack the port; only
  /// HTTP/1.0 may lack `Host`.
  ///
  /// - Source: RFC 9112 §3.2.1 (origin-form), §3.2.4 (`*`); absolute-form is taken, too (§3.2.2).
  public static func parse(
    _ bytes: ArraySlice<UInt8>, at place: CapturedPlace, resumingAt seen: Int = 0
  ) throws(RequestError) -> (head: RequestHead, length: Int)? {
    try read(bytes, seen, at: place)
  }

  private static func read(
    _ bytes: ArraySlice<UInt8>, _ seen: Int, at place: CapturedPlace?
  ) throws(RequestError) -> (head: RequestHead, length: Int)? {
    guard let start = try startOfRequest(bytes) else { return nil }
    let raw: RawHead?
    do {
      raw = try readHead(in: bytes.span, from: start, seen: seen, limits: .request)
    } catch { throw RequestError(error) }
    guard let raw else { return nil }
    let line = try RequestLine(
      bytes.prefix(raw.startLine.upperBound).dropFirst(start), isCaptured: place != nil)
    guard let end = raw.end else { return nil }
    let fields = FieldList(bytes: Array(bytes.prefix(end)), entries: raw.fields)
    return (try RequestHead(line, fields, at: place), end)
  }

  private init(_ line: RequestLine, _ fields: FieldList, at place: CapturedPlace?) throws(RequestError) {
    (method, version) = (line.method, line.version)
    self.fields = fields
    let isConnect = line.method == "CONNECT"
    let connection = try ConnectionOptions(fields)
    framing = try requestFraming(fields, isConnect: isConnect, version: line.version)
    expectsContinue = try readExpectation(fields, framing: framing, version: line.version)
    upgrade = isConnect ? nil : readUpgrade(fields, line, connection)
    keepAlive = line.version == .http11 && !isConnect && !connection.close
    guard fields.count(of: .maxForwards) == 0 else { throw .maxForwards }
    target = try line.target.resolved(at: place, fields, line.version)
  }
}

/// Where the request line starts: behind one empty line at most. Nil when that
/// is not known yet.
private func startOfRequest(_ bytes: ArraySlice<UInt8>) throws(RequestError) -> Int? {
  guard let first = bytes.first else { return nil }
  if isToken(first) { return 0 }
  guard first == carriageReturn else { throw first == lineFeed ? .lineEnd : .requestLine }
  let rest = bytes.dropFirst()
  guard let second = rest.first else { return nil }
  guard second == lineFeed else { throw .lineEnd }
  guard let third = rest.dropFirst().first else { return nil }
  guard isToken(third) else { throw third == carriageReturn || third == lineFeed ? .lineEnd : .requestLine }
  return 2
}

import Wire

/// What came back for a request.
struct PostAnswer: Hashable, Sendable {
  /// The status code.
  var status: Int
  /// The body; of a longer one the beginning.
  var body: [UInt8]
  /// In seconds, how long the far side asked to be left alone.
  var retryAfter: UInt64?
  /// Whether the connection carries another request.
  var keepsAlive: Bool
}

/// Requests with a body over one connection, one after the other.
///
/// - Source: RFC 9112; RFC 9110 §10.2.3.
struct HTTPPost {
  private static let headLimit = 65_536

  /// `host:port` of the `Host` field.
  let authority: String
  /// In bytes, how much is kept of an answer's body.
  var bodyLimit = 65_536

  /// Sends a request and reads the answer.
  ///
  /// - Parameter fields: Of the head beside its own; none comes from outside.
  func send(
    _ method: String, _ path: String, _ body: [UInt8], fields: [(name: String, value: String)] = [],
    over stream: Stream
  ) throws(ConnectionError) -> PostAnswer {
    let further = fields.map { "\($0.name): \($0.value)\r\n" }.joined()
    let head = """
      \(method) \(path) HTTP/1.1\r
      Host: \(authority)\r
      User-Agent: exitgate\r
      Accept: */*\r
      \(body.isEmpty ? "" : "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n")\(further)\r\n
      """
    try stream.send(Array(head.utf8) + body)
    return try answer(to: method, from: stream)
  }

  private func answer(to method: String, from stream: Stream) throws(ConnectionError) -> PostAnswer {
    let deadline = monotonicMilliseconds() + stream.patience
    var bytes: [UInt8] = []
    while true {
      let parsed: (head: ResponseHead, length: Int)?
      do { parsed = try ResponseHead.parse(bytes[...], requestMethod: method) } catch {
        throw .insecure("its answer is no HTTP: \(error.token)")
      }
      if let parsed {
        bytes.removeFirst(parsed.length)
        guard !parsed.head.isInterim else { continue }
        return try finish(parsed.head, bytes, from: stream, until: deadline)
      }
      guard bytes.count < Self.headLimit else { throw .insecure("its answer is no HTTP: head-too-large") }
      bytes += try more(from: stream, until: deadline)
    }
  }

  private func finish(
    _ head: ResponseHead, _ first: [UInt8], from stream: Stream, until deadline: UInt64
  ) throws(ConnectionError) -> PostAnswer {
    var body = HTTPBody(head.framing), input = first[...]
    while true {
      guard body.take(&input, limit: bodyLimit) else { throw .insecure("its answer is no HTTP: body") }
      if body.isFinished { break }
      try checkTime(until: deadline)
      let bytes = try stream.receive(until: deadline)
      if bytes.isEmpty, stream.isEnded, head.framing == .untilClose { break }
      guard !bytes.isEmpty else {
        throw stream.isEnded ? .ended(step: "answer") : .tooSlow(step: "answer")
      }
      input = bytes[...]
    }
    let closes = head.fields.values(of: "connection").contains { $0.map { $0 | 0x20 } == Array("close".utf8) }
    let asked = head.fields.values(of: "retry-after").first.flatMap {
      UInt64(String(decoding: $0, as: UTF8.self))
    }
    return PostAnswer(
      status: head.status, body: body.kept, retryAfter: asked,
      keepsAlive: !closes && head.version == .http11 && head.framing != .untilClose && input.isEmpty)
  }

  /// One that never ends, be it of interim answers, may always have more to say.
  private func checkTime(until deadline: UInt64) throws(ConnectionError) {
    guard monotonicMilliseconds() < deadline else { throw .tooSlow(step: "answer") }
  }

  private func more(from stream: Stream, until deadline: UInt64) throws(ConnectionError) -> [UInt8] {
    try checkTime(until: deadline)
    let bytes = try stream.receive(until: deadline)
    guard !bytes.isEmpty else { throw stream.isEnded ? .ended(step: "answer") : .tooSlow(step: "answer") }
    return bytes
  }
}

/// The body of an answer as it comes in, of which only the beginning is kept.
private struct HTTPBody {
  private(set) var kept: [UInt8] = []
  private(set) var isFinished = false
  private var remaining: UInt64?
  private var chunks: ChunkedDecoder?

  init(_ framing: BodyFraming) {
    switch framing {
    case .none: isFinished = true
    case .length(let length):
      remaining = length
      isFinished = length == 0
    case .chunked: chunks = ChunkedDecoder()
    case .untilClose: break
    }
  }

  /// Takes in what belongs to it; false when it is broken.
  mutating func take(_ input: inout ArraySlice<UInt8>, limit: Int) -> Bool {
    guard !isFinished else { return true }
    var data: [UInt8] = []
    if chunks != nil {
      do { try chunks?.decode(&input, into: &data) } catch { return false }
      isFinished = chunks?.isFinished ?? true
    } else {
      let count = Int(min(remaining ?? .max, UInt64(input.count)))
      data = Array(input.prefix(count))
      input.removeFirst(count)
      if let left = remaining {
        remaining = left - UInt64(count)
        isFinished = left == UInt64(count)
      }
    }
    kept += data.prefix(limit - kept.count)
    return true
  }
}

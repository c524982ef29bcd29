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
  /// In bytes, the most of a whole answer: interim heads, fields, chunk sizes and what is not kept.
  static let answerLimit = 1 << 20

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
    var bytes: [UInt8] = [],
      intake = Intake(stream, until: deadline, limit: max(Self.answerLimit, 2 * bodyLimit))
    while true {
      let parsed: (head: ResponseHead, length: Int)?
      do { parsed = try ResponseHead.parse(bytes[...], requestMethod: method) } catch {
        throw .insecure("its answer is no HTTP: \(error.token)")
      }
      if let parsed {
        bytes.removeFirst(parsed.length)
        guard !parsed.head.isInterim else { continue }
        return try finish(parsed.head, bytes, &intake)
      }
      guard bytes.count < Self.headLimit else { throw .insecure("its answer is no HTTP: head-too-large") }
      bytes += try intake.more()
    }
  }

  private func finish(
    _ head: ResponseHead, _ first: [UInt8], _ intake: inout Intake
  ) throws(ConnectionError) -> PostAnswer {
    var body = HTTPBody(head.framing), input = first[...]
    while true {
      guard body.take(&input, limit: bodyLimit) else { throw .insecure("its answer is no HTTP: body") }
      if body.isFinished { break }
      guard let bytes = try intake.moreOrEnd() else {
        if head.framing == .untilClose { break }
        throw .ended(step: "answer")
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
}

/// An answer as it comes in, which has to be whole in time and within a limit: one that never ends, be it of interim
/// answers, may always have more to say.
private struct Intake {
  private let stream: Stream
  private let deadline: UInt64
  private let limit: Int
  /// In bytes, how much may still come.
  private var rest: Int

  init(_ stream: Stream, until deadline: UInt64, limit: Int) {
    (self.stream, self.deadline, self.limit, rest) = (stream, deadline, limit, limit)
  }

  /// The next bytes, at least one; nil when the far side has ended.
  mutating func moreOrEnd() throws(ConnectionError) -> [UInt8]? {
    guard monotonicMilliseconds() < deadline else { throw .tooSlow(step: "answer") }
    let bytes = try stream.receive(until: deadline)
    guard !bytes.isEmpty else {
      if stream.isEnded { return nil }
      throw .tooSlow(step: "answer")
    }
    rest -= bytes.count
    guard rest >= 0 else { throw .insecure("its answer has more than \(limit) bytes") }
    return bytes
  }

  /// The next bytes, at least one.
  mutating func more() throws(ConnectionError) -> [UInt8] {
    guard let bytes = try moreOrEnd() else { throw .ended(step: "answer") }
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

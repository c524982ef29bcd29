import Audit

/// What a target made of records that it was given.
enum Delivery: Hashable, Sendable {
  /// They are on their way, and are confirmed when the connection is ended in order.
  case sent
  /// It has them.
  case taken
  /// It has them but for so many, which it will never take.
  case takenBut(UInt64, String)
  /// It will never take them as they are: fewer at once may do.
  case refused(String)
  /// It takes nothing now; after so many milliseconds it may.
  case later(String, UInt64)
}

/// Speaks a target's protocol over one connection at a time.
protocol Courier {
  /// How many records may go at once.
  var batchLimit: Int { get }
  /// Whether there is a connection that can be used.
  var isOpen: Bool { get }
  /// Connects. What was sent on the connection before is not confirmed.
  mutating func open() throws(ConnectionError)
  /// Sends the signed head of the log, which says how far there must be records.
  mutating func send(_ head: SignedHead) throws(ConnectionError) -> Delivery
  /// Sends records, which must not be none. Returns what became of them, and how many bytes they were.
  mutating func send(_ records: [ExportRecord]) throws(ConnectionError) -> (Delivery, bytes: Int)
  /// Looks whether the connection still stands, when there is nothing to send.
  mutating func look() throws(ConnectionError)
  /// Ends the connection in order: afterwards everything that was sent is confirmed.
  mutating func confirm() throws(ConnectionError)
  /// Ends the connection whatever is on it.
  mutating func close()
}

/// RFC 5424 messages over TLS, each behind its length (RFC 5425 §4.3).
///
/// Syslog has no answers. That a message arrived is known when the receiver has ended the connection after it was told
/// of its end, so a connection is ended and begun anew as soon as much or old is unconfirmed.
struct SyslogCourier: Courier {
  let batchLimit = RecordQueue.recordLimit
  private let connect: () throws(ConnectionError) -> Stream
  private let source: ExportSource
  private var stream: Stream?

  init(from source: ExportSource, connect: @escaping () throws(ConnectionError) -> Stream) {
    (self.source, self.connect) = (source, connect)
  }

  var isOpen: Bool { stream != nil }

  mutating func open() throws(ConnectionError) { stream = try connect() }

  mutating func send(_ head: SignedHead) throws(ConnectionError) -> Delivery {
    try send(Self.frame(SyslogMessage(head, from: source).text))
    return .sent
  }

  mutating func send(_ records: [ExportRecord]) throws(ConnectionError) -> (Delivery, bytes: Int) {
    let bytes = records.flatMap { Self.frame(SyslogMessage($0, from: source).text) }
    try send(bytes)
    return (.sent, bytes.count)
  }

  private func send(_ bytes: [UInt8]) throws(ConnectionError) {
    try look()
    try stream?.send(bytes)
  }

  /// A receiver says nothing; what comes is the end, or an alert that tells why.
  func look() throws(ConnectionError) {
    _ = try stream?.receive(until: 0)
    guard stream?.isEnded == false else { throw .ended(step: "confirm what was sent") }
  }

  mutating func confirm() throws(ConnectionError) {
    defer { stream = nil }
    try stream?.endInOrder()
  }

  mutating func close() { stream = nil }

  static func frame(_ message: String) -> [UInt8] { Array("\(message.utf8.count) \(message)".utf8) }
}

/// OTLP over HTTP in its JSON encoding: the answer to a request confirms what was in it.
///
/// - Source: OpenTelemetry protocol specification, "OTLP/HTTP".
struct OTLPCourier: Courier {
  private(set) var batchLimit = RecordQueue.recordLimit
  private let connect: () throws(ConnectionError) -> Stream
  private let source: ExportSource
  private let post: HTTPPost
  private var stream: Stream?

  init(
    to authority: String, from source: ExportSource, connect: @escaping () throws(ConnectionError) -> Stream
  ) {
    (self.source, self.connect) = (source, connect)
    post = HTTPPost(authority: authority)
  }

  var isOpen: Bool { stream != nil }

  mutating func open() throws(ConnectionError) { stream = try connect() }

  mutating func send(_ head: SignedHead) throws(ConnectionError) -> Delivery {
    try send(
      "/v1/logs", OTLPLogs.request([OTLPLogs.entry(head)], from: source), rejected: "rejectedLogRecords"
    ).0
  }

  mutating func send(_ records: [ExportRecord]) throws(ConnectionError) -> (Delivery, bytes: Int) {
    let request = OTLPLogs.request(records.map(OTLPLogs.entry), from: source)
    let (delivery, bytes) = try send("/v1/logs", request, rejected: "rejectedLogRecords")
    if case .refused = delivery {
      batchLimit = max(1, records.count / 2)
    } else {
      batchLimit = min(RecordQueue.recordLimit, batchLimit * 2)
    }
    return (delivery, bytes)
  }

  /// Sends metrics.
  mutating func send(metrics request: JSONValue) throws(ConnectionError) -> Delivery {
    try send("/v1/metrics", request, rejected: "rejectedDataPoints").0
  }

  private mutating func send(
    _ path: String, _ request: JSONValue, rejected: String
  ) throws(ConnectionError) -> (Delivery, bytes: Int) {
    let body = Array(compact(request).utf8)
    let open = try usableStream()
    let answer = try post.send("POST", path, body, over: open)
    if !answer.keepsAlive { stream = nil }
    return (Self.delivery(answer, rejected: rejected), body.count)
  }

  /// The connection, or a new one where the far side ended it between two requests, as it may.
  private mutating func usableStream() throws(ConnectionError) -> Stream {
    if let stream {
      let said = try? stream.receive(until: 0)
      if said?.isEmpty == true, !stream.isEnded { return stream }
    }
    let new = try connect()
    stream = new
    return new
  }

  /// What an answer means: which statuses are worth another try, the protocol says.
  static func delivery(_ answer: PostAnswer, rejected: String) -> Delivery {
    switch answer.status {
    case 200..<300: return partial(answer, rejected)
    case 400, 413, 422: return .refused("it answers \(answer.status)")
    default: return .later("it answers \(answer.status)", min(answer.retryAfter ?? 0, 3600) * 1000)
    }
  }

  private static func partial(_ answer: PostAnswer, _ rejected: String) -> Delivery {
    guard let success = (try? JSONValue(parsing: answer.body))?["partialSuccess"],
      let count = success[rejected].flatMap({ $0.integer ?? $0.text.flatMap { Int64($0) } }), count > 0
    else { return .taken }
    return .takenBut(UInt64(count), success["errorMessage"]?.text ?? "it does not say why")
  }

  func look() {}

  mutating func confirm() { stream = nil }

  mutating func close() { stream = nil }
}

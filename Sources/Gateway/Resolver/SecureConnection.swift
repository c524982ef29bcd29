import Addressing
import EventLoop
import SystemPackage
import TLSClient

/// A connection to a TLS upstream, kept for many queries.
///
/// It ends when it is idle for 10 s, when the server ends it, or when it has been
/// silent to a query for as long as one is waited for.
final class SecureConnection: ChannelDelegate {
  private enum Phase { case connecting, handshaking, open, closed }

  private let loop: EventLoop
  private let channel: Channel
  private let session: TLSSession
  private var phase = Phase.connecting
  private var pipe = QueryPipe<SecureExchange>()
  /// Queries for the end of the handshake.
  private var backlog: [UInt8] = []
  /// What the socket has not taken yet.
  private var outgoing: [UInt8] = []
  private var lastHeard: MonotonicTime
  /// Told once, with those who waited: they may be asked elsewhere when `hasAnswered`.
  private let ended: (_ waiting: [SecureExchange], _ cause: String, _ hasAnswered: Bool) -> Void
  private var hasAnswered = false

  /// How long it is kept without a query (RFC 7766 §6.2.3 leaves it to the client).
  static let idle: Duration = .seconds(10)

  init(
    _ upstream: Endpoint, _ session: TLSSession, on loop: EventLoop,
    ended: @escaping ([SecureExchange], String, Bool) -> Void
  ) throws(Errno) {
    self.loop = loop
    self.session = session
    self.ended = ended
    lastHeard = loop.now
    channel = try loop.connect(to: upstream, mayUseReserve: true)
    channel.delegate = self
    channel.deadline = loop.now + ResolverLimit.lookup
  }

  /// Whether queries are taken.
  var isUsable: Bool { phase != .closed }

  /// Sends a query, at once or once the handshake is done. Returns its number here; nil when there is no room.
  func send(_ query: [UInt8], for exchange: SecureExchange) -> UInt16? {
    guard isUsable, let (number, message) = pipe.add(query, for: exchange) else { return nil }
    backlog += message
    if phase == .open {
      channel.deadline = nil
      // In a turn of its own: a failure must not be told before the caller knows its exchange.
      if let cause = speak() ?? flush() {
        loop.schedule(after: .zero) { [weak self] in self?.end(because: cause) }
      }
    }
    return number
  }

  /// Waits no longer for a query that was sent at `time`.
  func forget(_ number: UInt16, sentAt time: MonotonicTime) {
    pipe.remove(number)
    guard isUsable else { return }
    if phase == .open, loop.now - time >= ResolverLimit.attempt, lastHeard < time {
      return end(because: "it is silent")
    }
    restIfIdle()
  }

  /// Ends it without a word to anybody.
  func close() {
    guard isUsable else { return }
    if phase == .open {
      session.goodbye()
      _ = flush()
    }
    phase = .closed
    channel.delegate = nil
    channel.close()
  }

  func channelIsReady(_ channel: Channel) {
    if phase == .connecting {
      switch channel.finishConnecting() {
      case .pending: return
      case .failed(let error): return end(because: "it cannot be connected to: \(error)")
      case .connected: phase = .handshaking
      }
    }
    advance()
  }

  func channelDeadlinePassed(_ channel: Channel) {
    phase == .open && pipe.isEmpty ? close() : end(because: "the handshake takes too long")
  }

  /// Takes what has come, says what there is to say, and hands out the answers.
  private func advance() {
    guard isUsable, phase != .connecting else { return }
    let socketEnd = receive()
    var plain: [UInt8] = []
    let failure = shake() ?? speak() ?? listen(onto: &plain)
    let answers = pipe.receive(plain)
    // The alert that tells the server what is wrong goes out too.
    let unsent = flush()
    if !answers.isEmpty {
      hasAnswered = true
      lastHeard = loop.now
    }
    if let cause = failure ?? unsent ?? socketEnd { end(because: cause) } else { restIfIdle() }
    for answer in answers { answer.owner.take(answer.message) }
  }

  /// Reads the socket until it is empty. Returns why there will be no more.
  private func receive() -> String? {
    while true {
      switch channel.read(into: loop.scratch) {
      case .bytes(let count):
        guard session.put(UnsafeRawBufferPointer(rebasing: loop.scratch[..<count])) else {
          return "no memory"
        }
      case .wouldBlock: return nil
      case .end:
        return phase == .open ? "it closed the connection" : "it closed the connection in the handshake"
      case .failed(let error): return "the connection broke: \(error)"
      }
    }
  }

  private func shake() -> String? {
    guard phase == .handshaking else { return nil }
    switch session.handshake() {
    case .waits: return nil
    case .failed(let cause): return cause
    case .ended: return "it ended the session in the handshake"
    case .done:
      phase = .open
      channel.deadline = nil
      return nil
    }
  }

  private func speak() -> String? {
    guard phase == .open, !backlog.isEmpty else { return nil }
    defer { backlog = [] }
    if case .failed(let cause) = session.write(backlog) { return cause }
    return nil
  }

  private func listen(onto plain: inout [UInt8]) -> String? {
    guard phase == .open else { return nil }
    switch session.read(onto: &plain) {
    case .failed(let cause): return cause
    case .ended: return "it ended the session"
    case .waits, .done: return nil
    }
  }

  /// Writes what the session has to send. Returns why that fails.
  private func flush() -> String? {
    outgoing += session.take()
    while !outgoing.isEmpty {
      switch outgoing.withUnsafeBytes({ channel.write($0) }) {
      case .bytes(let count): outgoing.removeFirst(count)
      case .wouldBlock: return nil
      case .failed(let error): return "the connection broke: \(error)"
      }
    }
    return nil
  }

  private func restIfIdle() {
    if phase == .open { channel.deadline = pipe.isEmpty ? loop.now + Self.idle : nil }
  }

  private func end(because cause: String) {
    guard isUsable else { return }
    let wasOpen = phase == .open
    phase = .closed
    channel.delegate = nil
    channel.close()
    ended(pipe.removeAll(), cause, wasOpen && hasAnswered)
  }
}

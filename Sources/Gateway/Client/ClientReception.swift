import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// A client's connection on which a request is awaited: its bytes come here
/// until a tunnel or an exchange takes over, and again behind each exchange.
/// What the bytes mean, those built on it say.
class ClientReception: LiveFlow, ChannelDelegate {
  unowned let shard: Shard
  let channel: Channel
  /// The connection's place among all.
  var ticket: ConnectionTicket?
  /// What has come of the request.
  var buffer: [UInt8] = []
  /// How much of `buffer` was already searched for the end of a head.
  var seen = 0
  /// The rest of the last response, where the client is slow to take it.
  private var outgoing = OutgoingBytes()
  /// What is known of the next request; read once the last response is out.
  private var held: [UInt8] = []

  init(_ channel: Channel, shard: Shard) {
    self.channel = channel
    self.shard = shard
    super.init()
  }

  /// More of the request has come.
  func readOn() {}

  /// No more of it comes.
  func clientEnded() { close() }

  /// The deadline has passed, and nothing is owed to the client.
  func patienceEnded() { close() }

  /// Waits for the next request on a kept connection.
  ///
  /// - Parameters:
  ///   - bytes: What is known of the request already.
  ///   - outgoing: What the client has still to take of the last response.
  final func resume(with bytes: [UInt8], sending outgoing: OutgoingBytes) {
    self.outgoing = outgoing
    held = bytes
    channel.delegate = self
    shard.insert(self)
    channel.deadline = shard.loop.now + (outgoing.isEmpty ? Deadlines.betweenRequests : Deadlines.response)
    // Not at once: a client that pipelines would nest each request in the one before.
    shard.loop.schedule(after: .zero) {
      if self.channel.delegate === self { self.channelIsReady(self.channel) }
    }
  }

  /// Whether nothing of a request has come yet.
  override var isIdle: Bool { buffer.isEmpty && held.isEmpty && outgoing.isEmpty }

  override func stop() { close() }

  final func close() {
    shard.remove(self)
    channel.close()
  }

  final func channelIsReady(_ channel: Channel) {
    guard flushOutgoing() else { return }
    takeHeld()
    while channel.delegate === self, !channel.isClosed {
      switch channel.read(into: shard.loop.scratch) {
      case .bytes(let count): take(shard.loop.scratch[..<count])
      case .wouldBlock: return
      case .end, .failed: return clientEnded()
      }
    }
  }

  final func channelDeadlinePassed(_ channel: Channel) {
    outgoing.isEmpty ? patienceEnded() : close()
  }

  /// Sends what is left of the last response, which the next one must not
  /// overtake; true when all of it is out.
  private func flushOutgoing() -> Bool {
    guard !outgoing.isEmpty else { return true }
    guard outgoing.flush(to: channel) else {
      close()
      return false
    }
    if outgoing.isEmpty { channel.deadline = shard.loop.now + Deadlines.betweenRequests }
    return outgoing.isEmpty
  }

  private func takeHeld() {
    guard !held.isEmpty else { return }
    let bytes = held
    held = []
    take(bytes)
  }

  private func take(_ bytes: some Sequence<UInt8>) {
    if buffer.isEmpty { channel.deadline = shard.loop.now + Deadlines.head }
    buffer += bytes
    readOn()
  }

  /// What came behind a head of `length` bytes; the buffer is for the next request.
  final func takeRest(behind length: Int) -> [UInt8] {
    let rest = Array(buffer[length...])
    buffer = []
    seen = 0
    return rest
  }
}

// MARK: - Plain requests

extension ClientReception {
  /// Has a plain request decided, and carried out, and comes back for the next.
  ///
  /// - Returns: Why it is not even decided.
  final func startExchange(
    _ head: RequestHead, to authority: Authority, _ rest: [UInt8], from origin: Origin
  ) -> Reason? {
    if let upgrade = head.upgrade, upgrade != "websocket" { return .upgrade }
    shard.remove(self)
    let facts = RequestFacts(method: head.method, path: head.path ?? "")
    let approach = Approach(
      .request(facts, upgrade: head.upgrade != nil), to: authority, from: origin, id: shard.nextFlowID(),
      at: .now())
    ExchangeDriver(head, approach, ahead: rest, of: self).start()
    return nil
  }
}

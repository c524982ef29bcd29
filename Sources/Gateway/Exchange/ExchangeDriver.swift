import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// Performs the effects of one `ExchangeSession` on a loop.
///
/// Memory is bounded by reading from a side only while nothing waits to be
/// written to the other.
final class ExchangeDriver: ApproachDriver {
  /// The most that one read takes, in bytes: what may wait for a slow side.
  private static let readSize = 64 * 1024
  /// Bytes moved in one turn, both ways together; the others of the loop come then.
  private static let turnShare = 1 << 20

  private let head: RequestHead
  /// Where the next request of the connection is awaited.
  private let reception: ClientReception
  private var session: ExchangeSession?
  private var toUpstream = OutgoingBytes()
  private var toClient = OutgoingBytes()
  private var isPumping = false
  private var isWaitingForTurn = false
  /// When the time for the whole exchange is over, and for the request's body.
  private var until = MonotonicTime(nanoseconds: .max), bodyUntil = MonotonicTime(nanoseconds: .max)

  init(_ head: RequestHead, _ approach: Approach, ahead: [UInt8], of reception: ClientReception) {
    self.head = head
    self.reception = reception
    super.init(
      approach, client: reception.channel, ahead: ahead, shard: reception.shard, ticket: reception.ticket)
  }

  override func revokeSession(_ reason: Reason) { handle(.revoked(reason)) }
  override func stopSession() { handle(.stopped) }
  override func sessionIsReady() { pump() }
  override func channelDeadlinePassed(_ channel: Channel) {
    handle(until <= shard.loop.now ? .durationPassed : .deadline)
  }

  override func connected(to endpoint: Endpoint) {
    openAccount()
    session = ExchangeSession(approach.flow, head, behind: ahead, account: account)
    ahead = []
    until = shard.loop.now + approach.flow.longest
    bodyUntil = shard.loop.now + Deadlines.requestBody
    upstream?.delegate = self
    handle(.connected(endpoint))
    pump()
  }

  override func refuse(_ denial: Denial) {
    let bytes = denial.httpBytes(headOnly: head.method == "HEAD")
    let mayStillSend = hasWaited || !ahead.isEmpty || (session?.awaitsBody ?? (head.framing != .none))
    Farewell.send(bytes, on: client, loop: shard.loop, lingers: mayStillSend, ticket: ticket)
  }
}

// MARK: - Effects

extension ExchangeDriver {
  private func handle(_ event: ExchangeSession.Event) {
    guard let effects = session?.handle(event, in: shard.snapshot.policy.mode, at: .now()) else { return }
    for effect in effects { perform(effect) }
    if session?.isFinished == true { finish() }
  }

  private func perform(_ effect: ExchangeSession.Effect) {
    switch effect {
    case .record(let record): shard.record(record)
    case .toUpstream(let bytes): toUpstream.append(bytes)
    case .toClient(let bytes): toClient.append(bytes)
    case .relay(let handover): startRelay(handover)
    case .refuse(let denial):
      upstream?.reset()
      refuse(denial)
    case .next(let bytes): awaitNext(bytes)
    case .close: closeAfterFlush()
    case .cut: cut()
    }
  }

  /// What the sockets have not taken yet goes first, and is counted by the relay.
  private func startRelay(_ handover: ExchangeSession.Handover) {
    guard let upstream else { return }
    let out = toUpstream.unsent, back = toClient.unsent
    RelayedFlow.start(
      approach.flow, from: client, to: upstream, at: handover.endpoint, holding: handOver(),
      early: (toUpstream: out + handover.toUpstream, toClient: back + handover.toClient),
      after: (out: handover.bytesOut - UInt64(out.count), back: handover.bytesIn - UInt64(back.count)),
      on: shard)
  }

  /// Hands the connection back for the next request, decided anew.
  private func awaitNext(_ bytes: [UInt8]) {
    upstream?.close()
    guard toClient.flush(to: client) else { return client.close() }
    reception.resume(with: bytes, sending: toClient)
  }

  private func closeAfterFlush() {
    upstream?.close()
    Farewell.send(
      toClient, on: client, loop: shard.loop, lingers: session?.awaitsBody ?? false, ticket: ticket)
  }
}

// MARK: - Pump

extension ExchangeDriver {
  /// Moves what can be moved, both ways, until neither side has more to give or
  /// the share of this turn is used up.
  private func pump() {
    guard !isPumping, session != nil else { return }
    isPumping = true
    defer { isPumping = false }
    var moved = true, share = Self.turnShare
    while moved, share > 0, session?.isFinished == false {
      guard flush() else { return }
      moved = readUpstream()
      moved = readClient() || moved
      share -= Self.readSize
    }
    guard let session, !session.isFinished else { return }
    setDeadline(session)
    if moved { continueLater() }
  }

  private func continueLater() {
    guard !isWaitingForTurn else { return }
    isWaitingForTurn = true
    shard.loop.schedule(after: .zero) {
      self.isWaitingForTurn = false
      self.pump()
    }
  }

  private func setDeadline(_ session: ExchangeSession) {
    let patience =
      session.awaitsBody ? Deadlines.betweenRequests : session.hasBegun ? Deadlines.idle : Deadlines.response
    let next = shard.loop.now + patience
    client.deadline = min(until, session.awaitsBody ? min(bodyUntil, next) : next)
  }

  private func flush() -> Bool {
    guard toClient.flush(to: client) else {
      handle(.clientFailed)
      return false
    }
    if let upstream, !toUpstream.flush(to: upstream) { toUpstream = OutgoingBytes() }
    return true
  }

  private func readClient() -> Bool {
    guard session?.wantsClientBytes == true, toUpstream.isEmpty else { return false }
    return read(client, end: .clientClosed, failure: .clientFailed) { .clientBytes($0) }
  }

  private func readUpstream() -> Bool {
    guard session?.wantsUpstreamBytes == true, toClient.isEmpty, let upstream else { return false }
    return read(upstream, end: .upstreamClosed, failure: .upstreamFailed) { .upstreamBytes($0) }
  }

  private func read(
    _ channel: Channel, end: ExchangeSession.Event, failure: ExchangeSession.Event,
    _ event: (ArraySlice<UInt8>) -> ExchangeSession.Event
  ) -> Bool {
    let buffer = UnsafeMutableRawBufferPointer(rebasing: shard.loop.scratch[..<Self.readSize])
    switch channel.read(into: buffer) {
    case .bytes(let count):
      handle(event([UInt8](buffer[..<count])[...]))
      return true
    case .wouldBlock: return false
    case .end:
      handle(end)
      return false
    case .failed:
      handle(failure)
      return false
    }
  }
}

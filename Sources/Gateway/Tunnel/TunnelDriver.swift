import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// How a tunnel's client is answered.
enum TunnelDialect: Sendable {
  case http
  case socks
}

/// Performs the effects of one `TunnelSession` on a loop.
final class TunnelDriver: ApproachDriver {
  private let dialect: TunnelDialect
  private var session: TunnelSession?
  private var isReading = false

  init(
    _ approach: Approach, client: Channel, ahead: [UInt8], dialect: TunnelDialect, shard: Shard,
    ticket: ConnectionTicket?
  ) {
    self.dialect = dialect
    super.init(approach, client: client, ahead: ahead, shard: shard, ticket: ticket)
  }

  override func revokeSession(_ reason: Reason) { handle(.revoked(reason)) }
  override func stopSession() { handle(.stopped) }
  override func sessionIsReady() { readHello() }
  override func channelDeadlinePassed(_ channel: Channel) { handle(.helloDeadline) }

  override func connected(to endpoint: Endpoint) {
    session = TunnelSession(approach.flow)
    handle(.connected(endpoint))
  }

  override func refuse(_ denial: Denial) {
    Farewell.send(
      dialect.refusal(denial), on: client, loop: shard.loop, lingers: hasWaited || !ahead.isEmpty,
      ticket: ticket)
  }

  private func handle(_ event: TunnelSession.Event) {
    guard let effects = session?.handle(event, in: shard.snapshot.policy.mode, at: .now()) else { return }
    for effect in effects { perform(effect) }
    if session?.isFinished == true { finish() }
  }

  private func perform(_ effect: TunnelSession.Effect) {
    switch effect {
    case .record(let record): shard.record(record)
    case .accept: accept()
    case .readHello: awaitHello()
    case .relay(let endpoint, let firstFlight): startRelay(to: endpoint, firstFlight)
    case .cut: cut()
    }
  }
}

extension TunnelDriver {
  private func accept() {
    handle(client.writeAll(dialect.acceptance) ? .accepted : .clientClosed)
  }

  private func awaitHello() {
    if client.deadline == nil { client.deadline = shard.loop.now + Deadlines.hello }
    if !ahead.isEmpty {
      let held = ahead
      ahead = []
      handle(.clientBytes(held[...]))
    }
    readHello()
  }

  /// Reads until the socket is empty or the hello is judged. A loop, never a
  /// recursion: the client chooses how many pieces it sends.
  private func readHello() {
    guard !isReading else { return }
    isReading = true
    defer { isReading = false }
    while session?.wantsClientBytes == true {
      switch client.read(into: shard.loop.scratch) {
      case .bytes(let count): handle(.clientBytes([UInt8](shard.loop.scratch[..<count])[...]))
      case .wouldBlock: return
      case .end, .failed: handle(.clientClosed)
      }
    }
  }

  private func startRelay(to endpoint: Endpoint, _ firstFlight: [UInt8]) {
    guard let upstream, !client.isClosed else { return }
    let held = firstFlight.isEmpty ? ahead : firstFlight
    ahead = []
    RelayedFlow.start(
      session?.flow ?? approach.flow, from: client, to: upstream, at: endpoint, holding: handOver(),
      early: (held, []),
      on: shard)
  }
}

extension TunnelDialect {
  /// What the client reads when its tunnel stands.
  fileprivate var acceptance: [UInt8] {
    switch self {
    case .http: Array("HTTP/1.1 200 Connection established\r\n\r\n".utf8)
    case .socks: SOCKSReply.succeeded.bytes
    }
  }

  fileprivate func refusal(_ denial: Denial) -> [UInt8] {
    switch self {
    case .http: denial.httpBytes()
    case .socks: SOCKSReply(denial.reason).bytes
    }
  }
}

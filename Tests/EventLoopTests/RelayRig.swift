import EventLoop
import Testing

/// A relay between two sockets of the test.
final class RelayRig {
  let rig: Rig
  let client: Peer
  let upstream: Peer
  let ended = Waiter<RelayEnd>()
  private(set) var relay: Relay?

  init(
    _ backEnd: PollerBackEnd, _ transport: Transport = .tcp, idle: Duration = .seconds(600),
    until: Duration? = nil, out: ByteBudget? = nil, back: ByteBudget? = nil,
    early: ([UInt8], [UInt8]) = ([], []),
    socketBuffers: Int32? = nil
  ) throws {
    rig = try Rig(backEnd)
    let (client, inner) = try connectedPair(transport)
    let (upstream, outer) = try connectedPair(transport)
    (self.client, self.upstream) = (client, upstream)
    if let socketBuffers { [client.fd, inner, upstream.fd, outer].forEach { setBuffers($0, socketBuffers) } }
    relay = rig.run { [ended] loop in
      let relay = Relay(
        client: loop.adopt(inner), upstream: loop.adopt(outer),
        options: RelayOptions(
          idle: idle, until: until.map { .now() + $0 }, budgetOut: out, budgetIn: back),
        onEnd: { ended.give($0) })
      relay.start(earlyToUpstream: early.0, earlyToClient: early.1)
      return relay
    }
  }

  /// Bytes out and in, as the relay counts them.
  var counts: [UInt64] {
    rig.run { _ in [relay?.bytesOut ?? 0, relay?.bytesIn ?? 0] }
  }

  func cut() {
    rig.run { _ in relay?.cut() }
  }
}

import Addressing
import Audit
import EventLoop
import Policy

/// A flow whose bytes are relayed unseen: all that is kept of a tunnel, or of
/// an upgraded connection, once it stands. Most of a gate's memory is these,
/// so they hold what the close record and a reload need and nothing else.
final class RelayedFlow: LiveFlow {
  private unowned let shard: Shard
  private let standing: Flow
  private let endpoint: Endpoint
  private let hold: FlowHold
  private let carried: (out: UInt64, back: UInt64)
  private var relay: Relay?
  /// Why it is being cut; its record waits for the byte counts.
  private var cutReason: Reason?

  /// Takes over the two channels and relays until both sides are done.
  ///
  /// - Parameters:
  ///   - hold: What the flow has taken of limits and caps; given back at the end.
  ///   - early: What was read of the client and of the upstream already.
  ///   - carried: Bytes that went each way before, for the record.
  static func start(
    _ flow: Flow, from client: Channel, to upstream: Channel, at endpoint: Endpoint, holding hold: FlowHold,
    early: (toUpstream: [UInt8], toClient: [UInt8]), after carried: (out: UInt64, back: UInt64) = (0, 0),
    on shard: Shard
  ) {
    let relayed = RelayedFlow(flow, endpoint, hold, carried, shard)
    shard.insert(relayed)
    client.deadline = nil
    let options = RelayOptions(flow, account: hold.account, from: shard.loop.now)
    let relay = Relay(client: client, upstream: upstream, options: options) { relayed.ended($0) }
    relayed.relay = relay
    relay.start(earlyToUpstream: early.toUpstream, earlyToClient: early.toClient)
  }

  private init(
    _ flow: Flow, _ endpoint: Endpoint, _ hold: FlowHold, _ carried: (out: UInt64, back: UInt64),
    _ shard: Shard
  ) {
    standing = flow
    self.carried = carried
    self.endpoint = endpoint
    self.hold = hold
    self.shard = shard
  }

  override var flow: Flow? { standing }

  override func revoke(_ reason: Reason) {
    cutReason = reason
    relay?.cut()
  }

  override func stop() {
    relay?.cut()
  }

  private func ended(_ end: RelayEnd) {
    guard let relay else { return }
    shard.record(
      standing.closeRecord(
        cutReason.map(CloseReason.cut) ?? CloseReason(end), address: endpoint,
        bytesOut: carried.out + relay.bytesOut, bytesIn: carried.back + relay.bytesIn, at: .now()))
    self.relay = nil
    shard.remove(self)
  }
}

extension RelayOptions {
  /// What a relay of `flow` that begins at `now` is held to.
  init(_ flow: Flow, account: Ledger.Account?, from now: MonotonicTime) {
    self.init(
      idle: Deadlines.idle, until: now + flow.longest, budgetOut: account?.out, budgetIn: account?.in)
  }
}

/// What a flow has taken of its rule's limits and of its agent's connections;
/// given back when the last owner lets go.
final class FlowHold {
  let account: Ledger.Account?
  private let ticket: ConnectionTicket?
  private let holdsConnection: Bool

  init(_ account: Ledger.Account?, ticket: ConnectionTicket?, holdsConnection: Bool) {
    self.account = account
    self.ticket = ticket
    self.holdsConnection = holdsConnection
  }

  deinit {
    if holdsConnection { account?.returnConnection() }
  }
}

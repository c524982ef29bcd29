import Addressing
import Audit
import EventLoop
import Policy

/// Performs the effects of an `Approach` on a loop; tunnels and exchanges
/// are built on it and take over where it ends.
class ApproachDriver: LiveFlow {
  unowned let shard: Shard
  let client: Channel
  let ticket: ConnectionTicket?
  var approach: Approach
  private(set) var upstream: Channel?
  /// The lookup under way; ended with the flow, so that it holds no socket for nobody.
  private var lookup: ResolveToken?
  /// The dial under way; ended with the flow, so that no further address is tried.
  private var dialer: Dialer?
  private var holdsConnection = false
  /// Whether time has passed since the request was read: the client may have
  /// gone on sending.
  private(set) var hasWaited = false
  private(set) var account: Ledger.Account?

  init(_ approach: Approach, client: Channel, shard: Shard, ticket: ConnectionTicket?) {
    self.approach = approach
    self.client = client
    self.shard = shard
    self.ticket = ticket
    super.init()
  }

  override var flow: Flow? { approach.flow }

  /// The upstream stands at `endpoint`.
  func connected(to endpoint: Endpoint) {}

  /// The client is to be told why not, and nothing comes behind it.
  func refuse(_ denial: Denial) {}

  func begin() {
    shard.insert(self)
    approach(.begin)
    hasWaited = true
  }

  func approach(_ event: Approach.Event) {
    let snapshot = shard.snapshot
    for effect in approach.handle(event, under: snapshot, at: snapshot.clock.now()) { perform(effect) }
  }

  private func perform(_ effect: Approach.Effect) {
    switch effect {
    case .record(let record): shard.record(record)
    case .reserve: reserve()
    case .resolve(let name): resolve(name)
    case .commit: shard.afterCommit { self.approach(.recorded($0)) }
    case .dial(let addresses, let port): dial(addresses, port)
    case .connected(let endpoint): connected(to: endpoint)
    case .refuse(let denial):
      upstream?.reset()
      refuse(denial)
      finish()
    case .abandon:
      cut()
      finish()
    }
  }

  /// Leaves the registry and gives back what was reserved; harmless twice.
  func finish() {
    shard.remove(self)
    if let lookup { shard.resolver.cancel(lookup) }
    lookup = nil
    dialer?.cancel()
    dialer = nil
    if holdsConnection { account?.returnConnection() }
    holdsConnection = false
  }

  /// What the flow holds, for whoever goes on with it.
  func handOver() -> FlowHold {
    openAccount()
    defer { holdsConnection = false }
    return FlowHold(account, ticket: ticket, holdsConnection: holdsConnection)
  }

  /// Closes both sides at once.
  func cut() {
    upstream?.reset()
    client.reset()
  }
}

extension ApproachDriver {
  private func reserve() {
    openAccount()
    if let reason = account?.spentBudget { return approach(.spent(reason)) }
    holdsConnection = account?.takeConnection() ?? true
    approach(.reserved(holdsConnection))
  }

  /// Finds what the rule's limits count for this agent.
  func openAccount() {
    if account == nil {
      account = shard.ledger.account(of: approach.flow.origin.agent, under: approach.flow.decision.rule)
    }
  }

  private func resolve(_ name: Hostname) {
    lookup = shard.resolver.resolve(name, for: approach.flow.origin.agent) { result in
      self.lookup = nil
      self.approach(.resolved(result))
    }
  }

  private func dial(_ addresses: [IPAddress], _ port: Port) {
    let dialer = Dialer.dial(addresses, port: port, on: shard.loop) { result in
      self.dialer = nil
      switch result {
      case .success((let channel, let endpoint)): self.dialed(channel, endpoint)
      case .failure(let failure): self.approach(.dialed(.failure(failure), toSelf: false))
      }
    }
    // A dial that is over already has finished the flow, too.
    if position >= 0 { self.dialer = dialer }
  }

  /// A connection whose two ends have one address leads back to this machine,
  /// whatever the list of local addresses said a moment ago.
  private func dialed(_ channel: Channel, _ endpoint: Endpoint) {
    guard position >= 0 else { return channel.reset() }
    upstream = channel
    approach(.dialed(.success(endpoint), toSelf: channel.localEndpoint?.address == endpoint.address))
  }
}

import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// A client's connection until it is known what it wants: HTTP or SOCKS by its
/// first byte, then CONNECT or a plain request by its head. From there a
/// tunnel or an exchange takes over.
final class ClientConnection: ClientReception {
  private let entrance: Entrance
  private var agent = AgentName.default
  private var socks: SOCKSNegotiation?
  /// What the request at hand is about, once its head was read.
  private var asked: Asked?

  init(_ channel: Channel, through entrance: Entrance, shard: Shard) {
    self.entrance = entrance
    super.init(channel, shard: shard)
  }

  /// Takes a new connection: counts it, or answers 503.
  func start() {
    shard.countAccepted()
    channel.delegate = self
    shard.insert(self)
    let owner = shard.snapshot.directory.owner(of: entrance.address)
    ticket = shard.admission.enter(as: party(of: owner), owner: owner)
    guard ticket != nil else { return turnAway() }
    channel.deadline = shard.loop.now + Deadlines.head
    channelIsReady(channel)
  }

  /// On whose account the connection stands before its request was read.
  private func party(of owner: AgentName?) -> Admittance.Party {
    if let owner { return .agent(owner) }
    let isShared = shard.snapshot.directory.needsToken(on: entrance.address)
    return isShared ? .newcomer(entrance.address) : .agent(.default)
  }

  /// Answers 503 at once: a gate that is full has no descriptor left to linger
  /// with. What has come is read before, so that the answer is not overtaken by a reset.
  private func turnAway() {
    _ = channel.read(into: shard.loop.scratch)
    reject(.overload, lingers: false)
  }

  override var isIdle: Bool { super.isIdle && socks == nil }

  /// A client that says nothing at all was no request; one that stopped in the
  /// middle of its head is told and recorded.
  override func patienceEnded() {
    buffer.isEmpty && socks == nil ? close() : reject(.headTimeout)
  }

  override func readOn() {
    if socks != nil || buffer.first == SOCKSNegotiation.version {
      negotiate()
    } else {
      readHead()
    }
  }
}

// MARK: - HTTP

extension ClientConnection {
  private func readHead() {
    asked = nil
    let seen = seen
    self.seen = buffer.count
    do {
      guard let (head, length) = try RequestHead.parse(buffer[...], resumingAt: seen) else { return }
      try route(head, takeRest(behind: length))
    } catch {
      reject(error.reason, status: error.status, detail: error.token)
    }
  }

  private func route(_ head: RequestHead, _ rest: [UInt8]) throws(RequestError) {
    asked = Asked(head)
    guard identify(head.proxyAuthorization) else { return }
    try head.checkHost(gate: entrance.authorities(at: channel.localEndpoint))
    channel.deadline = nil
    switch head.target {
    case .authority(let authority):
      startTunnel(to: shard.named(authority), layer: .connect, ahead: rest, dialect: .http)
    case .absolute(let authority, let path):
      let named = shard.named(authority)
      let aimed = head.aimed(at: .absolute(named, pathAndQuery: path))
      if let reason = startExchange(aimed, to: named, rest, from: origin(.http)) { reject(reason) }
    }
  }

  /// Finds the agent and books the connection to it, or answers 407 or 503. A
  /// connection whose listener changed hands is nobody's.
  private func identify(_ token: [UInt8]?) -> Bool {
    guard ticket?.owner == shard.snapshot.directory.owner(of: entrance.address),
      let agent = shard.snapshot.directory.agent(on: entrance.address, token: token)
    else {
      reject(.unknownAgent)
      return false
    }
    self.agent = agent
    guard ticket?.book(to: agent) == true else {
      reject(.overload)
      return false
    }
    return true
  }

  private func startTunnel(to authority: Authority, layer: Layer, ahead: [UInt8], dialect: TunnelDialect) {
    shard.remove(self)
    let approach = Approach(
      .tunnel, to: authority, from: origin(layer), id: shard.nextFlowID(), at: .now())
    TunnelDriver(
      approach, client: channel, ahead: ahead, dialect: dialect, shard: shard, ticket: ticket
    ).start()
  }

  private func origin(_ layer: Layer) -> Origin {
    entrance.origin(of: agent, on: channel, layer: layer)
  }

  /// Answers a request that was not judged, records it and ends the connection;
  /// nothing behind it is parsed.
  private func reject(
    _ reason: Reason, status: Int? = nil, detail: String? = nil, socksError: SOCKSError? = nil,
    lingers: Bool = true
  ) {
    shard.remove(self)
    // A request that could not be read, or showed no token, still came by somebody's listener.
    if agent == .default { agent = shard.snapshot.directory.owner(of: entrance.address) ?? .default }
    let generation = shard.snapshot.generation
    shard.record(
      .unjudged(
        reason, from: origin(socks == nil ? .http : .socks), destination: asked?.destination,
        rawHost: socks == nil ? RawExcerpt.of(buffer) : nil, detail: detail, generation: generation,
        flow: shard.nextFlowID(), at: .now()))
    let denial = Denial(
      reason, status: status, destination: asked?.destination, generation: generation, agent: agent)
    let answer =
      socks.map { $0.refusal(socksError, reason) } ?? denial.httpBytes(headOnly: asked?.isHead ?? false)
    Farewell.send(answer, on: channel, loop: shard.loop, lingers: lingers, ticket: ticket)
  }
}

// MARK: - SOCKS

extension ClientConnection {
  private func negotiate() {
    var negotiation =
      socks ?? SOCKSNegotiation(needsToken: shard.snapshot.directory.needsToken(on: entrance.address))
    do throws(SOCKSError) {
      while true {
        let step = try negotiation.advance(&buffer)
        socks = negotiation
        switch step {
        case .needsMore: return
        case .reply(let bytes): guard channel.writeAll(bytes) else { return close() }
        case .request(let authority): return connect(to: authority, token: negotiation.token)
        }
      }
    } catch {
      socks = negotiation
      let lacksToken = error == .noMethods && shard.snapshot.directory.needsToken(on: entrance.address)
      reject(lacksToken ? .unknownAgent : .malformed, detail: error.token, socksError: error)
    }
  }

  private func connect(to authority: Authority, token: [UInt8]?) {
    asked = Asked(destination: Destination(authority.host, authority.port, .https))
    guard identify(token) else { return }
    let rest = buffer
    buffer = []
    channel.deadline = nil
    startTunnel(to: shard.named(authority), layer: .socks, ahead: rest, dialect: .socks)
  }
}

/// What a request is about, for its refusal before the decision.
private struct Asked {
  var destination: Destination
  var isHead = false

  init(destination: Destination) {
    self.destination = destination
  }

  init(_ head: RequestHead) {
    switch head.target {
    case .authority(let authority): destination = Destination(authority.host, authority.port, .https)
    case .absolute(let authority, _): destination = Destination(authority.host, authority.port, .http)
    }
    isHead = head.method == "HEAD"
  }
}

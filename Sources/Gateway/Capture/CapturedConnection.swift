import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// Performs the steps of one `CaptureSession` on a loop.
final class CapturedConnection: ClientReception {
  private let settings: CaptureSettings
  private var session: CaptureSession?

  init(_ channel: Channel, by settings: CaptureSettings, shard: Shard) {
    self.settings = settings
    super.init(channel, shard: shard)
  }

  /// Takes a new connection: finds out where it went, and what it may be.
  func start() {
    shard.countAccepted()
    channel.delegate = self
    shard.insert(self)
    guard let endpoint = destination else { return close() }
    ticket = shard.admission.enter(as: .agent(settings.agent), owner: nil)
    let session = CaptureSession(place(of: endpoint), agent: settings.agent)
    self.session = session
    guard ticket != nil else { return turnAway(from: session.place) }
    handle(.began)
    if channel.delegate === self { channelIsReady(channel) }
  }

  /// Where the client connected to. What nothing led here went to the listener itself.
  private var destination: Endpoint? {
    switch settings.mode {
    case .redirect: channel.originalDestination ?? channel.localEndpoint
    case .tproxy: channel.localEndpoint
    }
  }

  private func place(of endpoint: Endpoint) -> CapturedPlace {
    if let pool = shard.commons.pool,
      let hold = SyntheticHold(endpoint.address, of: pool, at: shard.loop.now)
    {
      ticket?.syntheticHold = hold
      return CapturedPlace(endpoint, .name(hold.name))
    }
    let isFixed = shard.snapshot.floor.holdsFast(endpoint.address, endpoint.port)
    return CapturedPlace(endpoint, isFixed ? .address : .byClient)
  }

  private func turnAway(from place: CapturedPlace) {
    record(.overload, Destination(place.host, place.endpoint.port, .tcp))
    shard.remove(self)
    channel.reset()
  }

  override func readOn() { handle(.bytes(buffer)) }
  override func patienceEnded() { handle(.deadline(buffer)) }
  override func clientEnded() { handle(.ended(buffer)) }

  private func handle(_ event: CaptureSession.Event) {
    let snapshot = shard.snapshot
    guard let step = session?.handle(event, under: snapshot, at: snapshot.clock.now().rules) else { return }
    perform(step)
  }

  private func perform(_ step: CaptureSession.Step) {
    switch step {
    case .wait(let patience): channel.deadline = shard.loop.now + patience
    case .readOn: break
    case .tunnel(let host, let spoken, let objection):
      startTunnel(to: host, .captured(spoken, objection: objection))
    case .request(let head, let length): startExchange(head, takeRest(behind: length))
    case .refuse(let reason, let status, let detail): reject(reason, status: status, detail: detail)
    case .close: close()
    }
  }

  private func startTunnel(to host: Host, _ subject: Approach.Subject) {
    guard let port = session?.place.endpoint.port else { return }
    shard.remove(self)
    channel.deadline = nil
    let approach = Approach(
      subject, to: Authority(host, port), from: origin, id: shard.nextFlowID(), at: .now())
    CapturedTunnel(approach, client: channel, ahead: buffer, shard: shard, ticket: ticket).start()
  }

  private func startExchange(_ head: RequestHead, _ rest: [UInt8]) {
    channel.deadline = nil
    let authority = head.target.authority
    guard let reason = startExchange(head, to: authority, rest, from: origin) else { return }
    reject(reason, Destination(authority.host, authority.port, .http), headOnly: head.method == "HEAD")
  }

  private var origin: Origin {
    Origin(
      agent: settings.agent, client: channel.remoteEndpoint?.description ?? "",
      listener: settings.description, layer: .transparent)
  }

  private func record(_ reason: Reason, _ destination: Destination?, detail: String? = nil) {
    shard.record(
      .unjudged(
        reason, from: origin, destination: destination, rawHost: nil, detail: detail,
        generation: shard.snapshot.generation, flow: shard.nextFlowID(), at: .now()))
  }

  /// Answers a request that was not judged, records it and ends the connection;
  /// nothing behind it is parsed.
  private func reject(
    _ reason: Reason, _ named: Destination? = nil, status: Int? = nil, detail: String? = nil,
    headOnly: Bool = false
  ) {
    let destination =
      named ?? session.map { Destination($0.place.host, $0.place.endpoint.port, .http) }
    record(reason, destination, detail: detail)
    shard.remove(self)
    let denial = Denial(
      reason, status: status, destination: destination, generation: shard.snapshot.generation,
      agent: settings.agent)
    Farewell.send(
      denial.httpBytes(headOnly: headOnly), on: channel, loop: shard.loop, lingers: true, ticket: ticket)
  }
}

/// A captured connection that is relayed unseen: what it had to say before that
/// was looked at already, and there is no answer that its client would read.
final class CapturedTunnel: ApproachDriver {
  override func connected(to endpoint: Endpoint) {
    guard let upstream, !client.isClosed else { return }
    RelayedFlow.start(
      approach.flow, from: client, to: upstream, at: endpoint, holding: handOver(), early: (ahead, []),
      on: shard)
    ahead = []
    finish()
  }

  /// With a reset, which programs take for the answer that it is at once.
  override func refuse(_ denial: Denial) {
    client.reset()
  }
}

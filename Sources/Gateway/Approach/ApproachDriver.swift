import Addressing
import Approvals
import Audit
import EventLoop
import Policy
import PolicyFile

/// Performs the effects of an `Approach` on a loop; tunnels and exchanges
/// are built on it and take over where it ends.
class ApproachDriver: LiveFlow, ChannelDelegate {
  /// How much is read ahead of a client whose request is still on its way, in
  /// bytes: a ClientHello with room to spare. A client that has sent more is
  /// heard of again when the upstream stands.
  private static let aheadLimit = 16 * 1024

  unowned let shard: Shard
  let client: Channel
  let ticket: ConnectionTicket?
  var approach: Approach
  /// What the client sent behind its request; held until the policy, the log
  /// and the upstream have answered.
  var ahead: [UInt8]
  private(set) var upstream: Channel?
  /// The lookup under way; ended with the flow, so that it holds no socket for nobody.
  private var lookup: ResolveToken?
  /// The dial under way; ended with the flow, so that no further address is tried.
  private var dialer: Dialer?
  private var holdsConnection = false
  /// Who the client is, where it was found.
  private var program: Program?
  /// The end of the time to wait for a person.
  private var holdTimer: TimerID?
  /// How long that is, and until when: as was said at the first question.
  private var patience: (time: Duration, end: Timestamp)?
  /// Whether time has passed since the request was read: the client may have
  /// gone on sending.
  private(set) var hasWaited = false
  private(set) var account: Ledger.Account?
  private let startedAt: MonotonicTime

  init(
    _ approach: Approach, client: Channel, ahead: [UInt8], shard: Shard, ticket: ConnectionTicket?
  ) {
    self.approach = approach
    self.ahead = ahead
    self.client = client
    self.shard = shard
    self.ticket = ticket
    startedAt = shard.loop.now
    super.init()
  }

  override var flow: Flow? { approach.flow }

  /// The upstream stands at `endpoint`.
  func connected(to endpoint: Endpoint) {}

  /// The client is to be told why not, and nothing comes behind it.
  func refuse(_ denial: Denial) {}

  /// What an event means once the upstream stands.
  func sessionIsReady() {}
  func revokeSession(_ reason: Reason) {}
  func stopSession() {}
  func channelDeadlinePassed(_ channel: Channel) {}

  func start() {
    client.delegate = self
    shard.insert(self)
    approach(.begin)
    hasWaited = true
    readAhead()
  }

  final override func revoke(_ reason: Reason) {
    approach.isFinished ? revokeSession(reason) : approach(.revoked(reason))
  }

  final override var isHeld: Bool { approach.isHeld }

  final override func reconsider() {
    if approach.isHeld { approach(.policyChanged) }
  }

  final override func stop() {
    approach.isFinished ? stopSession() : approach(.stopped)
  }

  final func channelIsReady(_ channel: Channel) {
    approach.isFinished ? sessionIsReady() : readAhead()
  }

  func approach(_ event: Approach.Event) {
    let snapshot = shard.snapshot
    for effect in approach.handle(event, under: snapshot, at: snapshot.clock.now()) { perform(effect) }
    if holdTimer != nil, !approach.isHeld { endHold() }
  }

  private func perform(_ effect: Approach.Effect) {
    switch effect {
    case .record(let record): shard.record(witnessed(record))
    case .ask(let key, let rule): ask(key, rule)
    case .hold: hold()
    case .reserve: reserve()
    case .resolve(let name): resolve(name)
    case .commit: shard.afterCommit { self.approach(.recorded($0)) }
    case .dial(let addresses, let port): dial(addresses, port)
    case .connected(let endpoint):
      shard.counters.connecting.add(shard.loop.now - startedAt)
      connected(to: endpoint)
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
    endHold()
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

// MARK: - People

extension ApproachDriver {
  private var waiter: UInt64 { approach.flow.id }

  private func ask(_ key: ApprovalKey, _ rule: Rule?) {
    var domain: Hostname?
    if case .name(let name) = key.destination.host { domain = registeredDomain(of: name) }
    var request = ApprovalRequest(key, domain: domain, rule: rule, program: program)
    request.addresses = knownAddresses(of: key.destination.host)
    request.heldUntil = takePatience().end
    let reply = shard.commons.approvals.ask(request, as: waiter)
    if case .held = reply { lookForProgram() }
    approach(.asked(reply))
  }

  /// Has whoever can see it say who the client is: of a captured one, by the place that it knows itself to be connected
  /// to. The connection is held by a number, which nobody has after it.
  private func lookForProgram() {
    guard program == nil, let find = shard.commons.witness, let peer = client.remoteEndpoint,
      let own = client.originalDestination ?? client.localEndpoint
    else { return }
    let waiter = waiter, loop = shard.loop, shard = shard
    find(peer, own) { program in
      loop.submit {
        shard.noteProgram(program, of: waiter)
      }
    }
  }

  /// This is who it was when it asked.
  final func note(_ program: Program) {
    guard approach.isHeld else { return }
    self.program = program
    shard.commons.approvals.note(program, of: waiter)
  }

  /// A decision with whoever was found behind it.
  private func witnessed(_ record: Record) -> Record {
    guard let program, case .decision(var decision) = record else { return record }
    decision.program = ProgramMark(
      command: program.command, file: program.file, directory: program.workingDirectory,
      processID: program.processID)
    return .decision(decision)
  }

  /// What is known without a word to anybody: an address is itself, and a name may be remembered from a lookup that was allowed.
  private func knownAddresses(of host: Host) -> [IPAddress] {
    switch host {
    case .address(let address): [address]
    case .name(let name): shard.resolver.rememberedAddresses(of: name)
    }
  }

  /// Waits for an answer, in all no longer than the first question may take.
  private func hold() {
    guard holdTimer == nil else { return }
    shard.hold(self, as: waiter)
    holdTimer = shard.loop.schedule(after: takePatience().time) { self.holdEnded() }
  }

  private func takePatience() -> (time: Duration, end: Timestamp) {
    if let patience { return patience }
    let desk = shard.commons.approvals, time = desk.hold(under: shard.snapshot.policy)
    patience = (time, desk.now + time)
    return (time, desk.now + time)
  }

  /// An answer that has come in the same moment counts.
  private func holdEnded() {
    guard approach.isHeld else { return }
    let desk = shard.commons.approvals
    if let verdict = desk.take(waiter) {
      approach(.answered(verdict))
      guard approach.isHeld else { return }
    }
    approach(.holdEnded(desk.question(of: waiter)))
  }

  /// Somebody answered; whether it was for this one, the desk knows.
  final func takeVerdict() {
    guard approach.isHeld, let verdict = shard.commons.approvals.take(waiter) else { return }
    approach(.answered(verdict))
  }

  private func endHold() {
    guard let timer = holdTimer else { return }
    holdTimer = nil
    shard.loop.cancel(timer)
    shard.release(waiter)
    shard.commons.approvals.leave(waiter)
  }
}

extension ApproachDriver {
  /// Takes what the client sends while it waits, which is how a reset is seen:
  /// nobody is looked up or dialled for who is gone.
  ///
  /// An end alone says nothing: a client that has sent all it has may shut its
  /// side and wait for the answer (RFC 9293 §3.6, half-close).
  private func readAhead() {
    while !approach.isFinished, ahead.count < Self.aheadLimit {
      let room = UnsafeMutableRawBufferPointer(
        rebasing: shard.loop.scratch[..<(Self.aheadLimit - ahead.count)])
      switch client.read(into: room) {
      case .bytes(let count): ahead += room[..<count]
      case .wouldBlock, .end: return
      case .failed: return approach(.clientClosed)
      }
    }
  }

  private func reserve() {
    openAccount()
    if let reason = account?.spentBudget { return approach(.spent(reason)) }
    holdsConnection = account?.takeConnection() ?? true
    approach(.reserved(holdsConnection))
  }

  /// Finds what the rule's limits count for this agent.
  func openAccount() {
    if account == nil {
      account = shard.commons.ledger.account(
        of: approach.flow.origin.agent, under: approach.flow.decision.rule)
    }
  }

  private func resolve(_ name: Hostname) {
    let flow = approach.flow
    if let denied = shard.spendLabels(
      of: name, as: flow.origin.agent, under: flow.decision, layer: flow.origin.layer)
    {
      return approach(.spent(denied.reason))
    }
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

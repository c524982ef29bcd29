import Addressing
import EventLoop
import Policy
import SystemPackage
import Wire

/// Asks upstreams about questions of any type, each once however many wait for
/// it, and is confined to one loop. It knows no policy and remembers nothing.
///
/// Questions that begin in one turn share a socket, at most 16 of them: the
/// port is new each turn, so nobody can learn it in time, and a forged answer
/// must also have the id and the spelling of one question, which differ.
final class Forwarder {
  /// What becomes of a question.
  typealias Completion = (Question, InquiryAnswer, [Waiting]) -> Void

  /// A question under way. A class: what is looked at for each datagram would else be copied.
  private final class Pending {
    let question: Question
    let owner: AgentNumber
    var inquiry: Inquiry
    var waiting: [Waiting]
    var port: UpstreamPort?
    var exchange: (any UpstreamExchange)?
    /// Whether the exchange has a socket of its own.
    var hasSocket = false

    init(_ question: Question, of owner: AgentNumber, _ inquiry: Inquiry, _ waiting: Waiting) {
      (self.question, self.owner, self.inquiry, self.waiting) = (question, owner, inquiry, [waiting])
    }
  }

  private let loop: EventLoop
  private let completion: Completion
  private let secureUpstreams: SecureUpstreams
  private var resources: InquiryResources
  private let batch = DatagramBatch()
  /// The port that this turn's questions leave by.
  private var port: UpstreamPort?
  private var places: [Question: Int] = [:]
  private var pending: [Pending?] = []
  private var free: [Int] = []
  private var stock = FairStock<AgentNumber>(total: Forwarder.questions, each: Forwarder.questionsPerAgent)
  /// Sockets to upstreams, see `DescriptorBudget`: whoever opens one is charged.
  private var sockets: FairStock<AgentNumber>
  private var isSweeping = false

  /// Questions under way at one time; some 600 bytes each.
  private static let questions = 4096
  /// The same of one agent.
  private static let questionsPerAgent = 1024
  /// Who waits for one question. A client asks again after a second or more.
  private static let waitingEach = 256
  /// How often it is looked whose time is over.
  private static let sweep: Duration = .milliseconds(100)

  /// - Parameter resolver: Whose connections over TLS, and knowledge of who answers, it shares.
  init(
    loop: EventLoop, _ configuration: ResolverConfiguration, sharing resolver: Resolver,
    completion: @escaping Completion
  ) {
    self.loop = loop
    secureUpstreams = resolver.secureUpstreams
    self.completion = completion
    let sockets = configuration.lookupsInFlight * ResolverLimit.socketsPerLookup
    self.sockets = FairStock(total: sockets, each: sockets)
    let random = RandomPool()
    resources = InquiryResources(
      routes: configuration.routes, board: resolver.board, random: { random.next() })
    loop.onTurnEnd { [unowned self] in endTurn() }
  }

  /// What it has done since its start.
  var statistics: ResolverStatistics { resources.statistics }
  /// The number of questions under way.
  var count: Int { places.count }
  var openSockets: Int { sockets.taken }

  /// Asks a question for somebody who waits; the completion follows, also in this call.
  func ask(_ question: Question, for agent: AgentNumber, _ waiting: Waiting) {
    if let place = places[question], let known = pending[place] {
      guard known.waiting.count < Self.waitingEach else {
        resources.statistics.overflows += 1
        return fail(question, waiting, .overload)
      }
      known.waiting.append(waiting)
      return
    }
    guard stock.take(for: agent) else {
      resources.statistics.overflows += 1
      return fail(question, waiting, .overload)
    }
    let now = loop.now
    resources.statistics.lookups += 1
    guard let inquiry = Inquiry(question.name, question.type, at: now, &resources) else {
      stock.give(of: agent)
      return fail(question, waiting, resources.routes.refusal(of: question.name) ?? .serverFailure)
    }
    let place = free.popLast() ?? pending.count
    if place == pending.count { pending.append(nil) }
    pending[place] = Pending(question, of: agent, inquiry, waiting)
    places[question] = place
    send(place)
    startSweeping()
  }

  private func fail(_ question: Question, _ waiting: Waiting, _ failure: ResolveFailure) {
    let until = loop.now + ResolverLimit.failureMemory
    completion(question, InquiryAnswer(result: .failure(failure), chain: [], until: until), [waiting])
  }
}

// MARK: - Attempts

extension Forwarder {
  /// Sends the attempt that stands.
  private func send(_ place: Int) {
    guard let attempt = pending[place]?.inquiry.attempt else { return }
    do throws(Errno) {
      switch attempt.transport {
      case .datagram: try sendDatagram(attempt, place)
      case .stream, .secure: try sendMessage(attempt, place)
      }
    } catch {
      // A want of sockets is no fault of the upstream, and another would not help.
      guard error != .tooManyOpenFiles else { return giveUp(place) }
      step(place) { $0.socketFailed(at: self.loop.now, &$1) }
    }
  }

  private func giveUp(_ place: Int) {
    resources.statistics.overflows += 1
    let until = loop.now + ResolverLimit.failureMemory
    finish(place, InquiryAnswer(result: .failure(.overload), chain: [], until: until))
  }

  private func takeSocket(for agent: AgentNumber) throws(Errno) {
    guard sockets.take(for: agent) else { throw .tooManyOpenFiles }
  }

  func giveSocket(of agent: AgentNumber) { sockets.give(of: agent) }

  private func sendDatagram(_ attempt: Attempt, _ place: Int) throws(Errno) {
    guard let asked = pending[place] else { return }
    let port = try currentPort(for: attempt.upstream.endpoint, id: attempt.query.id, asked.owner)
    port.ids.append((attempt.query.id, place))
    asked.port = port
    port.socket?.stage(to: attempt.upstream.endpoint) { buffer in
      let bytes = attempt.query.encoded
      buffer.copyBytes(from: bytes)
      return bytes.count
    }
  }

  /// A port on which nobody else waits for `id`.
  private func currentPort(
    for upstream: Endpoint, id: UInt16, _ owner: AgentNumber
  ) throws(Errno) -> UpstreamPort {
    let isV4 = upstream.address.isV4
    if let port, port.isV4 == isV4, port.carried < UpstreamPort.capacity,
      !port.ids.contains(where: { $0.id == id })
    {
      port.carried += 1
      return port
    }
    try takeSocket(for: owner)
    let next: UpstreamPort
    do { next = try UpstreamPort(self, of: owner, on: loop, batch, isV4: isV4) } catch {
      giveSocket(of: owner)
      throw error
    }
    port?.isCurrent = false
    port?.closeIfIdle()
    port = next
    return next
  }

  private func sendMessage(_ attempt: Attempt, _ place: Int) throws(Errno) {
    let serial = attempt.serial
    let events = ExchangeEvents(
      datagram: { _, _ in },
      message: { [weak self] bytes in
        self?.step(place, serial) { $0.receive(message: bytes, at: $2, &$1) }
      },
      failed: { [weak self] cause in
        self?.step(place, serial) { $0.socketFailed(because: cause, at: $2, &$1) }
      })
    let query = attempt.query.encoded
    guard attempt.transport == .stream else {
      pending[place]?.exchange = try secureUpstreams.exchange(events, query, with: attempt.upstream)
      return
    }
    guard let owner = pending[place]?.owner else { return }
    try takeSocket(for: owner)
    do {
      pending[place]?.exchange = try StreamExchange(events, query, to: attempt.upstream.endpoint, on: loop)
      pending[place]?.hasSocket = true
    } catch {
      giveSocket(of: owner)
      throw error
    }
  }

  /// A datagram came to a port; it is for the question with its id, if there is one.
  func received(_ message: UnsafeRawBufferPointer, from peer: DatagramPeer, at port: UpstreamPort) {
    guard message.count >= DNSHeader.length, let sender = peer.endpoint else {
      resources.statistics.mismatches += 1
      return
    }
    let id = UInt16(message[0]) << 8 | UInt16(message[1])
    let bytes = Array(message)
    if let meant = port.ids.first(where: { $0.id == id }) {
      return step(meant.place) { $0.receive(datagram: bytes, from: sender, at: self.loop.now, &$1) }
    }
    // Nobody's: somebody guesses, so it counts against each that might have been meant.
    for place in port.ids.map(\.place) {
      step(place) { $0.receive(datagram: bytes, from: sender, at: self.loop.now, &$1) }
    }
  }

  private func step(
    _ place: Int, _ serial: UInt64,
    _ advance: (inout Inquiry, inout InquiryResources, MonotonicTime) -> Inquiry.Step
  ) {
    guard pending.indices.contains(place), pending[place]?.inquiry.attempt.serial == serial else { return }
    let now = loop.now
    step(place) { advance(&$0, &$1, now) }
  }

  private func step(_ place: Int, _ advance: (inout Inquiry, inout InquiryResources) -> Inquiry.Step) {
    guard let asked = pending[place] else { return }
    let before = asked.inquiry.attempt.query.id
    switch advance(&asked.inquiry, &resources) {
    case .wait: return
    case .send:
      endAttempt(place, id: before)
      send(place)
    case .finish(let answer):
      endAttempt(place, id: before)
      finish(place, answer)
    }
  }

  private func endAttempt(_ place: Int, id: UInt16) {
    guard let asked = pending[place] else { return }
    asked.exchange?.close()
    asked.exchange = nil
    if asked.hasSocket {
      asked.hasSocket = false
      giveSocket(of: asked.owner)
    }
    asked.port?.forget(id)
    asked.port = nil
  }

  private func finish(_ place: Int, _ outcome: InquiryAnswer) {
    guard let done = pending[place] else { return }
    pending[place] = nil
    free.append(place)
    places[done.question] = nil
    stock.give(of: done.owner)
    completion(done.question, outcome, done.waiting)
  }
}

// MARK: - Time

extension Forwarder {
  /// The next turn's questions leave by another port.
  private func endTurn() {
    batch.flush()
    guard let port else { return }
    port.isCurrent = false
    port.closeIfIdle()
    self.port = nil
  }

  private func startSweeping() {
    guard !isSweeping else { return }
    isSweeping = true
    loop.schedule(after: Self.sweep) { [unowned self] in
      isSweeping = false
      sweep()
    }
  }

  private func sweep() {
    let now = loop.now
    for place in pending.indices {
      guard let attempt = pending[place]?.inquiry.attempt, attempt.deadline <= now else { continue }
      step(place) { $0.wake(at: now, &$1) }
    }
    if !places.isEmpty { startSweeping() }
  }
}

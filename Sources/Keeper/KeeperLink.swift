import Confinement
import Dispatch
import Firewall

/// The gate's end: asks the keeper, and hears of denied packets.
///
/// `@unchecked Sendable`: `install` runs before there is a second thread;
/// everything later runs on `queue`, which `dispatchPrecondition` checks, but
/// `end`, which touches nothing that changes.
public final class KeeperLink: Fence, @unchecked Sendable {
  private let queue = DispatchQueue(label: "exitgate.fence")
  /// What a keeper gets to end in, in milliseconds. One that hangs is the supervisor's to end.
  private static let patience = 2000

  private let keeper: KeeperProcess
  private var channel: MessageChannel { keeper.channel }
  private let packets: PacketLog?
  private var questions = KeeperQuestions()
  private var notice: (@Sendable (FenceNotice) -> Void)?
  private var sources: [any DispatchSourceRead] = []
  private var writing: (any DispatchSourceWrite)?
  private var hasEnded = false

  /// Joins the two ends of what a privileged start has opened.
  ///
  /// - Parameter packets: Where denied packets are heard of.
  public init(_ keeper: KeeperProcess, packets: PacketLog?) {
    self.keeper = keeper
    self.packets = packets
  }

  public func install(_ rules: FenceRules) throws(FenceError) {
    let reply: KeeperReply
    do {
      try channel.send(Numbered(number: 1, content: KeeperRequest.install(rules)).bytes)
      guard case .message(let bytes, _) = try channel.receive() else { throw MalformedMessage() }
      reply = try Numbered<KeeperReply>(bytes).content
    } catch {
      throw FenceError("the process that keeps the kernel's table ended at once. See what it said above.")
    }
    if case .refused(let cause) = reply { throw FenceError(cause) }
    questions.begin(with: rules)
  }

  public func start(_ notice: @escaping @Sendable (FenceNotice) -> Void) {
    queue.sync {
      self.notice = notice
      channel.stopBlocking()
      listen(to: channel.descriptor) { [unowned self] in receive() }
      if let packets { listen(to: packets.descriptor) { [unowned self] in hear() } }
    }
  }

  private func listen(to descriptor: Int32, _ handler: @escaping @Sendable () -> Void) {
    let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    source.setEventHandler(handler: handler)
    source.activate()
    sources.append(source)
  }

  public func end() {
    channel.shutDown()
    _ = keeper.waitForEnd(atMost: Self.patience)
  }

  // MARK: - Asking

  public func replace(
    _ rules: FenceRules, revoked: Set<UInt32>, completion: @escaping @Sendable (FenceError?) -> Void
  ) {
    ask(.refill(rules, revoked: revoked)) { reply in
      if case .done = reply { completion(nil) } else { completion(FenceError(reply.cause)) }
    }
  }

  public func open(_ openings: [FenceOpening], completion: @escaping @Sendable (Bool) -> Void) {
    ask(.open(openings)) { reply in completion(reply == .done) }
  }

  public func report(completion: @escaping @Sendable (FenceState?) -> Void) {
    ask(.report) { reply in
      if case .state(let state) = reply { completion(state) } else { completion(nil) }
    }
  }

  /// Twice what the kernel is told (`PacketLog`).
  public let sampleDelay = DispatchTimeInterval.milliseconds(200)

  public func count(completion: @escaping @Sendable ([Heldback: UInt64]?) -> Void) {
    ask(.count) { [self] reply in
      // What the kernel has handed over by now is heard of before the count that is compared with it.
      hear()
      if case .counted(let counts) = reply { completion(counts) } else { completion(nil) }
    }
  }

  private func ask(_ request: KeeperRequest, then completion: @escaping @Sendable (KeeperReply) -> Void) {
    queue.async { [self] in send(request, then: completion) }
  }

  private func send(_ request: KeeperRequest, then completion: @escaping @Sendable (KeeperReply) -> Void) {
    guard !hasEnded else { return completion(.refused("the keeper of the table is gone")) }
    let number = questions.ask(request, at: .now(), completion)
    do { try channel.send(Numbered(number: number, content: request).bytes) } catch { return lose() }
    flushLater()
    queue.asyncAfter(deadline: .now() + .milliseconds(questions.answerTime)) { [weak self] in
      self?.giveUp(number)
    }
  }

  /// Whoever asked goes on without an answer. A keeper that stays silent is no better than none.
  private func giveUp(_ number: UInt32) {
    guard !hasEnded, let completion = questions.giveUp(number) else { return }
    if questions.isFirstSilence { notice?(.silent(true)) }
    completion(.refused("the process that keeps the kernel's table does not answer"))
    if questions.isSilentForGood(at: .now()) { lose() }
  }

  /// What the socket did not take goes as soon as it does.
  private func flushLater() {
    guard channel.hasUnsent, writing == nil else { return }
    let source = DispatchSource.makeWriteSource(fileDescriptor: channel.descriptor, queue: queue)
    source.setEventHandler { [unowned self] in
      do { try channel.flush() } catch { lose() }
      guard !channel.hasUnsent else { return }
      writing?.cancel()
      writing = nil
    }
    source.activate()
    writing = source
  }

  // MARK: - Hearing

  private func receive() {
    dispatchPrecondition(condition: .onQueue(queue))
    do {
      while case .message(let bytes, _) = try nextMessage() {
        let reply = try Numbered<KeeperReply>(bytes)
        switch reply.content {
        case .changed(let what): notice?(.changed(what))
        case .canary(let state): notice?(.canary(state))
        case .lost(let index, let loss): notice?(.linkLost(index, loss))
        case .device(let name, let isGuarded): notice?(.device(name, isGuarded: isGuarded))
        case .done, .refused, .state, .counted: break
        }
        if reply.number > 0 { answer(reply) }
      }
    } catch { lose() }
  }

  private func answer(_ reply: Numbered<KeeperReply>) {
    if questions.endSilence() { notice?(.silent(false)) }
    questions.answered(reply.number, reply.content)?(reply.content)
    // What was refused for want of an answer may be in force all the same: what the gate goes by is put there again.
    if let correction = questions.correction { send(correction) { _ in } }
  }

  /// - Throws: At the end as well.
  private func nextMessage() throws -> MessageChannel.Received {
    let received = try channel.receive()
    if case .ended = received { throw MessageChannel.Problem.ended }
    return received
  }

  private func lose() {
    guard !hasEnded else { return }
    hasEnded = true
    sources.forEach { $0.cancel() }
    writing?.cancel()
    questions.end().forEach { $0(.refused("the keeper of the table is gone")) }
    notice?(.ended)
  }

  private func hear() {
    guard let packets else { return }
    // What the kernel could not hand over, as after an overrun, the counters tell.
    for _ in 0..<64 {
      let delivery = packets.receive()
      if !delivery.packets.isEmpty { notice?(.denied(delivery.packets)) }
      if delivery.isEmpty { return }
    }
  }
}

extension KeeperReply {
  fileprivate var cause: String {
    if case .refused(let cause) = self { cause } else { "the keeper of the table answered something else" }
  }
}

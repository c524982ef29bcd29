import SystemPackage

/// What a relay is held to.
public struct RelayOptions: Sendable {
  /// The relay ends when no byte passes either way for so long.
  public var idle: Duration
  /// The relay ends then, whatever passes.
  public var until: MonotonicTime?
  /// What client to upstream spends from.
  public var budgetOut: ByteBudget?
  /// What upstream to client spends from.
  public var budgetIn: ByteBudget?

  /// Makes options; what is nil does not bind.
  public init(
    idle: Duration, until: MonotonicTime? = nil, budgetOut: ByteBudget? = nil, budgetIn: ByteBudget? = nil
  ) {
    self.idle = idle
    self.until = until
    self.budgetOut = budgetOut
    self.budgetIn = budgetIn
  }
}

/// Why a relay ended.
public enum RelayEnd: Hashable, Sendable {
  /// Both sides sent their end and all bytes were delivered.
  case finished
  case idle
  case timedOut
  case overBudgetOut
  case overBudgetIn
  case clientFailed(Errno)
  case upstreamFailed(Errno)
  /// By `cut`.
  case cut
}

/// Carries bytes between a client and its upstream, both ways, until both have
/// sent their end. It owns the two channels and closes them.
///
/// A side that is slow to take bytes is not read ahead for: at most
/// `EventLoop.scratchSize` bytes, or one pipe, wait for it. The end of one
/// direction is passed on and never ends the other.
public final class Relay: ChannelDelegate, TurnContinuation {
  private let client: Channel
  private let upstream: Channel
  private var out: RelayDirection
  private var back: RelayDirection
  /// In ticks of the loop.
  private let idleTicks: UInt32
  private let lastTick: UInt32
  private var onEnd: ((RelayEnd) -> Void)?
  private var isWaitingForTurn = false

  /// Makes a relay of two connected channels on one loop. `onEnd` is called exactly once, with both closed.
  public init(
    client: Channel, upstream: Channel, options: RelayOptions, onEnd: @escaping (RelayEnd) -> Void
  ) {
    self.client = client
    self.upstream = upstream
    self.onEnd = onEnd
    out = RelayDirection(budget: options.budgetOut)
    back = RelayDirection(budget: options.budgetIn)
    idleTicks = client.isClosed ? 1 : client.eventLoop.ticks(covering: options.idle)
    lastTick = options.until.map { client.isClosed ? 1 : client.eventLoop.tick(notBefore: $0) } ?? .max
  }

  /// Bytes that the upstream's socket took, early ones included.
  public var bytesOut: UInt64 { out.bytes }
  /// Bytes that the client's socket took, early ones included.
  public var bytesIn: UInt64 { back.bytes }

  /// Begins, with bytes that were read before the relay was there. They go first and are counted.
  public func start(earlyToUpstream: [UInt8] = [], earlyToClient: [UInt8] = []) {
    client.delegate = self
    upstream.delegate = self
    upstream.deadline = nil
    out.hold(early: earlyToUpstream)
    back.hold(early: earlyToClient)
    refreshDeadline()
    pump()
  }

  /// Ends the relay now, as `.cut`.
  public func cut() {
    finish(.cut)
  }

  public func channelIsReady(_ channel: Channel) {
    pump()
  }

  public func channelDeadlinePassed(_ channel: Channel) {
    guard onEnd != nil, !client.isClosed else { return }
    let loop = client.eventLoop
    finish(loop.tick(notBefore: loop.now) >= lastTick ? .timedOut : .idle)
  }

  func continueTurn() {
    isWaitingForTurn = false
    pump()
  }

  private func pump() {
    guard onEnd != nil else { return }
    guard !client.isClosed, !upstream.isClosed else {
      finish(.cut)
      return
    }
    let loop = client.eventLoop
    let before = out.bytes &+ back.bytes
    let sent = out.pump(from: client, to: upstream, on: loop, isLast: back.endPassed)
    let received = back.pump(from: upstream, to: client, on: loop, isLast: out.endPassed)
    if let end = end(sent: sent, received: received) {
      finish(end)
      return
    }
    if out.bytes &+ back.bytes != before { refreshDeadline() }
    if sent == .hasMore || received == .hasMore { waitForTurn(on: loop) }
  }

  private func waitForTurn(on loop: EventLoop) {
    guard !isWaitingForTurn else { return }
    isWaitingForTurn = true
    loop.addContinuation(self)
  }

  /// Whether what both directions came to ends the relay.
  private func end(sent: PumpResult, received: PumpResult) -> RelayEnd? {
    switch (sent, received) {
    case (.overBudget, _): .overBudgetOut
    case (_, .overBudget): .overBudgetIn
    case (.sourceFailed(let error), _), (_, .sinkFailed(let error)): .clientFailed(error)
    case (.sinkFailed(let error), _), (_, .sourceFailed(let error)): .upstreamFailed(error)
    case (.ended, .ended): .finished
    default: nil
    }
  }

  private func refreshDeadline() {
    guard !client.isClosed else { return }
    let loop = client.eventLoop
    let (idle, overflow) = loop.tick(notBefore: loop.now).addingReportingOverflow(idleTicks)
    client.dueTick = min(overflow ? .max : idle, lastTick)
  }

  private func finish(_ end: RelayEnd) {
    guard let onEnd else { return }
    self.onEnd = nil
    if !client.isClosed { release(to: client.eventLoop.pipes) }
    closeChannels(after: end)
    onEnd(end)
  }

  private func release(to pool: PipePool) {
    out.release(to: pool)
    back.release(to: pool)
  }

  /// A reset is passed on as a reset, so that nobody takes a torn stream for a whole one.
  private func closeChannels(after end: RelayEnd) {
    switch end {
    case .finished, .overBudgetOut, .overBudgetIn:
      client.close()
      upstream.close()
    case .idle, .timedOut, .clientFailed, .upstreamFailed, .cut:
      client.closeAbruptly()
      upstream.closeAbruptly()
    }
  }
}

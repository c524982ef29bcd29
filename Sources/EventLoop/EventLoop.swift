import Addressing
import CLinux
import Dispatch
import Glibc
import Synchronization
import SystemPackage

/// One shard: a serial queue, what watches its descriptors, its timers, its
/// open channels and one buffer that all of them share.
///
/// Everything but `submit`, `sync` and `queue` belongs to the loop's queue. A loop lives
/// until `shutdown`, and so does each channel until it is closed.
///
/// `@unchecked Sendable`: every stored property is either immutable and itself
/// safe to share (`queue`, `load`, `submitted`), or is touched on `queue` alone. `submit`, `sync` and the
/// handlers of the sources get there through Dispatch; every other entry point
/// checks by `dispatchPrecondition` (4.5 ns) that it is there already.
public final class EventLoop: @unchecked Sendable {
  /// The serial queue on which everything of this loop happens.
  public let queue: DispatchQueue
  /// Shared by everyone on this loop within one turn; nothing in it outlives a call. `scratchSize` bytes.
  public let scratch: UnsafeMutableRawBufferPointer
  /// In bytes (256 KiB copied as fast as splice(2) for one tunnel, at one buffer a loop).
  public static let scratchSize = 256 * 1024

  let poller: any FDPoller
  let pipes = PipePool()
  /// Connections and pipes get no descriptor from this number on. The kernel
  /// gives the lowest that is free (open(2)), so the last ones of the process
  /// are kept for those who may use them. To be set before there are any.
  public var descriptorCeiling: Int32 = .max {
    didSet { pipes.descriptorCeiling = descriptorCeiling }
  }
  var channels = SlotTable()
  private var services: [UInt64: any LoopService] = [:]
  private var lastService: UInt64 = 0
  private var timers = TimerHeap()
  private let timerSource: any DispatchSourceTimer
  private var timerArmedFor: MonotonicTime?
  private var turnEndHooks: [() -> Void] = []
  private var continuations: [any TurnContinuation] = []
  private var isContinuing = false
  private var turnTime: MonotonicTime?
  private(set) var isShutDown = false
  /// Open channels as of the last turn, for whoever compares loops.
  let load = Atomic(0)
  /// Work that was submitted and has not run.
  private let submitted = Atomic(0)
  /// When deadlines are looked at next; nil while no channel has one.
  private var nextSweep: (tick: UInt32, timer: TimerID)?
  private let origin = MonotonicTime.now()

  /// Makes a loop and starts it.
  ///
  /// - Throws: What epoll_create1(2) says.
  public init(label: String, backEnd: PollerBackEnd = .nestedEpoll) throws(Errno) {
    poller = backEnd == .nestedEpoll ? try EpollPoller() : SourcePoller()
    queue = DispatchQueue(label: label)
    scratch = .allocate(byteCount: Self.scratchSize, alignment: 4096)
    timerSource = DispatchSource.makeTimerSource(queue: queue)
    timerSource.setEventHandler { [unowned self] in runTimers() }
    timerSource.activate()
    poller.start(self)
  }

  deinit {
    timerSource.cancel()
    scratch.deallocate()
  }

  /// The number of open channels.
  public var openChannels: Int {
    assertOnLoop()
    return channels.count
  }

  /// Looked at in debug builds alone, where the tests run: it takes a tenth of a microsecond, several times an event.
  func assertOnLoop() {
    #if DEBUG
      dispatchPrecondition(condition: .onQueue(queue))
    #endif
  }

  // MARK: - Turns

  /// The time, taken once a turn.
  public var now: MonotonicTime {
    assertOnLoop()
    if let turnTime { return turnTime }
    let time = MonotonicTime.now()
    if isInTurn { turnTime = time }
    return time
  }
  private var isInTurn = false

  /// Runs `work` on the loop in a turn of its own. May be called from any thread.
  public func submit(_ work: @escaping @Sendable () -> Void) {
    submit(work, orElse: {})
  }

  /// The same; `otherwise` runs instead when the loop has ended.
  func submit(_ work: @escaping @Sendable () -> Void, orElse otherwise: @escaping @Sendable () -> Void) {
    submitted.add(1, ordering: .sequentiallyConsistent)
    queue.async {
      self.submitted.subtract(1, ordering: .relaxed)
      self.isShutDown ? otherwise() : self.turn(work)
    }
    poller.wake()
  }

  /// Runs `work` on the loop and waits for it: what a start and a test do, and never a loop.
  public func sync<Value>(_ work: () throws -> Value) rethrows -> Value {
    submitted.add(1, ordering: .sequentiallyConsistent)
    poller.wake()
    return try queue.sync {
      submitted.subtract(1, ordering: .relaxed)
      return try work()
    }
  }

  /// Whether submitted work waits for the queue.
  var isAwaited: Bool { submitted.load(ordering: .sequentiallyConsistent) > 0 }

  /// Runs `hook` at the end of every turn: behind each batch of events, submitted work or due timers.
  public func onTurnEnd(_ hook: @escaping () -> Void) {
    assertOnLoop()
    turnEndHooks.append(hook)
  }

  /// Takes one turn: `body`, then the relays that had work left, then the hooks.
  func turn(_ body: () -> Void) {
    assertOnLoop()
    guard !isShutDown else { return }
    isInTurn = true
    turnTime = nil
    let left = continuations
    if !left.isEmpty { continuations.removeAll(keepingCapacity: true) }
    body()
    left.forEach { $0.continueTurn() }
    turnEndHooks.forEach { $0() }
    load.store(channels.count, ordering: .relaxed)
    isInTurn = false
    turnTime = nil
    if !continuations.isEmpty { continueLater() }
  }

  /// Takes the poller's turns, called by it and by the continuation of a turn.
  func drain() {
    guard !isShutDown else { return }
    poller.drain()
  }

  var hasContinuations: Bool { !continuations.isEmpty }

  /// Calls `continuation` in the next turn, behind what else is ready by then.
  func addContinuation(_ continuation: any TurnContinuation) {
    continuations.append(continuation)
  }

  /// Queues another turn behind whatever waits on the queue already.
  private func continueLater() {
    guard !isContinuing else { return }
    isContinuing = true
    queue.async {
      self.isContinuing = false
      self.drain()
    }
  }

  /// Passes an event on; one for a descriptor that has gone is dropped.
  func deliver(_ readiness: Readiness, to key: UInt64) {
    if key & 1 == 0 {
      channels.channel(for: key)?.becomeReady(readiness)
    } else {
      services[key]?.serviceIsReady()
    }
  }

  // MARK: - Channels and services

  /// Starts to connect over TCP. Ready events follow; `finishConnecting` tells what became of it.
  ///
  /// - Parameter mayUseReserve: Whether `descriptorCeiling` is not meant for it.
  /// - Throws: What socket(2), connect(2) or epoll_ctl(2) says at once;
  ///   `tooManyOpenFiles` also at the ceiling.
  public func connect(to endpoint: Endpoint, mayUseReserve: Bool = false) throws(Errno) -> Channel {
    assertOnLoop()
    guard !isShutDown else { throw .canceled }
    let address = SocketAddress(endpoint)
    let fd = linux_stream_socket(address.family)
    guard fd >= 0 else { throw lastError() }
    guard mayUseReserve || fd < descriptorCeiling else {
      _ = Glibc.close(fd)
      throw .tooManyOpenFiles
    }
    _ = linux_set_flag(fd, Int32(IPPROTO_TCP), TCP_NODELAY)
    guard address.withPointer({ Glibc.connect(fd, $0, $1) }) == 0 || errno == EINPROGRESS else {
      let error = lastError()
      _ = Glibc.close(fd)
      throw error
    }
    let channel = Channel(loop: self, fd: fd, state: [.isConnecting, .isTCP], peer: endpoint)
    channels.insert(channel)
    do { try channel.register() } catch {
      channel.close()
      throw error
    }
    return channel
  }

  /// Takes over a connected stream socket, which the channel closes.
  public func adopt(_ fd: Int32) -> Channel {
    assertOnLoop()
    _ = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)
    let isTCP = linux_socket_protocol(fd) == Int32(IPPROTO_TCP)
    return open(fd, state: isTCP ? [.mayRead, .mayWrite, .isTCP] : [.mayRead, .mayWrite], peer: nil)
  }

  /// Makes the channel of a connected, non-blocking socket; a closed one when the loop has ended.
  func open(_ fd: Int32, state: Channel.State, peer: Endpoint?) -> Channel {
    let channel = Channel(loop: self, fd: fd, state: state, peer: peer)
    channels.insert(channel)
    if isShutDown { channel.close() }
    return channel
  }

  /// Takes in what is to hear of the loop's end, and of a descriptor that is no
  /// channel once it is watched; returns its key.
  func addService(_ service: any LoopService) throws(Errno) -> UInt64 {
    assertOnLoop()
    guard !isShutDown else { throw .canceled }
    lastService += 2
    let key = lastService | 1
    services[key] = service
    return key
  }

  /// The same, watched from the start.
  func addService(_ service: any LoopService, fd: Int32) throws(Errno) -> UInt64 {
    let key = try addService(service)
    do { try poller.addService(fd, key: key) } catch {
      removeService(key)
      throw error
    }
    return key
  }

  func removeService(_ key: UInt64) {
    services[key] = nil
  }

  /// Takes out one that is watched.
  func removeService(_ key: UInt64, fd: Int32) {
    guard services[key] != nil else { return }
    removeService(key)
    poller.removeService(fd, key: key)
  }

  /// Closes every channel and service and ends the loop. Nothing is called any more, no hook, no timer.
  public func shutdown() {
    assertOnLoop()
    guard !isShutDown else { return }
    isShutDown = true
    services.values.forEach { $0.loopEnds() }
    services = [:]
    while let channel = channels.anyChannel { channel.close() }
    pipes.drain()
    timerSource.cancel()
    timers = TimerHeap()
    turnEndHooks = []
    continuations = []
    poller.cancel()
  }
}

/// Timers and deadlines.
extension EventLoop {
  /// One tick of the deadlines, in nanoseconds: half the lateness that is allowed (250 ms), less the rounding.
  private static let tick: UInt64 = 100_000_000

  /// Runs `work` once, `delay` from now, in a turn.
  @discardableResult
  public func schedule(after delay: Duration, _ work: @escaping () -> Void) -> TimerID {
    assertOnLoop()
    let id = timers.insert(.now() + delay, work)
    armTimer()
    return id
  }

  /// Takes a timer back; one that has run is no error.
  public func cancel(_ timer: TimerID) {
    assertOnLoop()
    timers.remove(timer)
  }

  /// Sets the source to the earliest timer, unless it fires before that anyway.
  private func armTimer() {
    guard !isShutDown, let earliest = timers.earliest else { return }
    if let timerArmedFor, timerArmedFor <= earliest { return }
    timerArmedFor = earliest
    timerSource.schedule(
      deadline: DispatchTime(uptimeNanoseconds: earliest.nanoseconds), leeway: .milliseconds(1))
  }

  /// How long until the first timer is due.
  func timeToTimer(from now: MonotonicTime) -> Duration {
    timers.earliest.map { $0 - now } ?? .seconds(1)
  }

  /// Runs the timers that the source would run as soon as the queue is free.
  func runDueTimers(at now: MonotonicTime) {
    if let earliest = timers.earliest, earliest <= now { runTimers() }
  }

  private func runTimers() {
    timerArmedFor = nil
    turn {
      // Those due now and no more: a timer that sets another at once must not hold the queue.
      let now = MonotonicTime.now()
      while !isShutDown, let work = timers.popDue(at: now) { work() }
    }
    armTimer()
  }

  /// The first tick that is not before `time`; 0 stands for no deadline.
  func tick(notBefore time: MonotonicTime) -> UInt32 {
    let elapsed = time.nanoseconds - min(time.nanoseconds, origin.nanoseconds)
    let (quotient, remainder) = elapsed.quotientAndRemainder(dividingBy: Self.tick)
    return UInt32(clamping: max(1, quotient + (remainder == 0 ? 0 : 1)))
  }

  /// The ticks that last at least `duration`.
  func ticks(covering duration: Duration) -> UInt32 {
    let nanoseconds = UInt64(max(0, duration.clampedNanoseconds))
    return UInt32(clamping: max(1, nanoseconds / Self.tick + (nanoseconds % Self.tick == 0 ? 0 : 1)))
  }

  func time(ofTick tick: UInt32) -> MonotonicTime {
    MonotonicTime(nanoseconds: origin.nanoseconds + UInt64(tick) * Self.tick)
  }

  /// Sets the deadline of a channel, and the sweep if it would come too late.
  func setDueTick(_ tick: UInt32, of channel: Channel) {
    channels.setDueTick(tick, of: channel)
    if tick != 0, nextSweep.map({ tick < $0.tick }) ?? true { scheduleSweep(at: tick) }
  }

  private func scheduleSweep(at tick: UInt32) {
    if let nextSweep { timers.remove(nextSweep.timer) }
    nextSweep = (tick, timers.insert(time(ofTick: tick)) { [unowned self] in sweep() })
    armTimer()
  }

  /// Tells every channel whose deadline has passed, then waits for the next.
  private func sweep() {
    nextSweep = nil
    let tick = UInt32(clamping: (now - origin).clampedNanoseconds / Int64(Self.tick))
    var index = 0, next = UInt32.max
    while let channel = channels.takeDue(at: tick, from: &index, next: &next) {
      channel.delegate?.channelDeadlinePassed(channel)
    }
    if next != .max, nextSweep.map({ next < $0.tick }) ?? true { scheduleSweep(at: next) }
  }
}

/// Carries a value to the loop's queue, on which alone it is used.
///
/// `@unchecked Sendable`: whoever makes one hands it to a closure that runs on
/// the queue of the loop that the value belongs to.
struct LoopConfined<Value>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) {
    self.value = value
  }
}

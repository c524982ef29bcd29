import CLinux
import Dispatch
import Glibc
import Synchronization
import SystemPackage

/// One epoll instance inside one Dispatch read source.
///
/// Dispatch wakes and orders. Being woken by it costs about 25 µs of processor
/// time, and one connection makes several events in short order. So once woken
/// and having had something to do, the loop waits for the next event itself,
/// `lingering` at most, and only while nothing else is on its queue: a timer
/// that is due is run, and `wake` ends the wait for submitted work. A loop that
/// has nothing to do waits in Dispatch.
///
/// A descriptor is registered once, edge-triggered, and epoll_ctl(2) is not
/// called again while bytes flow.
final class EpollPoller: FDPoller {
  /// Events fetched by one call (256 took the fewest calls at 64 connections in flight).
  private static let batch = 256
  /// How long the loop waits for another event before it goes back to Dispatch: a sleeping thread costs nothing, and
  /// as many as one connection in 50 ms then find the loop awake.
  static let lingering = Duration.milliseconds(50)
  /// How long a busy loop stays on one of Dispatch's threads: nothing waits for it to leave, since what comes by
  /// `EventLoop.submit` and `sync` ends its turns, and it runs its own timers.
  private static let timeLimit = Duration.milliseconds(500)
  /// The key of `bell`; no service ever has it.
  private static let bellKey = UInt64.max

  private let epoll: Int32
  /// An eventfd(2) that ends a wait. Edge-triggered, so it is never read.
  private let bell: Int32
  private let isLingering = Atomic(false)
  private var source: (any DispatchSourceRead)?
  /// Nil before `start`. The loop owns this object, so it outlives it.
  private unowned var loop: EventLoop?
  private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: EpollPoller.batch)

  init() throws(Errno) {
    epoll = epoll_create1(O_CLOEXEC)
    bell = linux_event_descriptor()
    guard epoll >= 0, bell >= 0 else {
      let error = lastError()
      if epoll >= 0 { _ = Glibc.close(epoll) }
      throw error
    }
    try control(EPOLL_CTL_ADD, bell, linux_epoll_in | linux_epoll_et, Self.bellKey)
  }

  deinit {
    if bell >= 0 { _ = Glibc.close(bell) }
    events.deallocate()
  }

  func start(_ loop: EventLoop) {
    let source = DispatchSource.makeReadSource(fileDescriptor: epoll, queue: loop.queue)
    source.setEventHandler { loop.drain() }
    source.setCancelHandler { [epoll] in _ = Glibc.close(epoll) }
    source.activate()
    self.source = source
    self.loop = loop
  }

  private static let outgoing = linux_epoll_out | linux_epoll_rdhup | linux_epoll_et
  private static let bothWays = outgoing | linux_epoll_in | linux_epoll_pri

  func add(_ fd: Int32, key: UInt64) throws(Errno) {
    try control(EPOLL_CTL_ADD, fd, Self.bothWays, key)
  }

  func report(_ arrivals: Bool, _ fd: Int32, key: UInt64) {
    // Of a descriptor that is registered, this cannot fail; if it did, the old mask would stay, which is only slower.
    try? control(EPOLL_CTL_MOD, fd, arrivals ? Self.bothWays : Self.outgoing, key)
  }

  func addService(_ fd: Int32, key: UInt64) throws(Errno) {
    try control(EPOLL_CTL_ADD, fd, linux_epoll_in, key)
  }

  private func control(_ operation: Int32, _ fd: Int32, _ mask: UInt32, _ key: UInt64) throws(Errno) {
    var event = epoll_event(events: mask, data: epoll_data_t(u64: key))
    guard epoll_ctl(epoll, operation, fd, &event) == 0 else { throw lastError() }
  }

  /// An edge-triggered registration stays armed.
  func rearm(_ interest: Readiness, key: UInt64) {}

  func removeService(_ fd: Int32, key: UInt64) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nil)
  }

  func close(_ fd: Int32, key: UInt64) {
    _ = Glibc.close(fd)
  }

  func cancel() {
    source?.cancel()
    source = nil
  }

  /// Handles what is ready, batch by batch; what is left keeps the source
  /// readable, which brings it.
  func drain() {
    guard let loop else { return }
    let start = MonotonicTime.now()
    var count = fetch(waiting: .zero)
    while count > 0 || loop.hasContinuations {
      loop.turn { deliver(count, to: loop) }
      let now = MonotonicTime.now()
      loop.runDueTimers(at: now)
      if loop.isShutDown || loop.isAwaited || now - start > Self.timeLimit { return }
      count = loop.hasContinuations ? fetch(waiting: .zero) : linger(loop, from: now)
    }
  }

  private func fetch(waiting time: Duration) -> Int {
    Int(linux_epoll_wait(epoll, events, Int32(Self.batch), UInt32(clamping: time.clampedNanoseconds)))
  }

  /// Waits for more. Either `wake` sees that, or this sees the work submitted before.
  private func linger(_ loop: EventLoop, from now: MonotonicTime) -> Int {
    let time = min(Self.lingering, loop.timeToTimer(from: now))
    isLingering.store(true, ordering: .sequentiallyConsistent)
    defer { isLingering.store(false, ordering: .relaxed) }
    return fetch(waiting: loop.isAwaited ? .zero : time)
  }

  func wake() {
    guard isLingering.exchange(false, ordering: .sequentiallyConsistent) else { return }
    var one: UInt64 = 1
    _ = write(bell, &one, MemoryLayout.size(ofValue: one))
  }

  private func deliver(_ count: Int, to loop: EventLoop) {
    for index in 0..<max(0, count) {
      loop.deliver(Readiness(rawValue: events[index].events), to: events[index].data.u64)
    }
  }
}

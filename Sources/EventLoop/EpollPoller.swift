import CLinux
import Dispatch
import Glibc
import SystemPackage

/// One epoll instance inside one Dispatch read source.
///
/// Dispatch wakes and orders; epoll_wait(2) is called with timeout 0 alone, so
/// nothing here blocks. A descriptor is registered once, edge-triggered, and
/// epoll_ctl(2) is not called again while bytes flow.
final class EpollPoller: FDPoller {
  /// Events fetched by one call (256 took the fewest calls at 64 connections in flight).
  private static let batch = 256
  /// Batches handled before other work on the queue gets its turn.
  private static let roundLimit = 16
  /// The same in time: how long submitted work and timers may wait for a busy loop.
  private static let timeLimit = Duration.milliseconds(1)

  private let epoll: Int32
  private var source: (any DispatchSourceRead)?
  /// Nil before `start`. The loop owns this object, so it outlives it.
  private unowned var loop: EventLoop?
  private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: EpollPoller.batch)

  init() throws(Errno) {
    epoll = epoll_create1(O_CLOEXEC)
    guard epoll >= 0 else {
      events.deallocate()
      throw lastError()
    }
  }

  deinit {
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

  func addService(_ fd: Int32, key: UInt64, shared: Bool) throws(Errno) {
    try control(EPOLL_CTL_ADD, fd, linux_epoll_in | (shared ? linux_epoll_exclusive : 0), key)
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

  /// Handles what is ready, batch by batch; what the limits leave keeps the
  /// source readable, which brings it.
  func drain() {
    guard let loop else { return }
    let start = MonotonicTime.now()
    for _ in 0..<Self.roundLimit {
      let count = Int(epoll_wait(epoll, events, Int32(Self.batch), 0))
      guard count > 0 || loop.hasContinuations else { return }
      loop.turn { deliver(count, to: loop) }
      if loop.isShutDown || MonotonicTime.now() - start > Self.timeLimit { return }
    }
  }

  private func deliver(_ count: Int, to loop: EventLoop) {
    for index in 0..<max(0, count) {
      loop.deliver(Readiness(rawValue: events[index].events), to: events[index].data.u64)
    }
  }
}

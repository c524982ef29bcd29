import CLinux
import SystemPackage

/// Which Dispatch sources watch a loop's descriptors.
public enum PollerBackEnd: Sendable, CaseIterable {
  /// All descriptors in one epoll instance, which is inside one read source.
  case nestedEpoll
  /// One read source and one write source for each descriptor.
  case sourcePerDescriptor
}

/// What the kernel says about a descriptor, in the bits of epoll_ctl(2).
struct Readiness: OptionSet, Sendable {
  let rawValue: UInt32

  static let readable = Readiness(rawValue: linux_epoll_in)
  static let writable = Readiness(rawValue: linux_epoll_out)
  static let failed = Readiness(rawValue: linux_epoll_err)
  static let hungUp = Readiness(rawValue: linux_epoll_hup)
  /// An end, an error or urgent data waits in the receive queue, so a read that
  /// returned less than it could does not prove that the queue is empty.
  static let readOn = Readiness(
    rawValue: linux_epoll_rdhup | linux_epoll_hup | linux_epoll_err | linux_epoll_pri)
}

/// The narrow seam to what watches descriptors. Everything is called on the
/// loop's queue, and reports to `EventLoop.deliver` in a turn of that loop.
protocol FDPoller: AnyObject {
  /// Begins to report to `loop`, which it keeps alive until `cancel`.
  func start(_ loop: EventLoop)

  /// Watches a connected or connecting descriptor, both ways, edge-triggered:
  /// its present state is reported once, then each change.
  func add(_ fd: Int32, key: UInt64) throws(Errno)

  /// A call on `key` would have blocked: its next change must be reported.
  func rearm(_ interest: Readiness, key: UInt64)

  /// Whether bytes that arrive are reported. An end or an error always is.
  func report(_ arrivals: Bool, _ fd: Int32, key: UInt64)

  /// Closes the descriptor of `key`, which was added.
  func close(_ fd: Int32, key: UInt64)

  /// Watches a descriptor for reading, level-triggered.
  func addService(_ fd: Int32, key: UInt64) throws(Errno)

  /// Stops watching a service without closing it.
  func removeService(_ fd: Int32, key: UInt64)

  /// Takes turns until nothing is ready or it is time for other work on the queue.
  func drain()

  /// Has the loop look at its queue soon, if it waits for events. From any thread.
  func wake()

  /// Ends watching. No event comes after this.
  func cancel()
}

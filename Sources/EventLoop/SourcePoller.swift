import CLinux
import Dispatch
import Glibc
import SystemPackage

/// One Dispatch source for each descriptor and direction: the plain way, kept
/// as the second implementation of the seam.
///
/// Dispatch reports a level; a source is suspended once it has fired and resumed
/// by `rearm`, which makes an edge of it.
final class SourcePoller: FDPoller {
  private unowned var loop: EventLoop?
  private var entries: [UInt64: WatchedDescriptor] = [:]
  private var services: [UInt64: any DispatchSourceRead] = [:]

  func start(_ loop: EventLoop) {
    self.loop = loop
    keepAlive = loop
  }

  /// As with the other back end, a loop lives until it is shut down.
  private var keepAlive: EventLoop?

  func add(_ fd: Int32, key: UInt64) throws(Errno) {
    entries[key] = WatchedDescriptor(fd)
  }

  func rearm(_ interest: Readiness, key: UInt64) {
    guard let loop, let entry = entries[key] else { return }
    if interest.contains(.readable) {
      // What a source reports does not tell an end from data, so every short read is followed by another.
      let state: Readiness = [.readable, .hungUp]
      entry.read.arm(entry.makeRead(loop.queue)) { loop.turn { loop.deliver(state, to: key) } }
    }
    if interest.contains(.writable) {
      entry.write.arm(entry.makeWrite(loop.queue)) {
        loop.turn { loop.deliver([.writable, .failed], to: key) }
      }
    }
  }

  /// A source that has fired stays silent until it is armed again.
  func report(_ arrivals: Bool, _ fd: Int32, key: UInt64) {}

  func close(_ fd: Int32, key: UInt64) {
    entries.removeValue(forKey: key)?.close()
  }

  func addService(_ fd: Int32, key: UInt64) throws(Errno) {
    guard let loop else { return }
    // A copy, so that a number in use by one loop's source is never closed under it.
    let copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw lastError() }
    let source = DispatchSource.makeReadSource(fileDescriptor: copy, queue: loop.queue)
    source.setEventHandler { loop.turn { loop.deliver(.readable, to: key) } }
    source.setCancelHandler { _ = Glibc.close(copy) }
    source.activate()
    services[key] = source
  }

  func removeService(_ fd: Int32, key: UInt64) {
    services.removeValue(forKey: key)?.cancel()
  }

  func drain() {
    loop?.turn {}
  }

  /// Dispatch runs the queue; nothing waits here.
  func wake() {}

  func cancel() {
    services.values.forEach { $0.cancel() }
    services = [:]
    keepAlive = nil
  }
}

/// A descriptor with up to two sources. It is closed when the last of them has
/// let go, because a number that is closed while watched can be reused by a
/// socket whose own source then never fires.
private final class WatchedDescriptor {
  let fd: Int32
  let read = SuspendedSource()
  let write = SuspendedSource()

  init(_ fd: Int32) {
    self.fd = fd
  }

  func makeRead(_ queue: DispatchQueue) -> () -> any DispatchSourceProtocol {
    { [fd] in DispatchSource.makeReadSource(fileDescriptor: fd, queue: queue) }
  }

  func makeWrite(_ queue: DispatchQueue) -> () -> any DispatchSourceProtocol {
    { [fd] in DispatchSource.makeWriteSource(fileDescriptor: fd, queue: queue) }
  }

  func close() {
    let users = [read, write].filter(\.exists)
    guard !users.isEmpty else {
      _ = Glibc.close(fd)
      return
    }
    // Cancel handlers run on the loop's serial queue, one after the other.
    let lease = Lease(fd)
    users.forEach { $0.cancel(holding: lease) }
  }
}

/// Closes a descriptor when its last holder lets go of it.
private final class Lease: Sendable {
  private let fd: Int32

  init(_ fd: Int32) {
    self.fd = fd
  }

  deinit {
    _ = Glibc.close(fd)
  }
}

/// A source that fires once each time it is armed. It is always activated
/// before it is dropped and resumed when it is cancelled.
private final class SuspendedSource {
  private var source: (any DispatchSourceProtocol)?
  private var isArmed = false

  var exists: Bool { source != nil }

  func arm(_ make: () -> any DispatchSourceProtocol, _ handler: @escaping @Sendable () -> Void) {
    guard !isArmed else { return }
    isArmed = true
    if let source {
      source.resume()
      return
    }
    let made = make()
    let fired = LoopConfined(self)
    made.setEventHandler {
      fired.value.disarm()
      handler()
    }
    source = made
    made.activate()
  }

  private func disarm() {
    guard isArmed, let source else { return }
    isArmed = false
    source.suspend()
  }

  func cancel(holding lease: Lease) {
    guard let source else { return }
    source.setCancelHandler { withExtendedLifetime(lease) {} }
    source.cancel()
    if !isArmed { source.resume() }
    self.source = nil
  }
}

import Addressing
import CLinux
import Glibc
import SystemPackage
import TLSClient

/// Why a connection is of no use any more.
public enum ConnectionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The name has no address.
  case notResolved(String)
  /// None of its addresses is on this machine, where alone nothing need be protected.
  case notLoopback
  /// The system refused a step.
  case failed(step: String, Errno)
  /// Nothing happened in time.
  case tooSlow(step: String)
  /// The far side ended it too early.
  case ended(step: String)
  /// TLS broke, and why.
  case insecure(String)
  /// It takes nothing now; `pause` is what it asks for, in milliseconds.
  case refused(String, pause: UInt64)

  public var description: String {
    switch self {
    case .notResolved(let cause): "its name cannot be resolved: \(cause)"
    case .notLoopback: "it is not on this machine, and nothing would protect the log on its way"
    case .failed(let step, let error): "cannot \(step): \(error)"
    case .tooSlow(let step): "took too long to \(step)"
    case .ended(let step): "it ended the connection before it could \(step)"
    case .insecure(let cause): cause
    case .refused(let cause, _): cause
    }
  }
}

/// Waits for sockets, and for the signals that end the process.
public final class Waiter {
  private let signals: Int32
  /// Whether one of them has come.
  public private(set) var isStopping = false

  /// Takes SIGTERM and SIGINT from now on, or none where another part of the process does.
  public init(takingSignals: Bool = true) {
    signals = takingSignals ? linux_signal_descriptor([SIGTERM, SIGINT], 2) : -1
  }

  deinit { if signals >= 0 { close(signals) } }

  /// Waits so many milliseconds, or until a signal comes.
  public func sleep(_ milliseconds: UInt64) {
    _ = wait(for: -1, events: 0, until: monotonicMilliseconds() + milliseconds)
  }

  /// Waits for events of a descriptor (poll(2)). A process that is to end still finishes what it is about.
  ///
  /// - Returns: false when the time has come.
  func wait(for descriptor: Int32, events: Int16, until deadline: UInt64) -> Bool {
    var polled = [
      pollfd(fd: descriptor, events: events, revents: 0),
      pollfd(fd: isStopping ? -1 : signals, events: Int16(POLLIN), revents: 0),
    ]
    while true {
      let now = monotonicMilliseconds()
      guard now < deadline else { return false }
      let count = poll(&polled, 2, Int32(clamping: deadline - now))
      if count < 0, errno != EINTR { return false }
      guard count > 0 else { continue }
      if polled[1].revents != 0 {
        isStopping = linux_take_signal(signals) > 0
        polled[1].fd = -1
        if descriptor < 0 { return true }
      }
      if polled[0].revents != 0 { return true }
    }
  }
}

/// The time of CLOCK_MONOTONIC in milliseconds.
public func monotonicMilliseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
}

/// A TCP connection as bytes in the clear: nonblocking, each step with a deadline.
final class SocketConnection {
  private let descriptor: Int32
  private let waiter: Waiter
  private static let block = 16_384

  /// Takes a socket that is connected, or connects.
  init(_ descriptor: Int32, waiter: Waiter) {
    (self.descriptor, self.waiter) = (descriptor, waiter)
  }

  deinit { Glibc.close(descriptor) }

  /// Connects to the first address that answers.
  static func connect(
    to addresses: [ResolvedAddress], waiter: Waiter, until deadline: UInt64
  ) throws(ConnectionError) -> SocketConnection {
    var failure = ConnectionError.notResolved("it has no address")
    for address in addresses {
      do { return try connect(to: address, waiter: waiter, until: deadline) } catch { failure = error }
    }
    throw failure
  }

  private static func connect(
    to address: ResolvedAddress, waiter: Waiter, until deadline: UInt64
  ) throws(ConnectionError) -> SocketConnection {
    let descriptor = linux_stream_socket(address.family)
    guard descriptor >= 0 else { throw .failed(step: "open a socket", Errno(rawValue: errno)) }
    let connection = SocketConnection(descriptor, waiter: waiter)
    linux_set_flag(descriptor, SOL_SOCKET, SO_KEEPALIVE)
    if address.connect(descriptor) == 0 { return connection }
    guard errno == EINPROGRESS else { throw .failed(step: "connect", Errno(rawValue: errno)) }
    guard waiter.wait(for: descriptor, events: Int16(POLLOUT), until: deadline) else {
      throw .tooSlow(step: "connect")
    }
    var code: Int32 = 0, length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
    guard code == 0 else { throw .failed(step: "connect", Errno(rawValue: code)) }
    return connection
  }

  /// Writes all of `bytes`.
  func write(_ bytes: [UInt8], until deadline: UInt64) throws(ConnectionError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        guard waiter.wait(for: descriptor, events: Int16(POLLOUT), until: deadline) else {
          throw .tooSlow(step: "take what is sent")
        }
      } else if errno != EINTR {
        throw .failed(step: "send", Errno(rawValue: errno))
      }
    }
  }

  /// Reads what has come; nil at the end of the stream, nothing when nothing has come by `deadline`.
  func read(until deadline: UInt64) throws(ConnectionError) -> [UInt8]? {
    while true {
      var count = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: Self.block) { buffer, initialized in
        count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        initialized = max(count, 0)
      }
      if count > 0 { return bytes }
      if count == 0 { return nil }
      if errno == EINTR { continue }
      guard errno == EAGAIN else { throw .failed(step: "read", Errno(rawValue: errno)) }
      guard waiter.wait(for: descriptor, events: Int16(POLLIN), until: deadline) else { return [] }
    }
  }

  /// Says that no more is sent (shutdown(2)).
  func endWriting() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

  /// Waits until the far side's kernel has acknowledged everything (ioctl(2), SIOCOUTQ): that of a program which is
  /// gone acknowledges the end of the stream, and resets the connection for anything before it.
  func waitForAcknowledgement(until deadline: UInt64) throws(ConnectionError) {
    while linux_unsent_bytes(descriptor) != 0 {
      guard monotonicMilliseconds() < deadline else { throw .ended(step: "confirm what was sent") }
      waiter.sleep(10)
    }
  }
}

import Addressing
import CLinux
import Dispatch
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import EventLoop

/// All tests of this target, one after the other: several count the descriptors
/// of the process or lower its limits.
@Suite(.serialized) enum EventLoopTests {}

/// How long anything may take before a test gives up.
let patience = Duration.seconds(20)

struct GaveUp: Error, CustomStringConvertible {
  var description: String
}

/// A value that another thread gives and the test waits for.
final class Waiter<Value: Sendable>: Sendable {
  private let values = Mutex<[Value]>([])
  private let semaphore = DispatchSemaphore(value: 0)

  func give(_ value: Value) {
    values.withLock { $0.append(value) }
    semaphore.signal()
  }

  func wait(_ what: String = "a value") throws -> Value {
    guard semaphore.wait(timeout: .now() + .seconds(20)) == .success else {
      throw GaveUp(description: "no \(what) came")
    }
    return values.withLock { $0.removeFirst() }
  }

  /// What came and was not waited for.
  var pending: [Value] { values.withLock { $0 } }
}

/// Waits until `condition` holds, asking each millisecond.
func eventually(_ what: String, _ condition: () throws -> Bool) throws {
  let deadline = MonotonicTime.now() + patience
  while try !condition() {
    guard MonotonicTime.now() < deadline else { throw GaveUp(description: "never: \(what)") }
    poll(nil, 0, 1)
  }
}

/// A loop that is shut down with the test.
final class Rig {
  let loop: EventLoop

  init(_ backEnd: PollerBackEnd) throws {
    ignoreSIGPIPE()
    loop = try EventLoop(label: "test.\(backEnd)", backEnd: backEnd)
  }

  func run<T>(_ body: (EventLoop) throws -> T) rethrows -> T {
    try loop.sync { try body(loop) }
  }

  deinit {
    loop.sync { loop.shutdown() }
  }
}

enum Transport: CaseIterable { case tcp, unix }

/// A blocking socket on the test's side; gives up after 20 s.
final class Peer: Sendable {
  let fd: Int32

  init(_ fd: Int32) {
    self.fd = fd
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit {
    close(fd)
  }

  func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { throw Errno(rawValue: errno) }
      rest = rest.dropFirst(count)
    }
  }

  /// Up to `limit` bytes; empty at the end.
  func receive(upTo limit: Int = 65536) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: limit)
    let count = buffer.withUnsafeMutableBytes { recv(fd, $0.baseAddress, $0.count, 0) }
    guard count >= 0 else { throw Errno(rawValue: errno) }
    return Array(buffer.prefix(count))
  }

  func receive(exactly count: Int) throws -> [UInt8] {
    var all: [UInt8] = []
    while all.count < count {
      let more = try receive(upTo: min(count - all.count, 1 << 20))
      guard !more.isEmpty else { throw GaveUp(description: "ended after \(all.count) of \(count)") }
      all += more
    }
    return all
  }

  func receiveAll() throws -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let more = try receive(upTo: 1 << 20)
      if more.isEmpty { return all }
      all += more
    }
  }

  /// The bytes received before the end or an error.
  func receiveUntilBroken() -> [UInt8] {
    var all: [UInt8] = []
    while let more = try? receive(upTo: 1 << 20), !more.isEmpty { all += more }
    return all
  }

  func endWriting() {
    shutdown(fd, Int32(SHUT_WR))
  }

  /// Sends without waiting until nothing more is taken for a while; returns the bytes taken.
  func sendUntilStuck() -> Int {
    var total = 0
    let chunk = [UInt8](repeating: 7, count: 64 * 1024)
    var entry = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
    while poll(&entry, 1, 300) > 0 {
      let count = chunk.withUnsafeBytes {
        Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
      if count > 0 { total += count }
    }
    return total
  }
}

/// Fixes the socket buffers, which otherwise grow to tens of MiB (tcp_rmem).
func setBuffers(_ fd: Int32, _ bytes: Int32) {
  var size = bytes
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, 4)
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, 4)
}

let loopback4 = IPAddress.v4(0x7f00_0001)
let loopback6 = IPAddress.v6(high: 0, low: 1)

/// A blocking connection to `endpoint`.
func dial(_ endpoint: Endpoint) throws -> Peer {
  let fd: Int32
  var result: Int32
  switch endpoint.address {
  case .v4(let value):
    fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = endpoint.port.number.bigEndian
    address.sin_addr.s_addr = value.bigEndian
    result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  case .v6:
    fd = socket(AF_INET6, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = endpoint.port.number.bigEndian
    address.sin6_addr = in6addr_loopback
    result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
      }
    }
  }
  let peer = Peer(fd)
  guard result == 0 else { throw Errno(rawValue: errno) }
  return peer
}

/// A connected pair: one end for the test, the other a bare descriptor.
func connectedPair(_ transport: Transport) throws -> (Peer, Int32) {
  if transport == .unix {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0, &ends) == 0 else {
      throw Errno(rawValue: errno)
    }
    return (Peer(ends[0]), ends[1])
  }
  let listener = try Listener.bind(.anyPort(loopback4))
  let endpoint = try #require(listener.boundEndpoint)
  let peer = try dial(endpoint)
  let accepted = accept(listener.descriptor, nil, nil)
  guard accepted >= 0 else { throw Errno(rawValue: errno) }
  return (peer, accepted)
}

/// What Dispatch may open for itself while a test runs: its epoll, event and timer
/// descriptors, made when first needed. A leak of the loop's is counted in hundreds.
let dispatchDescriptors = 8

/// The number of open descriptors of this process.
func openDescriptors() -> Int {
  guard let directory = opendir("/proc/self/fd") else { return -1 }
  defer { closedir(directory) }
  var count = 0
  while readdir(directory) != nil { count += 1 }
  return count
}

/// xorshift64*: a stream of bytes that both ends can make for themselves.
struct ByteStream {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed | 1
  }

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_f491_4f6c_dd1d
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: (count + 7) & ~7) { buffer, size in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      for offset in stride(from: 0, to: count, by: 8) {
        raw.storeBytes(of: next(), toByteOffset: offset, as: UInt64.self)
      }
      size = count
    }
  }
}

/// Lowers the limit on descriptors so that the process can open `spare` more and no other.
func withSpareDescriptors<T>(_ spare: Int, _ body: () throws -> T) throws -> T {
  var soft: UInt64 = 0, hard: UInt64 = 0
  #expect(linux_get_descriptor_limit(&soft, &hard) == 0)
  let next = dup(0)
  close(next)
  #expect(linux_set_descriptor_limit(UInt64(Int(next) + spare), hard) == 0)
  defer { _ = linux_set_descriptor_limit(soft, hard) }
  return try body()
}

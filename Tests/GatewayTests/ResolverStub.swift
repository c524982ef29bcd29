import Addressing
import Dispatch
import EventLoop
import Glibc
import Synchronization
import Testing
import Wire

@testable import Gateway

/// An upstream resolver in this process: blocking sockets on loopback, one UDP
/// and one TCP port of the same number, and a script that says what to answer.
final class ResolverStub: Sendable {
  struct Seen: Sendable {
    let query: DNSQuery
    /// The whole message.
    let bytes: [UInt8]
    let isStream: Bool
    let sourcePort: UInt16
  }

  /// What is sent back, in order; from another port where `isForged`.
  struct Answer: Sendable {
    var bytes: [UInt8]
    var isForged = false
  }

  typealias Script = @Sendable (Seen) throws -> [Answer]

  let endpoint: Endpoint
  private let datagrams: Int32, streams: Int32, forger: Int32
  private let script: Script
  private let log = Mutex<[Seen]>([])
  private let isStopped = Atomic(false)

  /// All queries so far.
  var seen: [Seen] { log.withLock { $0 } }

  init(_ script: @escaping Script) throws {
    self.script = script
    forger = try LoopbackSocket.bound(SOCK_DGRAM, port: 0)
    var pair: (Int32, Int32, UInt16)?
    for _ in 0..<20 where pair == nil {
      let first = try LoopbackSocket.bound(SOCK_DGRAM, port: 0)
      let port = LoopbackSocket.port(of: first)
      if let second = try? LoopbackSocket.bound(SOCK_STREAM, port: port) {
        pair = (first, second, port)
      } else {
        close(first)
      }
    }
    let (first, second, port) = try #require(pair)
    (datagrams, streams) = (first, second)
    listen(streams, 16)
    endpoint = Endpoint(.v4(0x7f00_0001), try #require(Port(port)))
    LoopbackSocket.inThread { self.serveDatagrams() }
    LoopbackSocket.inThread { self.serveStreams() }
  }

  func stop() { isStopped.store(true, ordering: .relaxed) }

  private func serveDatagrams() {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while !isStopped.load(ordering: .relaxed) {
      var peer = sockaddr_in(), length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let count = withUnsafeMutablePointer(to: &peer) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          recvfrom(datagrams, &buffer, buffer.count, 0, $0, &length)
        }
      }
      guard count > 0 else { continue }
      for answer in answers(Array(buffer[..<count]), isStream: false, port: UInt16(bigEndian: peer.sin_port))
      {
        let fd = answer.isForged ? forger : datagrams
        withUnsafePointer(to: &peer) { pointer in
          pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            _ = sendto(fd, answer.bytes, answer.bytes.count, 0, $0, length)
          }
        }
      }
    }
    close(datagrams)
    close(forger)
  }

  private func serveStreams() {
    while !isStopped.load(ordering: .relaxed) {
      let peer = accept(streams, nil, nil)
      guard peer >= 0 else { continue }
      LoopbackSocket.setPatience(peer)
      serve(peer)
      close(peer)
    }
    close(streams)
  }

  private func serve(_ peer: Int32) {
    guard let prefix = LoopbackSocket.read(2, from: peer) else { return }
    guard let query = LoopbackSocket.read(Int(prefix[0]) << 8 | Int(prefix[1]), from: peer) else { return }
    for answer in answers(query, isStream: true, port: 0) {
      let message = [UInt8(answer.bytes.count >> 8), UInt8(answer.bytes.count & 0xff)] + answer.bytes
      // One byte alone, so that the reader sees a length that is not whole.
      _ = send(peer, message, 1, Int32(MSG_NOSIGNAL))
      _ = message[1...].withUnsafeBytes { send(peer, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }
  }

  private func answers(_ bytes: [UInt8], isStream: Bool, port: UInt16) -> [Answer] {
    guard let query = try? DNSQuery.parse(bytes) else { return [] }
    let seen = Seen(query: query, bytes: bytes, isStream: isStream, sourcePort: port)
    log.withLock { $0.append(seen) }
    return (try? script(seen)) ?? []
  }
}

/// Blocking IPv4 sockets on loopback, which look up every 50 ms whether to end.
enum LoopbackSocket {
  struct Failed: Error { let code: Int32 }

  static func bound(_ type: __socket_type, address: UInt32 = 0x7f00_0001, port: UInt16) throws -> Int32 {
    let fd = socket(AF_INET, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0)
    setPatience(fd)
    let result = withAddress(address, port) { bind(fd, $0, $1) }
    guard result == 0 else {
      defer { close(fd) }
      throw Failed(code: errno)
    }
    return fd
  }

  /// Whether a connection to a port of 127.0.0.1 comes about.
  static func isListening(_ port: Port) -> Bool {
    guard let fd = try? bound(SOCK_STREAM, port: 0) else { return false }
    defer { close(fd) }
    return connect(fd, to: 0x7f00_0001, port.number) == 0
  }

  static func connect(_ fd: Int32, to address: UInt32, _ port: UInt16) -> Int32 {
    withAddress(address, port) { Glibc.connect(fd, $0, $1) }
  }

  /// Lends a `sockaddr_in` to a system call.
  static func withAddress<R>(
    _ address: UInt32, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
  ) -> R {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = address.bigEndian
    return withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  static func setPatience(_ fd: Int32) {
    var limit = timeval(tv_sec: 0, tv_usec: 50_000)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  static func port(of fd: Int32) -> UInt16 {
    var name = sockaddr_in(), length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(fd, $0, &length) }
    }
    return UInt16(bigEndian: name.sin_port)
  }

  static func read(_ count: Int, from fd: Int32) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    return recv(fd, &bytes, count, Int32(MSG_WAITALL)) == count ? bytes : nil
  }

  static func inThread(_ work: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
      let work: @Sendable () -> Void
      init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { raw in
        guard let raw else { return nil }
        Unmanaged<Box>.fromOpaque(raw).takeRetainedValue().work()
        return nil
      }, Unmanaged.passRetained(Box(work)).toOpaque())
    pthread_detach(thread)
  }
}

/// A loop of its own with something on it, for one test.
///
/// `@unchecked Sendable`: `value` is made, used and let go of on the loop's queue alone.
final class LoopRig<Value>: @unchecked Sendable {
  let loop: EventLoop
  private var value: Value?

  init(_ make: (EventLoop) throws -> Value) throws {
    loop = try EventLoop(label: "test")
    value = try loop.sync { try make(loop) }
  }

  /// Runs `work` in a turn of the loop and waits for what it hands over.
  func call<Result>(_ work: @escaping @Sendable (Value, @escaping (sending Result) -> Void) -> Void) async
    -> Result
  {
    await withCheckedContinuation { continuation in
      loop.submit { [self] in
        guard let value else { return }
        work(value) { continuation.resume(returning: $0) }
      }
    }
  }

  func stop() {
    loop.sync {
      value = nil
      loop.shutdown()
    }
  }
}

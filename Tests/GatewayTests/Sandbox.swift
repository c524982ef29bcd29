import Addressing
import EventLoop
import Glibc
import Synchronization
import Testing

/// Whether this process may make network namespaces and fill them; what needs
/// them is reported as skipped elsewhere.
let maySandbox = geteuid() == 0 && access("/usr/sbin/nft", X_OK) == 0

/// A network namespace of the test's own.
///
/// Only threads that end at once are ever inside: one that Dispatch keeps would
/// open its later sockets there, too.
final class Sandbox: Sendable {
  private let fd: Int32
  private static let newNetwork: Int32 = 0x4000_0000  // CLONE_NEWNET of <sched.h>

  init() throws {
    fd = Self.inThread {
      typealias Unshare = @convention(c) (Int32) -> Int32
      guard let symbol = dlsym(nil, "unshare"), unsafeBitCast(symbol, to: Unshare.self)(Self.newNetwork) == 0
      else { return -1 }
      return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    }
    try #require(fd >= 0)
    try run("ip link set lo up")
  }

  deinit { close(fd) }

  /// The namespace as `ip` and `nsenter` take it.
  var path: String { "/proc/\(getpid())/fd/\(fd)" }

  /// Runs a shell script inside.
  func run(_ script: String) throws {
    let pipe = try #require(popen("exec nsenter --net=\(path) sh -e", "w"))
    fputs(script + "\n", pipe)
    let status = pclose(pipe)
    guard status == 0 else { throw GaveUp(description: "status \(status) of: \(script)") }
  }

  /// Runs `body` inside; sockets that it opens stay there.
  func enter<Value>(_ body: () -> Value) -> Value {
    Self.inThread {
      typealias SetNamespace = @convention(c) (Int32, Int32) -> Int32
      guard let symbol = dlsym(nil, "setns"),
        unsafeBitCast(symbol, to: SetNamespace.self)(fd, Self.newNetwork) == 0
      else { fatalError("setns: errno \(errno)") }
      return body()
    }
  }

  /// Runs `body` in a thread of its own and waits for its end.
  private static func inThread<Value>(_ body: () -> Value) -> Value {
    withoutActuallyEscaping(body) { body in
      let job = Job(body)
      let argument = Unmanaged<Work>.passRetained(job).toOpaque()
      var thread = pthread_t()
      let failure = pthread_create(&thread, nil, threadStart, argument)
      precondition(failure == 0, "pthread_create: \(failure)")
      pthread_join(thread, nil)
      // Written by the thread, which has ended.
      guard let result = job.result else { fatalError("the thread did not run") }
      return result
    }
  }
}

/// What a thread is for.
private class Work {
  func run() {}
}

private final class Job<Value>: Work {
  private let body: () -> Value
  private(set) var result: Value?

  init(_ body: @escaping () -> Value) { self.body = body }

  override func run() { result = body() }
}

private func threadStart(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run() }
  return nil
}

extension Sandbox {
  /// A connection from inside; nil when it is refused.
  func connect(_ address: String, _ port: Port) throws -> ClientSocket {
    try ClientSocket(adopting: opened(SOCK_STREAM, address, port))
  }

  /// A UDP socket inside that takes answers from there alone.
  func datagrams(_ address: String, _ port: UInt16 = 53) throws -> NameClient {
    NameClient(adopting: try opened(SOCK_DGRAM, address, try #require(Port(port))))
  }

  private func opened(_ type: __socket_type, _ address: String, _ port: Port) throws -> Int32 {
    let isV6 = address.contains(":")
    let fd = enter { socket(isV6 ? AF_INET6 : AF_INET, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0) }
    try #require(fd >= 0)
    var patience = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    let result = isV6 ? Self.connectV6(fd, address, port) : Self.connectV4(fd, address, port)
    guard result == 0 else {
      defer { close(fd) }
      throw GaveUp(description: "\(address):\(port): errno \(errno)")
    }
    return fd
  }

  private static func connectV4(_ fd: Int32, _ address: String, _ port: Port) -> Int32 {
    guard case .v4(let value)? = IPAddress(address) else { return -1 }
    return LoopbackSocket.connect(fd, to: value, port.number)
  }

  private static func connectV6(_ fd: Int32, _ address: String, _ port: Port) -> Int32 {
    var name = sockaddr_in6()
    name.sin6_family = sa_family_t(AF_INET6)
    name.sin6_port = port.number.bigEndian
    inet_pton(AF_INET6, address, &name.sin6_addr)
    return withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
      }
    }
  }
}

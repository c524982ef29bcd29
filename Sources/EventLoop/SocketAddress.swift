import Addressing
import CLinux
import Glibc
import SystemPackage

/// Room for any address the kernel writes (`struct sockaddr_storage`), and the
/// way from and to `Endpoint`.
struct SocketAddress {
  var storage = sockaddr_storage()
  var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

  /// An empty buffer for the kernel to fill.
  init() {}

  /// What the kernel wrote.
  init(_ storage: sockaddr_storage, length: socklen_t) {
    (self.storage, self.length) = (storage, length)
  }

  /// The address of `endpoint`.
  init(_ endpoint: Endpoint) {
    self.init(endpoint.address, port: endpoint.port.number)
  }

  /// An address and a port in host order; port 0 asks bind(2) for any.
  init(_ address: IPAddress, port: UInt16) {
    switch address {
    case .v4(let value): setV4(value, port: port)
    case .v6(let high, let low): setV6(high, low, port: port)
    }
  }

  /// A path in the file system; nil when it is empty, holds NUL, or is longer than 107 bytes (unix(7)).
  init?(path: String) {
    var unix = sockaddr_un()
    unix.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: unix.sun_path), !bytes.contains(0) else {
      return nil
    }
    withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyBytes(from: bytes) }
    store(unix)
  }

  /// The address and port, or nil for a Unix address, and for port 0.
  var endpoint: Endpoint? {
    switch Int32(storage.ss_family) {
    case AF_INET:
      let value = load(sockaddr_in.self)
      return Port(UInt16(bigEndian: value.sin_port)).map {
        Endpoint(.v4(UInt32(bigEndian: value.sin_addr.s_addr)), $0)
      }
    case AF_INET6:
      let value = load(sockaddr_in6.self)
      let (high, low) = halves(value.sin6_addr)
      return Port(UInt16(bigEndian: value.sin6_port)).map { Endpoint(.v6(high: high, low: low), $0) }
    default: return nil
    }
  }

  /// AF_INET, AF_INET6 or AF_UNIX.
  var family: Int32 { Int32(storage.ss_family) }

  /// Makes it the peer of a datagram.
  func copy(to datagram: UnsafeMutablePointer<linux_datagram>) {
    datagram.pointee.peer = storage
    datagram.pointee.peer_length = length
  }

  /// Lends the address to a system call that reads it.
  func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    withUnsafePointer(to: storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
    }
  }

  /// Lends the address to a system call that fills it.
  mutating func withMutablePointer<R>(
    _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> R
  ) -> R {
    length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) { pointer in
      withUnsafeMutablePointer(to: &length) { length in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
      }
    }
  }

  private mutating func setV4(_ value: UInt32, port: UInt16) {
    var v4 = sockaddr_in()
    v4.sin_family = sa_family_t(AF_INET)
    v4.sin_port = port.bigEndian
    v4.sin_addr.s_addr = value.bigEndian
    store(v4)
  }

  private mutating func setV6(_ high: UInt64, _ low: UInt64, port: UInt16) {
    var v6 = sockaddr_in6()
    v6.sin6_family = sa_family_t(AF_INET6)
    v6.sin6_port = port.bigEndian
    withUnsafeMutableBytes(of: &v6.sin6_addr) {
      $0.storeBytes(of: high.bigEndian, as: UInt64.self)
      $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    store(v6)
  }

  /// C structs alone, which are plain bytes.
  private mutating func store<T>(_ value: T) {
    withUnsafeMutableBytes(of: &storage) { storage in
      withUnsafeBytes(of: value) { storage.copyMemory(from: $0) }
    }
    length = socklen_t(MemoryLayout<T>.size)
  }

  private func load<T>(_ type: T.Type) -> T {
    withUnsafeBytes(of: storage) { $0.load(as: type) }
  }
}

/// The upper and lower half of an IPv6 address, in host order.
func halves(_ address: in6_addr) -> (high: UInt64, low: UInt64) {
  withUnsafeBytes(of: address) {
    (
      UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
      UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    )
  }
}

/// The error of the system call that has just failed.
func lastError() -> Errno { Errno(rawValue: errno) }

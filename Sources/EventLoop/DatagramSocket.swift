import Addressing
import CLinux
import Glibc
import SystemPackage

/// An unconnected UDP socket on a loop.
///
/// It is never connected: an ICMP error for a connected socket leaves it in an
/// error state that wakes the loop without there being anything to read. Whoever
/// asked a question checks where the answer comes from.
public final class DatagramSocket: LoopService {
  /// The address family.
  public enum Family: Sendable { case v4, v6 }

  /// Datagrams taken in one turn.
  private static let batch = 64
  /// The largest UDP payload in bytes (RFC 768: a 16-bit length).
  private static let largest = 65_535

  private let loop: EventLoop
  private let fd: Int32
  private var key: UInt64?

  /// Called for each datagram: its bytes and where they came from.
  public var onReceive: ((_ bytes: [UInt8], _ from: Endpoint) -> Void)?

  /// Opens a socket; the kernel picks its port at the first `send`.
  public convenience init(loop: EventLoop, family: Family) throws(Errno) {
    try self.init(loop, linux_datagram_socket(family == .v4 ? AF_INET : AF_INET6), bound: nil)
  }

  /// Opens a socket bound to an address, and to a port that the kernel picks when `port` is nil.
  public convenience init(loop: EventLoop, bind address: IPAddress, port: Port?) throws(Errno) {
    let bound = SocketAddress(address, port: port?.number ?? 0)
    try self.init(loop, linux_datagram_socket(bound.family), bound: bound)
  }

  private init(_ loop: EventLoop, _ fd: Int32, bound: SocketAddress?) throws(Errno) {
    guard fd >= 0 else { throw lastError() }
    self.loop = loop
    self.fd = fd
    // What throws from here on is closed at its end.
    if let bound { try Self.bind(fd, bound) }
    key = try loop.addService(self, fd: fd)
  }

  private static func bind(_ fd: Int32, _ address: SocketAddress) throws(Errno) {
    if address.family == AF_INET6 { _ = linux_set_flag(fd, Int32(IPPROTO_IPV6), Int32(IPV6_V6ONLY)) }
    guard address.withPointer({ Glibc.bind(fd, $0, $1) }) == 0 else { throw lastError() }
  }

  /// The socket's own address, once it is bound.
  public var localEndpoint: Endpoint? {
    guard key != nil else { return nil }
    var address = SocketAddress()
    return address.withMutablePointer({ getsockname(fd, $0, $1) }) == 0 ? address.endpoint : nil
  }

  /// Sends one datagram.
  ///
  /// - Returns: Whether the kernel took it; if not, it is lost like any other datagram.
  @discardableResult
  public func send(_ bytes: [UInt8], to endpoint: Endpoint) -> Bool {
    loop.assertOnLoop()
    guard key != nil else { return false }
    let address = SocketAddress(endpoint)
    let sent = address.withPointer { pointer, length in
      bytes.withUnsafeBytes {
        sendto(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL), pointer, length)
      }
    }
    return sent == bytes.count
  }

  func serviceIsReady() {
    for _ in 0..<Self.batch {
      guard key != nil, receiveOne() else { return }
    }
  }

  /// Takes one datagram, or one error off the socket. False: there is none.
  private func receiveOne() -> Bool {
    var address = SocketAddress()
    let buffer = loop.scratch.prefix(Self.largest)
    let count = address.withMutablePointer { pointer, length in
      recvfrom(fd, buffer.base.baseAddress, buffer.count, 0, pointer, length)
    }
    guard count >= 0 else { return lastError() != .wouldBlock }
    if let from = address.endpoint {
      onReceive?(Array(UnsafeRawBufferPointer(rebasing: loop.scratch[..<count])), from)
    }
    return true
  }

  /// Closes the socket and lets go of `onReceive`.
  public func close() {
    loop.assertOnLoop()
    guard let key else { return }
    self.key = nil
    loop.removeService(key, fd: fd)
    onReceive = nil
  }

  func loopEnds() {
    close()
  }

  deinit {
    _ = Glibc.close(fd)
  }
}

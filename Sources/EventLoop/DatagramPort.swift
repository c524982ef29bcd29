import Addressing
import CLinux
import Glibc
import Synchronization
import SystemPackage

/// Takes what comes to a port.
public protocol DatagramPortDelegate: AnyObject {
  /// A datagram has come.
  ///
  /// - Parameters:
  ///   - message: Its bytes, only for the time of the call.
  ///   - arrival: Whose it is.
  func port(_ port: DatagramPort, received message: UnsafeRawBufferPointer, _ arrival: DatagramArrival)
}

/// A datagram in its batch: valid while the delegate is being called.
public struct DatagramArrival {
  private let datagram: UnsafeMutablePointer<linux_datagram>

  init(_ datagram: UnsafeMutablePointer<linux_datagram>) {
    self.datagram = datagram
  }

  /// Whether it was longer than `DatagramBatch.datagramSize`, and is not all there.
  public var isCut: Bool { datagram.pointee.flags & Int32(MSG_TRUNC) != 0 }
  /// Where it came from.
  public var peer: DatagramPeer { DatagramPeer(datagram.pointee) }
}

/// An unconnected UDP socket that moves many datagrams with one system call.
///
/// It is never connected: an ICMP error for a connected socket leaves it in an
/// error state that wakes the loop without there being anything to read.
///
/// - Source: recvmmsg(2), sendmmsg(2), ip(7) IP_PKTINFO.
public final class DatagramPort: LoopService {
  /// Batches taken in one turn; the socket stays readable for the rest.
  private static let batches = 8
  /// In bytes: some 10,000 queries that came in one burst.
  private static let receiveBuffer: Int32 = 4 << 20

  private let loop: EventLoop
  private let batch: DatagramBatch
  private let fd: Int32
  private var key: UInt64?
  private weak var delegate: (any DatagramPortDelegate)?
  /// Datagrams that the kernel did not take.
  public private(set) var lost: UInt64 = 0

  /// Opens a socket; the kernel draws its port at the first datagram.
  public convenience init(
    loop: EventLoop, family: DatagramSocket.Family, batch: DatagramBatch, delegate: any DatagramPortDelegate
  ) throws(Errno) {
    try self.init(
      loop, linux_datagram_socket(family == .v4 ? AF_INET : AF_INET6), batch, delegate, prepare: { _ in true }
    )
  }

  /// Takes over a bound socket, see `DatagramPort.bind`.
  public convenience init(
    loop: EventLoop, bound: BoundDatagramSocket, batch: DatagramBatch, delegate: any DatagramPortDelegate
  ) throws(Errno) {
    try self.init(loop, bound.take(), batch, delegate) { fd in
      linux_set_receive_buffer(fd, Self.receiveBuffer) == 0
    }
  }

  private init(
    _ loop: EventLoop, _ fd: Int32, _ batch: DatagramBatch, _ delegate: any DatagramPortDelegate,
    prepare: (Int32) -> Bool
  ) throws(Errno) {
    guard fd >= 0 else { throw lastError() }
    (self.loop, self.fd, self.batch, self.delegate) = (loop, fd, batch, delegate)
    guard prepare(fd) else { throw lastError() }
    key = try loop.addService(self, fd: fd)
  }

  deinit { _ = Glibc.close(fd) }

  /// Has `write` fill a datagram to `peer`; it is sent when the batch is flushed.
  public func stage(_ peer: DatagramPeer, _ write: (UnsafeMutableRawBufferPointer) -> Int) {
    loop.assertOnLoop()
    guard key != nil else { return }
    batch.stage(peer, by: self, write)
  }

  /// Has `write` fill a datagram to `endpoint`.
  public func stage(to endpoint: Endpoint, _ write: (UnsafeMutableRawBufferPointer) -> Int) {
    stage(DatagramPeer(endpoint), write)
  }

  func send(_ datagrams: UnsafeMutablePointer<linux_datagram>, _ count: Int) -> Int32 {
    linux_send_batch(fd, datagrams, UInt32(count))
  }

  func noteLost() { lost &+= 1 }

  func serviceIsReady() {
    // Loaded once: a weak reference costs more than what is done with most datagrams.
    let delegate = delegate
    for _ in 0..<Self.batches {
      let count = batch.receive(from: fd)
      for index in 0..<count {
        let datagram = batch.incoming + index
        let message = UnsafeRawBufferPointer(
          start: datagram.pointee.buffer, count: min(datagram.pointee.length, DatagramBatch.datagramSize))
        delegate?.port(self, received: message, DatagramArrival(datagram))
        guard key != nil else { return }
      }
      batch.flush()
      guard count == DatagramBatch.size else { return }
    }
  }

  /// Closes the socket. What is staged by it is sent before.
  public func close() {
    loop.assertOnLoop()
    guard let key else { return }
    batch.flush()
    self.key = nil
    loop.removeService(key, fd: fd)
  }

  func loopEnds() { close() }
}

/// A UDP socket that is bound and not served yet: binding is done before
/// anything is announced, serving only on the loop.
public final class BoundDatagramSocket: Sendable {
  private let fd: Mutex<Int32>
  /// The address and port it is bound to.
  public let endpoint: Endpoint

  /// Binds. Where the address is unspecified or the scope transparent, each
  /// answer leaves by the address that the question came to.
  ///
  /// - Throws: `ListenError`.
  public init(_ endpoint: Endpoint, scope: ListenScope = .plain) throws(ListenError) {
    let address = SocketAddress(endpoint), place = BindAddress.tcp(endpoint)
    let fd = linux_datagram_socket(address.family)
    guard fd >= 0 else { throw ListenError(place, lastError()) }
    if address.family == AF_INET6 { _ = linux_set_flag(fd, Int32(IPPROTO_IPV6), Int32(IPV6_V6ONLY)) }
    do throws(ListenError) {
      try scope.apply(to: fd, address.family, of: place)
      guard address.withPointer({ Glibc.bind(fd, $0, $1) }) == 0 else {
        throw ListenError(place, lastError())
      }
    } catch {
      _ = Glibc.close(fd)
      throw error
    }
    if scope.isTransparent || endpoint.address.addressClass == .unspecified {
      let isV4 = address.family == AF_INET
      _ = linux_set_flag(
        fd, Int32(isV4 ? Int(IPPROTO_IP) : Int(IPPROTO_IPV6)), isV4 ? IP_PKTINFO : IPV6_RECVPKTINFO)
    }
    self.fd = Mutex(fd)
    self.endpoint = endpoint
  }

  /// Takes over a descriptor that is bound already, as in another network namespace.
  ///
  /// - Returns: nil when it is bound to no address.
  public init?(adopting fd: Int32) {
    var address = SocketAddress()
    guard address.withMutablePointer({ getsockname(fd, $0, $1) }) == 0, let endpoint = address.endpoint else {
      return nil
    }
    _ = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)
    self.fd = Mutex(fd)
    self.endpoint = endpoint
  }

  /// The descriptor, which stays the socket's.
  public var descriptor: Int32 { fd.withLock { $0 } }

  /// The descriptor, once; the port closes it then.
  func take() -> Int32 {
    fd.withLock { fd in
      defer { fd = -1 }
      return fd
    }
  }

  deinit {
    let left = take()
    if left >= 0 { _ = Glibc.close(left) }
  }
}

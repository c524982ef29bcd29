import Addressing
import CLinux
import Glibc

/// Room for as many datagrams as one system call takes, and for as many that
/// wait to be sent. One is shared by all sockets of an owner, on one loop.
public final class DatagramBatch {
  /// In datagrams (32 took the least time for each; 64 is no better).
  static let size = Int(LINUX_BATCH)
  /// In bytes. A query has at most some 300; a response at most 1232. What is
  /// longer is cut by the kernel, and marked.
  public static let datagramSize = 2048

  /// What came last.
  let incoming: UnsafeMutablePointer<linux_datagram>
  /// What waits, of `sender`.
  let outgoing: UnsafeMutablePointer<linux_datagram>
  private let memory: UnsafeMutableRawPointer
  private(set) var waiting = 0
  private unowned var sender: DatagramPort?
  /// Who that is, to be compared without taking a reference.
  private var senderID: ObjectIdentifier?

  /// Makes an empty batch.
  public init() {
    incoming = .allocate(capacity: 2 * Self.size)
    incoming.initialize(repeating: linux_datagram(), count: 2 * Self.size)
    outgoing = incoming + Self.size
    memory = .allocate(byteCount: 2 * Self.size * Self.datagramSize, alignment: 64)
    for index in 0..<(2 * Self.size) { incoming[index].buffer = memory + index * Self.datagramSize }
  }

  deinit {
    incoming.deallocate()
    memory.deallocate()
  }

  /// Receives as much as fits.
  ///
  /// - Returns: The number of datagrams; 0 when there is none.
  func receive(from fd: Int32) -> Int {
    for index in 0..<Self.size { incoming[index].length = Self.datagramSize }
    return Int(max(0, linux_receive_batch(fd, incoming, UInt32(Self.size))))
  }

  /// Has `write` fill the next datagram to `peer`, to be sent with the others;
  /// nothing is sent when it writes nothing.
  func stage(
    _ peer: DatagramPeer, by port: DatagramPort, _ write: (UnsafeMutableRawBufferPointer) -> Int
  ) {
    let id = ObjectIdentifier(port)
    if waiting == Self.size || (waiting > 0 && senderID != id) { flush() }
    if waiting == 0 { (sender, senderID) = (port, id) }
    let place = outgoing + waiting
    let buffer = UnsafeMutableRawBufferPointer(start: place.pointee.buffer, count: Self.datagramSize)
    let count = write(buffer)
    guard count > 0 else { return }
    place.pointee.length = count
    peer.address.copy(to: place)
    place.pointee.control = peer.control
    place.pointee.control_length = peer.controlLength
    waiting += 1
  }

  /// Hands to the kernel what waits. What it does not take is lost like any other datagram.
  public func flush() {
    guard waiting > 0, let sender else { return }
    defer { waiting = 0 }
    var first = 0
    while first < waiting {
      let count = Int(sender.send(outgoing + first, waiting - first))
      // One datagram that cannot go must not keep the others.
      if count <= 0 { sender.noteLost() }
      first += max(1, count)
    }
  }
}

/// Where a datagram came from, for an answer that is sent later.
public struct DatagramPeer {
  let address: SocketAddress
  /// Which of the gate's own addresses it was sent to; the answer leaves by the same.
  let control: linux_datagram.Control
  let controlLength: Int

  init(_ datagram: borrowing linux_datagram) {
    address = SocketAddress(datagram.peer, length: datagram.peer_length)
    control = datagram.control
    controlLength = datagram.control_length
  }

  init(_ endpoint: Endpoint) {
    address = SocketAddress(endpoint)
    control = linux_datagram().control
    controlLength = 0
  }

  /// Its address and port; nil for port 0.
  public var endpoint: Endpoint? { address.endpoint }
}

extension linux_datagram {
  /// 48 bytes, as Swift sees an array of C.
  typealias Control = (
    UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
    UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
    UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
    UInt8, UInt8, UInt8
  )
}

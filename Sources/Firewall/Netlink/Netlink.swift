import CNetfilter
import Glibc

/// One netlink socket, to netfilter where nothing else is said, and the buffer that its answers are read to.
///
/// Not thread-safe: it belongs to whoever drives it.
final class Netlink {
  private let socket: OpaquePointer
  private var sequence: UInt32 = 0
  private let buffer: UnsafeMutableRawBufferPointer

  /// What one read takes; the kernel's dumps come in parts of at most 32 KiB.
  private static let bufferSize = 1 << 17

  /// Opens and binds the socket, in the network namespace of the calling thread.
  ///
  /// - Parameters:
  ///   - bus: `NETLINK_*`, whom it speaks to.
  ///   - groups: The multicast groups to hear, as a bit mask of their numbers less one; 0 for none.
  init(_ bus: Int32 = NETLINK_NETFILTER, groups: UInt32 = 0) throws(NetfilterError) {
    guard let socket = mnl_socket_open2(bus, Int32(SOCK_CLOEXEC.rawValue)) else {
      throw NetfilterError("open a netlink socket", errno: errno)
    }
    guard mnl_socket_bind(socket, groups, 0) == 0 else {
      let code = errno
      mnl_socket_close(socket)
      throw NetfilterError("bind a netlink socket", errno: code)
    }
    self.socket = socket
    buffer = .allocate(byteCount: Self.bufferSize, alignment: 16)
    var wait = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
  }

  /// Takes over a socket that was opened and bound in another network namespace.
  init(adopting descriptor: Int32) throws(NetfilterError) {
    guard let socket = mnl_socket_fdopen(descriptor) else {
      throw NetfilterError("take a netfilter socket over", errno: errno)
    }
    self.socket = socket
    buffer = .allocate(byteCount: Self.bufferSize, alignment: 16)
  }

  deinit {
    mnl_socket_close(socket)
    buffer.deallocate()
  }

  var descriptor: Int32 { mnl_socket_get_fd(socket) }

  /// The number by which the kernel knows this socket.
  var portID: UInt32 { mnl_socket_get_portid(socket) }

  func nextSequence(_ count: UInt32 = 1) -> UInt32 {
    defer { sequence &+= count }
    return sequence &+ 1
  }

  /// Asks for room in the socket's buffers, above the system's limit where
  /// CAP_NET_ADMIN allows it.
  func reserve(sending: Int32 = 0, receiving: Int32 = 0) {
    for (force, plain, size) in [
      (SO_SNDBUFFORCE, SO_SNDBUF, sending), (SO_RCVBUFFORCE, SO_RCVBUF, receiving),
    ] where size > 0 {
      var value = size
      let length = socklen_t(MemoryLayout<Int32>.size)
      if setsockopt(descriptor, SOL_SOCKET, force, &value, length) != 0 {
        setsockopt(descriptor, SOL_SOCKET, plain, &value, length)
      }
    }
  }

  func send(_ bytes: [UInt8], _ operation: String) throws(NetfilterError) {
    if bytes.count > 100_000 { reserve(sending: Int32(clamping: bytes.count * 2)) }
    guard mnl_socket_sendto(socket, bytes, bytes.count) == bytes.count else {
      throw NetfilterError(operation, errno: errno)
    }
  }

  /// What a read gave.
  enum Reception {
    case messages
    /// Nothing there within the time.
    case nothing
    case failed(Int32)
  }

  /// Reads once and hands each message on; the pointer is valid during the call only.
  func receive(
    waiting: Bool = true, _ body: (UnsafePointer<nlmsghdr>) -> Void
  ) -> Reception {
    let flags = waiting ? 0 : Int32(MSG_DONTWAIT)
    let count = recv(descriptor, buffer.baseAddress, buffer.count, flags)
    guard count >= 0 else {
      return errno == EAGAIN ? .nothing : errno == EINTR ? .messages : .failed(errno)
    }
    var rest = Int32(count)
    guard var header = buffer.baseAddress?.assumingMemoryBound(to: nlmsghdr.self) else { return .nothing }
    while mnl_nlmsg_ok(header, rest) {
      body(header)
      guard let next = mnl_nlmsg_next(header, &rest) else { break }
      header = next
    }
    return .messages
  }

  /// Reads without waiting until nothing is there, at most some times.
  func receiveAll(_ body: (UnsafePointer<nlmsghdr>) -> Void) -> Reception {
    for _ in 0..<64 {
      let reception = receive(waiting: false, body)
      guard case .messages = reception else { return reception }
    }
    return .messages
  }

  /// Throws away what an earlier request left behind.
  func drain() {
    while case .messages = receive(waiting: false, { _ in }) {}
  }
}

extension UnsafePointer<nlmsghdr> {
  var type: Int32 { Int32(pointee.nlmsg_type) }
  var sequence: UInt32 { pointee.nlmsg_seq }

  /// The errno of an error message, 0 for an acknowledgement; nil for any other message.
  var error: Int32? {
    guard type == NLMSG_ERROR, pointee.nlmsg_len >= 20 else { return nil }
    return -UnsafeRawPointer(self).loadUnaligned(fromByteOffset: 16, as: Int32.self)
  }

  /// How a request ended, as an errno; nil while it goes on.
  var result: Int32? {
    guard type == NLMSG_DONE else { return error }
    guard pointee.nlmsg_len >= 20 else { return 0 }
    return -UnsafeRawPointer(self).loadUnaligned(fromByteOffset: 16, as: Int32.self)
  }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: self, count: Int(pointee.nlmsg_len)) }
}

extension Netlink {
  /// Sends a batch and waits until the kernel took it or refused it.
  func commit(_ batch: Batch) throws(NetfilterError) {
    guard !batch.isEmpty else { return }
    _ = nextSequence(batch.last &- batch.first &+ 2)
    drain()
    try send(batch.finished(), "send a batch")
    var failure: NetfilterError?
    var isDone = false
    while !isDone {
      let reception = receive { message in
        guard let code = message.error else { return }
        if code != 0, failure == nil { failure = batch.failure(message.sequence, code) }
        // An error of the batch as a whole carries the number of its beginning, and may come alone.
        isDone = isDone || message.sequence == batch.last || (message.sequence == batch.first && code != 0)
      }
      switch reception {
      case .messages: continue
      case .nothing: throw failure ?? NetfilterError("commit a batch", .noAnswer)
      case .failed(let code): throw failure ?? NetfilterError("commit a batch", errno: code)
      }
    }
    if let failure { throw failure }
  }

  /// A batch numbered after all that was sent before.
  func newBatch() -> Batch { Batch(sequence: sequence &+ 1) }

  /// Sends one request and hands on what it is answered, up to its end or acknowledgement.
  ///
  /// - Throws: What the kernel answered; `disturbed` when the tables changed
  ///   during a dump, which has to be asked for again then.
  func request(
    _ bytes: [UInt8], sequence: UInt32, _ operation: String, _ body: (UnsafePointer<nlmsghdr>) -> Void
  ) throws(NetfilterError) {
    drain()
    try send(bytes, operation)
    var result: Int32?
    var wasDisturbed = false
    while result == nil {
      let reception = receive { message in
        guard message.sequence == sequence else { return }
        if Int32(message.pointee.nlmsg_flags) & NLM_F_DUMP_INTR != 0 { wasDisturbed = true }
        result = message.result
        if result == nil { body(message) }
      }
      switch reception {
      case .messages: continue
      case .nothing: throw NetfilterError(operation, .noAnswer)
      case .failed(let code): throw NetfilterError(operation, errno: code)
      }
    }
    if let result, result != 0 { throw NetfilterError(operation, errno: result) }
    if wasDisturbed { throw NetfilterError(operation, .disturbed) }
  }
}

extension Batch {
  /// The error of the message that `sequence` numbers.
  fileprivate func failure(_ sequence: UInt32, _ code: Int32) -> NetfilterError {
    guard let operation = operations[sequence] else { return NetfilterError("commit a batch", errno: code) }
    return NetfilterError(operation, errno: code, inBatch: true)
  }
}

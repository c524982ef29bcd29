import CLinux
import Glibc
import SystemPackage

/// Messages of bytes and descriptors between two processes, over a socket pair
/// that keeps their borders (SOCK_SEQPACKET).
///
/// A message is at most `limit` bytes. One above 64 KiB travels in several
/// packets, each with one byte in front that says whether more follow.
/// Used from one thread at a time.
public final class MessageChannel {
  /// The most bytes of a message in one packet.
  static let packet = 65_536
  /// The most bytes of a message, unless said otherwise: 4 MiB.
  public static let defaultLimit = 4 << 20
  /// The most descriptors of a message.
  public static let descriptorLimit = Int(LINUX_MESSAGE_DESCRIPTORS)

  /// What came.
  public enum Received: Hashable, Sendable {
    /// A whole message. The descriptors are the receiver's to close; they are close-on-exec.
    case message([UInt8], descriptors: [Int32])
    /// Nothing yet; only of a channel that does not block.
    case nothingYet
    /// The other side has closed the channel, or is dead.
    case ended
  }

  /// Why a message could not be sent or taken. The channel is then of no more use.
  public enum Problem: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is longer than the limit, or has more descriptors than fit.
    case tooLarge
    /// The other side sent something that is no packet of this channel.
    case malformed
    /// The other side is gone.
    case ended
    /// The kernel refused.
    case failed(Errno)

    public var description: String {
      switch self {
      case .tooLarge: "a message is larger than the channel carries"
      case .malformed: "the other side does not keep to the form of messages"
      case .ended: "the other side is gone"
      case .failed(let error): "the channel failed: \(error)"
      }
    }
  }

  /// The socket: readable when a message or the end has come, writable when `flush` may go on.
  public let descriptor: Int32
  /// The most bytes of a message either way.
  public let limit: Int
  private var blocks = true
  private var unsent: [Packet] = []
  private var incoming: [UInt8] = []
  private var incomingDescriptors: [Int32] = []
  private var buffer = [UInt8](repeating: 0, count: packet + 1)

  private struct Packet {
    var isLast: Bool
    var bytes: ArraySlice<UInt8>
    var descriptors: [Int32]
  }

  /// Takes over one end of a pair; it is closed with the channel.
  public init(owning descriptor: Int32, limit: Int = defaultLimit) {
    (self.descriptor, self.limit) = (descriptor, limit)
  }

  deinit {
    for packet in unsent { packet.descriptors.forEach { _ = close($0) } }
    incomingDescriptors.forEach { _ = close($0) }
    close(descriptor)
  }

  /// Two ends of a new channel.
  public static func pair(limit: Int = defaultLimit) throws(Problem) -> (MessageChannel, MessageChannel) {
    var ends: [Int32] = [0, 0]
    guard linux_packet_pair(&ends) == 0 else { throw .failed(lastErrno()) }
    return (MessageChannel(owning: ends[0], limit: limit), MessageChannel(owning: ends[1], limit: limit))
  }

  /// From now on nothing waits: `send` keeps what does not fit and `receive` says `.nothingYet`.
  public func stopBlocking() { blocks = false }

  /// Both sides read the end from now on; what was sent is read first.
  public func shutDown() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

  /// Whether messages wait for the socket to become writable; call `flush` then.
  public var hasUnsent: Bool { !unsent.isEmpty }
}

// MARK: - Out

extension MessageChannel {
  /// Sends a message, or keeps what the socket does not take now where the channel does not block.
  ///
  /// - Parameter descriptors: Copies of them are sent; the caller's stay open.
  public func send(_ bytes: [UInt8], descriptors: [Int32] = []) throws(Problem) {
    guard bytes.count <= limit, descriptors.count <= Self.descriptorLimit else { throw .tooLarge }
    // What waits holds copies, so that the caller may close its own at once.
    let copies = try descriptors.isEmpty ? [] : duplicate(descriptors)
    var rest = bytes[...]
    repeat {
      let part = rest.prefix(Self.packet)
      rest = rest.dropFirst(part.count)
      unsent.append(Packet(isLast: rest.isEmpty, bytes: part, descriptors: rest.isEmpty ? copies : []))
    } while !rest.isEmpty
    try flush()
  }

  /// Sends what waits, as far as the socket takes it.
  public func flush() throws(Problem) {
    while let packet = unsent.first {
      guard try write(packet) else { return }
      packet.descriptors.forEach { _ = close($0) }
      unsent.removeFirst()
    }
  }

  /// - Returns: Whether it went; not, when the socket is full and nothing may wait.
  private func write(_ packet: Packet) throws(Problem) -> Bool {
    while true {
      var header: UInt8 = packet.isLast ? 0 : 1
      let sent = packet.bytes.withUnsafeBytes { body in
        linux_send_message(
          descriptor, &header, 1, body.baseAddress, body.count, packet.descriptors, packet.descriptors.count,
          blocks ? 0 : Int32(MSG_DONTWAIT))
      }
      if sent >= 0 { return true }
      switch lastErrno() {
      case .interrupted: continue
      case .wouldBlock where !blocks: return false
      case .brokenPipe, .connectionReset, .socketNotConnected: throw .ended
      case let error: throw .failed(error)
      }
    }
  }

  private func duplicate(_ descriptors: [Int32]) throws(Problem) -> [Int32] {
    var copies: [Int32] = []
    for descriptor in descriptors {
      let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
      guard copy >= 0 else {
        let error = lastErrno()
        copies.forEach { _ = close($0) }
        throw .failed(error)
      }
      copies.append(copy)
    }
    return copies
  }
}

// MARK: - In

extension MessageChannel {
  /// The next message; waits for it where the channel blocks.
  ///
  /// - Throws: When the other side breaks the form or the limit; whatever
  ///   descriptors it sent are closed with the channel.
  public func receive() throws(Problem) -> Received {
    while true {
      guard let packet = try read() else { return .nothingYet }
      guard let header = packet.first else {
        guard incoming.isEmpty, incomingDescriptors.isEmpty else { throw .malformed }
        return .ended
      }
      guard header <= 1, incoming.count + packet.count - 1 <= limit,
        incomingDescriptors.count <= Self.descriptorLimit
      else { throw header > 1 ? .malformed : .tooLarge }
      incoming += packet.dropFirst()
      if header == 1 { continue }
      defer { (incoming, incomingDescriptors) = ([], []) }
      return .message(incoming, descriptors: incomingDescriptors)
    }
  }

  /// One packet with its header; empty at the end, nil when none is there and nothing may wait.
  private func read() throws(Problem) -> ArraySlice<UInt8>? {
    var held = [Int32](repeating: -1, count: Self.descriptorLimit)
    while true {
      var count = 0, cut: Int32 = 0
      let length = linux_receive_message(
        descriptor, &buffer, buffer.count, &held, &count, &cut, blocks ? 0 : Int32(MSG_DONTWAIT))
      if length < 0 {
        switch lastErrno() {
        case .interrupted: continue
        case .wouldBlock where !blocks: return nil
        case .connectionReset: return []
        case let error: throw .failed(error)
        }
      }
      incomingDescriptors += held[..<count]
      guard cut == 0 else { throw .malformed }
      return buffer[..<length]
    }
  }
}

import EventLoop

/// The last answer on a connection, and its end.
///
/// Closing a socket that holds unread bytes sends a reset, and a reset may
/// overtake the answer. So where the client may still be sending, the sending
/// side is shut first and what arrives is read and dropped, for a while. A
/// client that is slow to take the answer is waited for.
final class Farewell: ChannelDelegate {
  /// The most that is read and dropped, in bytes.
  private static let patience = 256 * 1024

  private let loop: EventLoop
  private let lingers: Bool
  /// The connection's place, held until it is closed.
  private let ticket: ConnectionTicket?
  private var outgoing: OutgoingBytes
  private var isShut = false
  private var dropped = 0

  private init(_ outgoing: OutgoingBytes, _ loop: EventLoop, lingers: Bool, ticket: ConnectionTicket?) {
    self.outgoing = outgoing
    self.loop = loop
    self.lingers = lingers
    self.ticket = ticket
  }

  /// Sends a short answer and closes `channel`: at once, or when the client is done.
  ///
  /// - Parameter lingers: Whether the client may still be sending.
  static func send(
    _ bytes: [UInt8], on channel: Channel, loop: EventLoop, lingers: Bool = false, ticket: ConnectionTicket?
  ) {
    var outgoing = OutgoingBytes()
    outgoing.append(bytes)
    send(outgoing, on: channel, loop: loop, lingers: lingers, ticket: ticket)
  }

  /// Sends what is left of a response and closes `channel` like the other.
  static func send(
    _ outgoing: OutgoingBytes, on channel: Channel, loop: EventLoop, lingers: Bool, ticket: ConnectionTicket?
  ) {
    guard !channel.isClosed else { return }
    var outgoing = outgoing
    guard outgoing.flush(to: channel) else { return channel.close() }
    guard lingers || !outgoing.isEmpty else { return channel.close() }
    let farewell = Farewell(outgoing, loop, lingers: lingers, ticket: ticket)
    channel.delegate = farewell
    channel.deadline = loop.now + (outgoing.isEmpty ? Deadlines.farewell : Deadlines.response)
    farewell.channelIsReady(channel)
  }

  func channelIsReady(_ channel: Channel) {
    guard outgoing.flush(to: channel) else { return channel.close() }
    guard outgoing.isEmpty else { return }
    guard lingers else { return channel.close() }
    if !isShut { shut(channel) }
    drop(channel)
  }

  private func shut(_ channel: Channel) {
    isShut = true
    channel.shutdownWrite()
    channel.deadline = loop.now + Deadlines.farewell
  }

  private func drop(_ channel: Channel) {
    while dropped < Self.patience {
      switch channel.read(into: loop.scratch) {
      case .bytes(let count): dropped += count
      case .wouldBlock: return
      case .end, .failed: return channel.close()
      }
    }
    channel.close()
  }

  func channelDeadlinePassed(_ channel: Channel) {
    channel.close()
  }
}

extension Channel {
  /// Writes a short answer whole; false when the socket does not take it.
  func writeAll(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { buffer in
      guard case .bytes(let count) = write(buffer) else { return false }
      return count == buffer.count
    }
  }
}

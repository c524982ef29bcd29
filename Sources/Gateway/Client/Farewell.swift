import EventLoop

/// The last answer on a connection, and its end.
///
/// Closing a socket that holds unread bytes sends a reset, and a reset may
/// overtake the answer. So where the client may still be sending, the sending
/// side is shut first and what arrives is read and dropped, for a while.
final class Farewell: ChannelDelegate {
  /// The most that is read and dropped, in bytes.
  private static let patience = 256 * 1024

  private let loop: EventLoop
  private var dropped = 0

  private init(_ loop: EventLoop) {
    self.loop = loop
  }

  /// Sends `bytes` and closes `channel`: at once, or when the client is done.
  ///
  /// - Parameter lingers: Whether the client may still be sending.
  static func send(_ bytes: [UInt8], on channel: Channel, loop: EventLoop, lingers: Bool = false) {
    guard !channel.isClosed else { return }
    guard channel.writeAll(bytes), lingers else { return channel.close() }
    channel.shutdownWrite()
    let farewell = Farewell(loop)
    channel.delegate = farewell
    channel.deadline = loop.now + Deadlines.farewell
    farewell.channelIsReady(channel)
  }

  func channelIsReady(_ channel: Channel) {
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

import SystemPackage

/// What a read gave.
public enum ReadResult: Hashable, Sendable {
  /// So many bytes, at least 1.
  case bytes(Int)
  /// Nothing now; `channelIsReady` follows.
  case wouldBlock
  /// The peer will send no more.
  case end
  /// The connection is broken.
  case failed(Errno)
}

/// What a write did.
public enum WriteResult: Hashable, Sendable {
  /// So many bytes were taken, maybe fewer than offered.
  case bytes(Int)
  /// None now; `channelIsReady` follows.
  case wouldBlock
  /// The connection is broken.
  case failed(Errno)
}

/// Where an outgoing connection stands.
public enum ConnectProgress: Hashable, Sendable {
  case pending
  case connected
  case failed(Errno)
}

/// Who is at the other end of a Unix socket (unix(7), SO_PEERCRED).
public struct PeerCredentials: Hashable, Sendable {
  /// The process.
  public let pid: Int32
  /// Its user.
  public let uid: UInt32
  /// Its group.
  public let gid: UInt32
}

/// Gets a channel's events, on its loop.
public protocol ChannelDelegate: AnyObject {
  /// Something changed: read until `.wouldBlock` or the end, write what waits.
  func channelIsReady(_ channel: Channel)
  /// The deadline has passed; the channel has none now.
  func channelDeadlinePassed(_ channel: Channel)
}

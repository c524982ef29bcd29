/// What is spoken on one connection: how a request is read, and what is done about it.
///
/// Called on the loop of the connection alone.
public protocol Dialogue: AnyObject {
  /// Takes the first request of `input`, if all of it is there.
  ///
  /// A request that was taken is answered through `answer`, later and from any
  /// thread; until then nothing more is read. What never becomes a request must
  /// be refused at some length: `input` is kept until then.
  ///
  /// - Parameters:
  ///   - input: All that came in and was not yet used; may hold more than one request.
  ///   - seen: The length of `input` when it was last looked at in vain.
  ///   - answer: The way back to the peer.
  /// - Returns: The length of the request in bytes, at least 1; nil when more bytes are needed.
  /// - Throws: What the peer gets instead, after which the connection is closed.
  func take(_ input: ArraySlice<UInt8>, resumingAt seen: Int, answer: Answer) throws(Refusal) -> Int?
}

/// The last bytes that a peer gets which sent something that is no request.
public struct Refusal: Error, Hashable, Sendable {
  /// On the wire.
  public var bytes: [UInt8]

  /// Makes a refusal.
  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }
}

/// The way back to a peer for one request, for any thread at any time.
///
/// The first use counts; later ones, and those after the peer has gone, do nothing.
public struct Answer: Sendable {
  let room: ConversationRoom
  /// Names the connection within the room.
  let connection: UInt64
  /// Names the request within the connection.
  let request: UInt64

  /// Sends the whole answer. The next request is looked at behind it, unless the connection is to close.
  public func send(_ bytes: [UInt8], thenClose: Bool = false) {
    room.reach(connection) { [request] in $0.answer(request, bytes, thenClose: thenClose) }
  }

  /// Begins an answer of many messages, which lasts until either side ends it.
  ///
  /// - Parameters:
  ///   - first: What goes before the first message, a head for example; may be empty.
  ///   - limit: In bytes: a peer for which more is waiting is cut off.
  ///   - onEnd: Called once, on the loop, when nothing more can be sent: the
  ///     peer has gone, sent something, was too slow, or `end` was called. Not
  ///     called when the loop itself ends.
  public func stream(
    _ first: [UInt8], limit: Int = MessageStream.defaultLimit, onEnd: @escaping @Sendable () -> Void = {}
  ) -> MessageStream {
    let stream = MessageStream(self, limit: limit, onEnd: onEnd)
    _ = stream.take(first.count)
    room.reach(connection, orElse: { stream.close() }) { [request] in $0.stream(request, first, stream) }
    return stream
  }
}

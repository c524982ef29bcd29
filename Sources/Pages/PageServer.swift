import Addressing
import EventLoop

/// A small server of the program's own pages on one loop: HTTP/1.1, read as
/// strictly as what agents send, with a bound on everything.
public final class PageServer: Sendable {
  /// Answers a request; the answer may be handed over later and from any thread, once.
  public typealias Handler = @Sendable (PageRequest, _ answer: PageReply) -> Void

  /// A further connection takes the place of one that has not asked anything, or is closed.
  private static let limits = ConversationRoom.Limits(
    connections: 32, patience: .seconds(30), silentMakeRoom: true)

  private let listener: Listener
  private let terms: PageTerms

  /// Takes a listener that is bound.
  public init(_ listener: Listener, _ terms: PageTerms = PageTerms()) {
    self.listener = listener
    self.terms = terms
  }

  /// The address bound to; nil for a Unix socket.
  public var endpoint: Endpoint? { listener.boundEndpoint }

  /// Answers on `loop` from now on.
  ///
  /// - Parameter admits: Whether a client may ask, by its address, which a Unix socket's has not.
  public func start(
    on loop: EventLoop, admits: @escaping @Sendable (IPAddress?) -> Bool = { _ in true },
    handler: @escaping Handler
  ) {
    let room = ConversationRoom(on: loop, Self.limits), terms = terms
    listener.start(
      on: [loop], mayUseReserve: true,
      accept: { channel in
        guard admits(channel.remoteEndpoint?.address) else { return channel.reset() }
        room.admit(channel, PageDialogue(at: channel.localEndpoint, terms, handler: handler))
      })
  }

  /// Stops accepting. A Unix socket's file is removed.
  public func close() {
    listener.close()
  }
}

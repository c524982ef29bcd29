import Addressing
import Dispatch
import EventLoop

/// A small server of the program's own pages on one loop: HTTP/1.1, read as
/// strictly as what agents send, with a bound on everything.
public final class PageServer: Sendable {
  /// Answers a request; the answer may be handed over later and from any thread, once.
  public typealias Handler =
    @Sendable (PageRequest, _ answer: @escaping @Sendable (PageAnswer) -> Void) -> Void

  /// Connections open at once; a further one is closed.
  public static let maximumConnections = 32

  private let listener: Listener

  /// Takes a listener that is bound.
  public init(_ listener: Listener) {
    self.listener = listener
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
    let room = PageRoom(loop: loop, handler: handler)
    listener.start(
      on: [loop], mayUseReserve: true,
      accept: { channel in
        admits(channel.remoteEndpoint?.address) ? room.admit(channel) : channel.reset()
      })
  }

  /// Stops accepting. A Unix socket's file is removed.
  public func close() {
    listener.close()
  }
}

/// The open connections of a server, by number, so that an answer made on any
/// thread finds its connection on the loop, or finds it gone.
///
/// `@unchecked Sendable`: the table is touched on `loop` alone, which every entry point checks.
final class PageRoom: @unchecked Sendable {
  private let loop: EventLoop
  private let handler: PageServer.Handler
  private var connections: [UInt64: PageConnection] = [:]
  private var opened: UInt64 = 0

  init(loop: EventLoop, handler: @escaping PageServer.Handler) {
    self.loop = loop
    self.handler = handler
  }

  func admit(_ channel: Channel) {
    dispatchPrecondition(condition: .onQueue(loop.queue))
    guard connections.count < PageServer.maximumConnections else { return channel.close() }
    opened += 1
    let connection = PageConnection(channel, number: opened, loop: loop, room: self)
    connections[opened] = connection
    connection.open()
  }

  func ask(_ request: PageRequest, from connection: PageConnection) {
    let number = connection.number
    handler(request) { [self] answer in
      loop.submit {
        dispatchPrecondition(condition: .onQueue(self.loop.queue))
        self.connections[number]?.answer(answer)
      }
    }
  }

  func forget(_ connection: PageConnection) {
    dispatchPrecondition(condition: .onQueue(loop.queue))
    connections[connection.number] = nil
  }
}

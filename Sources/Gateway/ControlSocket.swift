import Addressing
import Control
import Dispatch
import EventLoop
import Glibc

/// What happened at the control socket beside a request that was answered.
public enum ControlEvent: Hashable, Sendable {
  /// A process connected that is neither root's nor the gate's own user's nor a reviewer's.
  case strangerRefused
  /// A peer sent something that is no request.
  case badRequest(ControlError)
  /// A connection was closed unanswered: as many as allowed were open.
  case tooManyConnections
}

extension ControlEvent: CustomStringConvertible {
  public var description: String {
    switch self {
    case .strangerRefused:
      "refused a process that is neither root's, nor the gate's own user's, nor a reviewer's"
    case .badRequest(let error): "refused a request: \(error)"
    case .tooManyConnections: "closed a connection: its user has as many open as there may be"
    }
  }
}

/// The Unix socket at which people and their tools ask the gate about itself
/// and tell it to reload.
///
/// A connection speaks lines: one request, one reply, each one JSON object of
/// at most `ControlProtocol.maximumLength` bytes. Whoever is neither root nor
/// the gate's own user nor a reviewer is refused by the kernel's word about the peer
/// (`SO_PEERCRED`, unix(7)), whatever the file's mode says.
public final class ControlSocket: Sendable {
  /// Answers a request; the reply may be handed over later and from any thread, once.
  public typealias Handler = @Sendable (ControlRequest, PeerCredentials, _ reply: ControlAnswer) -> Void
  /// Told of what is worth a record.
  public typealias Notice = @Sendable (ControlEvent, PeerCredentials?) -> Void

  private let listener: Listener
  /// What a person should hear about the socket's place; nil when it is safe.
  public let warning: String?

  /// Binds the socket at `path` with mode 0600, replacing one that nobody answers at.
  ///
  /// - Throws: `ControlSocketError`; nothing is left behind then.
  public static func bind(path: String) throws(ControlSocketError) -> ControlSocket {
    let directory = try ControlDirectory.locked(of: path)
    defer { extendLifetime(directory) }
    do throws(ListenError) {
      return ControlSocket(
        listener: try Listener.bind(.unix(path: path, mode: 0o600)), warning: directory.loose?.warning)
    } catch {
      throw ControlSocketError(error, at: path)
    }
  }

  private init(listener: Listener, warning: String?) {
    self.listener = listener
    self.warning = warning
  }

  /// Accepts connections on `loop` from now on, of the peers that `admits` takes.
  public func start(
    on loop: EventLoop, admits: @escaping @Sendable (PeerCredentials) -> Bool, handler: @escaping Handler,
    notice: @escaping Notice
  ) {
    let rooms = ControlRooms(on: loop)
    listener.start(
      on: [loop], mayUseReserve: true,
      accept: { channel in
        guard let peer = channel.peerCredentials, admits(peer) else {
          notice(.strangerRefused, channel.peerCredentials)
          return channel.close()
        }
        let dialogue = ControlDialogue(peer: peer, handler: handler, notice: notice)
        rooms.room(of: peer).admit(channel, dialogue) { notice(.tooManyConnections, peer) }
      })
  }

  /// Stops accepting and removes the socket from the file system.
  public func close() {
    listener.close()
  }
}

/// The open connections of the control socket: root and the gate's own user have
/// theirs, and each reviewer his, so that nobody keeps another from `stop-all`.
///
/// `@unchecked Sendable`: the table is touched on `loop` alone, which `room` checks.
private final class ControlRooms: @unchecked Sendable {
  /// Far more connections than people need, few enough to hold in memory. A reload reads files and resolves nothing.
  private static let limits = ConversationRoom.Limits(connections: 32, patience: .seconds(60))
  private static let reviewersLimits = ConversationRoom.Limits(connections: 8, patience: .seconds(60))

  private let loop: EventLoop
  private let own: ConversationRoom
  private var reviewers: [UInt32: ConversationRoom] = [:]

  init(on loop: EventLoop) {
    self.loop = loop
    own = ConversationRoom(on: loop, Self.limits)
  }

  /// Where a peer who is admitted has his connections.
  func room(of peer: PeerCredentials) -> ConversationRoom {
    dispatchPrecondition(condition: .onQueue(loop.queue))
    guard peer.uid != 0, peer.uid != geteuid() else { return own }
    if let room = reviewers[peer.uid] { return room }
    let room = ConversationRoom(on: loop, Self.reviewersLimits)
    reviewers[peer.uid] = room
    return room
  }
}

import CLinux
import Glibc
import SystemPackage

/// One loop's end of a listener. One of a listener's ports at a time accepts, see `Ports`.
final class AcceptingPort: LoopService {
  /// Connections taken in one turn; the socket stays readable for the rest.
  private static let batch = 64
  /// How long nothing is accepted after descriptors or memory ran out.
  private static let pause = Duration.milliseconds(100)

  /// Nil once closed.
  private var socket: ListeningSocket?
  let loop: EventLoop
  private weak var ports: Ports?
  private let mayUseReserve: Bool
  private let accept: (Channel) -> Void
  private let notice: (ListenerNotice) -> Void
  /// While it is this port's turn to accept.
  private var key: UInt64?
  private var isWatching = false
  private var isInEpisode = false

  init(
    socket: ListeningSocket, loop: EventLoop, ports: Ports, mayUseReserve: Bool,
    accept: @escaping (Channel) -> Void, notice: @escaping (ListenerNotice) -> Void
  ) {
    self.socket = socket
    self.loop = loop
    self.ports = ports
    self.mayUseReserve = mayUseReserve
    self.accept = accept
    self.notice = notice
  }

  /// Begins to accept: it is this port's turn.
  func open() {
    guard socket != nil, key == nil else { return }
    do {
      key = try loop.addService(self)
      watch()
    } catch { ports?.pass(on: self, isEnding: true) }
  }

  private func watch() {
    guard let socket, let key, !isWatching else { return }
    do {
      try loop.poller.addService(socket.fd, key: key)
      isWatching = true
    } catch { pause(error) }
  }

  private func unwatch() {
    guard let socket, let key, isWatching else { return }
    isWatching = false
    loop.poller.removeService(socket.fd, key: key)
  }

  /// Leaves accepting to another port.
  private func rest() {
    unwatch()
    if let key { loop.removeService(key) }
    key = nil
  }

  func close() {
    rest()
    socket = nil
  }

  func loopEnds() {
    close()
    ports?.pass(on: self, isEnding: true)
  }

  func serviceIsReady() {
    for _ in 0..<Self.batch {
      guard isWatching, let socket, takeOne(socket) else { return }
      if let ports, ports.haveLighter(than: loop) {
        rest()
        return ports.pass(on: self)
      }
    }
  }

  /// Accepts one connection. False: no more for now.
  private func takeOne(_ socket: ListeningSocket) -> Bool {
    var address = SocketAddress()
    let fd = address.withMutablePointer { linux_accept(socket.fd, $0, $1) }
    guard fd >= 0 else { return isWorthRetrying(lastError()) }
    guard mayUseReserve || fd < loop.descriptorCeiling else { return refuse(fd) }
    if isInEpisode { endEpisode() }
    let state: Channel.State = socket.isTCP ? [.mayRead, .mayWrite, .isTCP] : [.mayRead, .mayWrite]
    accept(loop.open(fd, state: state, peer: socket.isTCP ? address.endpoint : nil))
    return true
  }

  /// What is above the ceiling ends at once; the next ones wait in the kernel.
  private func refuse(_ fd: Int32) -> Bool {
    _ = Glibc.close(fd)
    pause(.tooManyOpenFiles)
    return false
  }

  /// A connection that died in the queue, or that the firewall forbids, says
  /// nothing about the next one (accept(2), error handling).
  private func isWorthRetrying(_ error: Errno) -> Bool {
    switch error {
    case .connectionAbort, .interrupted, .protocolError, .notPermitted: return true
    case .wouldBlock: return false
    case .badFileDescriptor, .invalidArgument, .notSocket: close()
    default: pause(error)
    }
    return false
  }

  private func pause(_ error: Errno) {
    unwatch()
    if !isInEpisode {
      isInEpisode = true
      notice(.paused(error))
    }
    loop.schedule(after: Self.pause) { [weak self] in self?.watch() }
  }

  private func endEpisode() {
    isInEpisode = false
    notice(.resumed)
  }
}

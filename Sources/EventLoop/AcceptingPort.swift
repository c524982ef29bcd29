import CLinux
import Glibc
import Synchronization
import SystemPackage

/// One loop's end of a listener.
final class AcceptingPort: LoopService {
  /// Connections taken in one turn; the socket stays readable for the rest.
  private static let batch = 64
  /// How long nothing is accepted after descriptors or memory ran out.
  private static let pause = Duration.milliseconds(100)

  /// Nil once closed.
  private var socket: ListeningSocket?
  let loop: EventLoop
  private let mayUseReserve: Bool
  private let accept: (Channel) -> Void
  private let notice: (ListenerNotice) -> Void
  private var key: UInt64?
  private var isInEpisode = false

  init(
    socket: ListeningSocket, loop: EventLoop, mayUseReserve: Bool,
    accept: @escaping (Channel) -> Void, notice: @escaping (ListenerNotice) -> Void
  ) {
    self.socket = socket
    self.loop = loop
    self.mayUseReserve = mayUseReserve
    self.accept = accept
    self.notice = notice
  }

  func open() {
    guard let socket, key == nil else { return }
    do { key = try loop.addService(self, fd: socket.fd, shared: true) } catch { pause(error) }
  }

  func close() {
    removeService()
    socket = nil
  }

  func loopEnds() {
    close()
  }

  private func removeService() {
    guard let key, let socket else { return }
    loop.removeService(key, fd: socket.fd)
    self.key = nil
  }

  func serviceIsReady() {
    for _ in 0..<Self.batch {
      guard let socket, takeOne(socket) else { return }
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
    removeService()
    if !isInEpisode {
      isInEpisode = true
      notice(.paused(error))
    }
    loop.schedule(after: Self.pause) { [weak self] in self?.open() }
  }

  private func endEpisode() {
    isInEpisode = false
    notice(.resumed)
  }
}

/// The ports of a listener, until it is closed.
final class Ports: Sendable {
  private struct State {
    var isClosed = false
    var ports: [(loop: EventLoop, port: LoopConfined<AcceptingPort>)] = []
  }

  private let state = Mutex(State())

  /// False when the listener was closed before this loop came to it.
  func add(_ port: AcceptingPort) -> Bool {
    let entry = (loop: port.loop, port: LoopConfined(port))
    return state.withLock { state in
      if !state.isClosed { state.ports.append(entry) }
      return !state.isClosed
    }
  }

  func takeAll() -> [(loop: EventLoop, port: LoopConfined<AcceptingPort>)] {
    state.withLock { state in
      defer { state.ports = [] }
      state.isClosed = true
      return state.ports
    }
  }
}

import Addressing
import CLinux
import Glibc
import SystemPackage

/// One connected (or connecting) stream socket on a loop.
///
/// Events are owed only after a call has answered `.wouldBlock`: read and write
/// until then. The descriptor is registered by the first `.wouldBlock` and never
/// again touched in epoll, so what is answered at the first read costs no
/// registration. The loop keeps a channel, and the channel its delegate, until
/// `close` or `reset`.
public final class Channel {
  /// What is known about the socket without asking the kernel.
  struct State: OptionSet {
    let rawValue: UInt16
    /// No read has come up empty since the last event.
    static let mayRead = State(rawValue: 1 << 0)
    /// No write has been refused since the last event.
    static let mayWrite = State(rawValue: 1 << 1)
    static let isRegistered = State(rawValue: 1 << 2)
    static let isClosed = State(rawValue: 1 << 3)
    static let isConnecting = State(rawValue: 1 << 4)
    /// A short read of a TCP socket empties it, unless `readsOn`.
    static let isTCP = State(rawValue: 1 << 5)
    /// An end, an error or urgent data was reported: only an empty read proves emptiness.
    static let readsOn = State(rawValue: 1 << 6)
    static let hasFailed = State(rawValue: 1 << 7)
    static let peerIsV6 = State(rawValue: 1 << 8)
    /// Arrivals are not reported for now.
    static let isMuted = State(rawValue: 1 << 9)
  }

  /// Gets the events. Let go of at `close`.
  public var delegate: (any ChannelDelegate)?
  // Unsafe is proved: used only while the channel is open, and a loop closes all
  // its channels in `shutdown`, before which it keeps itself alive.
  private unowned(unsafe) let loop: EventLoop
  let fd: Int32
  var slot: UInt32 = 0
  var generation: UInt32 = 0
  private var state: State
  /// Zero when the peer is not known.
  private var peerPort: UInt16 = 0
  private var peerHigh: UInt64 = 0
  private var peerLow: UInt64 = 0

  init(loop: EventLoop, fd: Int32, state: State, peer: Endpoint?) {
    self.loop = loop
    self.fd = fd
    self.state = state
    guard let peer else { return }
    peerPort = peer.port.number
    switch peer.address {
    case .v4(let value): peerLow = UInt64(value)
    case .v6(let high, let low):
      (peerHigh, peerLow) = (high, low)
      self.state.insert(.peerIsV6)
    }
  }

  /// The loop that the channel stays on.
  public var eventLoop: EventLoop {
    precondition(!isClosed, "a closed channel is on no loop")
    return loop
  }

  /// Whether `close` or `reset` was called.
  public var isClosed: Bool { state.contains(.isClosed) }

  private var key: UInt64 { UInt64(generation) << 32 | UInt64(slot) << 1 }

  var isRegistered: Bool { state.contains(.isRegistered) }
  /// Whether a write was refused and no event has come since.
  var isWriteBlocked: Bool { !state.contains(.mayWrite) }

  // MARK: - Events

  /// Notes what an event says and passes it on.
  func becomeReady(_ readiness: Readiness) {
    if !readiness.isDisjoint(with: .readOn) {
      state.formUnion([.mayRead, .readsOn])
      if !readiness.isDisjoint(with: [.failed, .hungUp]) { state.formUnion([.hasFailed, .mayWrite]) }
    }
    if readiness.contains(.readable) { state.insert(.mayRead) }
    if readiness.contains(.writable) { state.insert(.mayWrite) }
    delegate?.channelIsReady(self)
  }

  /// Asks for the events of the descriptor, once.
  func register() throws(Errno) {
    guard !state.contains(.isRegistered) else { return }
    try loop.poller.add(fd, key: key)
    state.insert(.isRegistered)
    if state.contains(.isConnecting) { loop.poller.rearm([.readable, .writable], key: key) }
  }

  /// Asks not to be woken for bytes that could not be passed on: a full sink
  /// otherwise costs a wake-up for each segment its source sends.
  func mute() {
    guard state.contains(.isRegistered), !state.contains(.isMuted) else { return }
    state.insert(.isMuted)
    loop.poller.report(false, fd, key: key)
  }

  /// Takes `mute` back; the present state is then reported.
  func unmute() {
    guard state.contains(.isMuted) else { return }
    state.remove(.isMuted)
    loop.poller.report(true, fd, key: key)
  }

  /// The answer to a call that would block: from here on an event is owed.
  private func block(_ interest: Readiness, _ flag: State) -> Errno? {
    state.remove(flag)
    do { try register() } catch { return error }
    loop.poller.rearm(interest, key: key)
    return nil
  }

  // MARK: - Bytes

  /// Reads what has come, at most `buffer.count` bytes, which must not be 0.
  public func read(into buffer: UnsafeMutableRawBufferPointer) -> ReadResult {
    guard !isClosed else { return .failed(.badFileDescriptor) }
    loop.assertOnLoop()
    guard state.contains(.mayRead) else { return blockedRead() }
    let count = retryingInterrupts { recv(fd, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)) }
    if count > 0 {
      if count < buffer.count { noteShortRead() }
      return .bytes(count)
    }
    return count == 0 ? .end : failedRead()
  }

  /// A short read of TCP has emptied the queue (epoll(7), question 9), so the
  /// next read need not ask. Unless an end waits behind the bytes, of which no
  /// further event would tell.
  private func noteShortRead() {
    guard state.contains(.isTCP), !state.contains(.readsOn) else { return }
    state.remove(.mayRead)
    if state.contains(.isRegistered) { loop.poller.rearm(.readable, key: key) }
  }

  private func blockedRead() -> ReadResult {
    block(.readable, .mayRead).map { .failed($0) } ?? .wouldBlock
  }

  private func failedRead() -> ReadResult {
    let error = lastError()
    return error == .wouldBlock ? blockedRead() : .failed(error)
  }

  /// Writes what the socket takes of `bytes`, which must not be empty.
  public func write(_ bytes: UnsafeRawBufferPointer) -> WriteResult {
    guard !isClosed else { return .failed(.badFileDescriptor) }
    loop.assertOnLoop()
    guard state.contains(.mayWrite) else { return blockedWrite() }
    let flags = Int32(MSG_NOSIGNAL | MSG_DONTWAIT)
    let count = retryingInterrupts { send(fd, bytes.baseAddress, bytes.count, flags) }
    guard count >= 0 else { return failedWrite() }
    if count < bytes.count, let error = block(.writable, .mayWrite) { return .failed(error) }
    return .bytes(count)
  }

  private func blockedWrite() -> WriteResult {
    block(.writable, .mayWrite).map { .failed($0) } ?? .wouldBlock
  }

  private func failedWrite() -> WriteResult {
    let error = lastError()
    return error == .wouldBlock ? blockedWrite() : .failed(error)
  }

  /// Moves up to `count` bytes into `pipe`, which is empty.
  func splice(into pipe: Pipe, count: Int) -> ReadResult {
    guard state.contains(.mayRead) else { return blockedRead() }
    let moved = retryingInterrupts { linux_splice(fd, pipe.writeEnd, count) }
    if moved > 0 { return .bytes(moved) }
    return moved == 0 ? .end : failedRead()
  }

  /// Moves up to `count` bytes out of `pipe`, which holds as many.
  func splice(from pipe: Pipe, count: Int) -> WriteResult {
    guard state.contains(.mayWrite) else { return blockedWrite() }
    let moved = retryingInterrupts { linux_splice(pipe.readEnd, fd, count) }
    return moved >= 0 ? .bytes(moved) : failedWrite()
  }

  // MARK: - Life

  /// What became of `EventLoop.connect`. Asked in `channelIsReady`; an accepted channel is connected.
  public func finishConnecting() -> ConnectProgress {
    guard !isClosed else { return .failed(.badFileDescriptor) }
    guard state.contains(.isConnecting) else { return .connected }
    if state.contains(.hasFailed), let error = pendingError() { return .failed(error) }
    guard state.contains(.mayWrite) else { return .pending }
    state.remove(.isConnecting)
    return .connected
  }

  /// Takes SO_ERROR off the socket.
  private func pendingError() -> Errno? {
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length) == 0 else { return lastError() }
    return value == 0 ? nil : Errno(rawValue: value)
  }

  /// Sends the end of the stream behind what was written; reading goes on.
  public func shutdownWrite() {
    guard !isClosed else { return }
    shutdown(fd, Int32(SHUT_WR))
  }

  /// Closes the socket and lets go of the delegate. No event comes after this.
  public func close() {
    guard !isClosed else { return }
    loop.assertOnLoop()
    state.insert(.isClosed)
    loop.channels.remove(self)
    if state.contains(.isRegistered) {
      loop.poller.close(fd, key: key)
    } else {
      _ = Glibc.close(fd)
    }
    delegate = nil
  }

  /// Closes the socket so that the peer gets a reset (SO_LINGER with 0 s) and what was not sent is dropped.
  public func reset() {
    guard !isClosed else { return }
    _ = linux_linger_zero(fd)
    close()
  }

  /// Closes after a failure of the other side: with a reset, unless that would take bytes back.
  func closeAbruptly() {
    guard !isClosed else { return }
    linux_unsent_bytes(fd) > 0 ? close() : reset()
  }

  /// When `channelDeadlinePassed` is to be called, up to 250 ms late; read back rounded up to 100 ms.
  public var deadline: MonotonicTime? {
    get { dueTick == 0 ? nil : loop.time(ofTick: dueTick) }
    set { dueTick = newValue.map { isClosed ? 0 : loop.tick(notBefore: $0) } ?? 0 }
  }

  /// The deadline in ticks of the loop; 0 for none.
  var dueTick: UInt32 {
    get { isClosed ? 0 : loop.channels.dueTick(of: self) }
    set {
      guard !isClosed else { return }
      loop.assertOnLoop()
      loop.setDueTick(newValue, of: self)
    }
  }
}

/// Who is where. The peer of an accepted or dialled channel costs no system call.
extension Channel {
  /// The peer's address; nil for a Unix socket.
  public var remoteEndpoint: Endpoint? {
    guard let port = Port(peerPort) else { return askedEndpoint(getpeername) }
    let isV6 = state.contains(.peerIsV6)
    return Endpoint(isV6 ? .v6(high: peerHigh, low: peerLow) : .v4(UInt32(truncatingIfNeeded: peerLow)), port)
  }

  /// The socket's own address; nil for a Unix socket. Costs getsockname(2).
  public var localEndpoint: Endpoint? { askedEndpoint(getsockname) }

  /// Where the client connected to before NAT led it here; the socket's own
  /// address where it was led nowhere. Nil where connection tracking does not know it.
  ///
  /// - Source: `getorigdst` of the kernel's net/netfilter/nf_conntrack_proto.c.
  public var originalDestination: Endpoint? {
    let family = state.contains(.peerIsV6) ? AF_INET6 : AF_INET
    return askedEndpoint { linux_original_destination($0, family, $1, $2) }
  }

  private func askedEndpoint(
    _ call: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> Endpoint? {
    guard !isClosed else { return nil }
    var address = SocketAddress()
    return address.withMutablePointer({ call(fd, $0, $1) }) == 0 ? address.endpoint : nil
  }

  /// The process at the other end of a Unix socket, as it was when it connected; nil for TCP.
  public var peerCredentials: PeerCredentials? {
    guard !isClosed, !state.contains(.isTCP) else { return nil }
    var pid: pid_t = 0, uid: uid_t = 0, gid: gid_t = 0
    guard linux_peer_credentials(fd, &pid, &uid, &gid) == 0 else { return nil }
    return PeerCredentials(pid: pid, uid: uid, gid: gid)
  }
}

/// Calls again while a signal interrupts the call before it did anything.
func retryingInterrupts(_ call: () -> Int) -> Int {
  while true {
    let result = call()
    if result >= 0 || errno != EINTR { return result }
  }
}

import Addressing
import CLinux
import Glibc
import SystemPackage

/// What a listener is bound to.
public enum BindAddress: Hashable, Sendable, CustomStringConvertible {
  /// An address and a port.
  case tcp(Endpoint)
  /// An address, and a port that the kernel picks.
  case anyPort(IPAddress)
  /// A path, and the mode its socket file gets.
  case unix(path: String, mode: UInt32)

  public var description: String {
    switch self {
    case .tcp(let endpoint): "\(endpoint)"
    case .anyPort(let address): "\(Host.address(address)):0"
    case .unix(let path, _): "unix:\(path)"
    }
  }
}

/// What a listener tells its owner, once an episode.
public enum ListenerNotice: Hashable, Sendable, CustomStringConvertible {
  /// No connection can be taken for want of something; tried again every 100 ms.
  case paused(Errno)
  /// Connections are taken again.
  case resumed

  public var description: String {
    switch self {
    case .paused(let error):
      "cannot accept connections: \(error). New clients wait until others leave; raise the limit on open files."
    case .resumed: "accepting connections again"
    }
  }
}

/// A listening stream socket that any number of loops accept from.
public final class Listener: Sendable {
  private let socket: ListeningSocket
  private let ports: Ports

  private init(_ socket: ListeningSocket) {
    self.socket = socket
    ports = Ports()
  }

  /// Binds and listens; nothing is accepted before `start`.
  ///
  /// A socket file that nobody listens on any more is replaced.
  ///
  /// - Parameters:
  ///   - clientSpeaksFirst: Accept a TCP connection when its first bytes
  ///     have come, or after some seconds without (TCP_DEFER_ACCEPT, tcp(7)). The
  ///     first read then finds them, which saves a registration and a turn (a third
  ///     of the processor time of a denial). Wrong for protocols in which the server greets.
  ///   - scope: What it takes; of no meaning for a Unix socket.
  public static func bind(
    _ address: BindAddress, clientSpeaksFirst: Bool = false, scope: ListenScope = .plain
  ) throws(ListenError) -> Listener {
    let socket = try ListeningSocket(binding: address, scope: scope)
    if clientSpeaksFirst { socket.deferAccept() }
    return Listener(socket)
  }

  /// Takes over a descriptor that listens already, from systemd or from another network namespace.
  public static func adopting(_ fd: Int32) -> Listener {
    _ = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)
    return Listener(ListeningSocket(fd: fd, path: nil, isOwn: false))
  }

  /// The listening descriptor, which stays the listener's.
  public var descriptor: Int32 { socket.fd }

  /// The address bound to, with the port that the kernel picked; nil for a Unix socket.
  public var boundEndpoint: Endpoint? {
    var address = SocketAddress()
    let result = address.withMutablePointer { getsockname(socket.fd, $0, $1) }
    return result == 0 ? address.endpoint : nil
  }

  /// Starts to accept on each of `loops`; a connection stays on the loop that took it.
  ///
  /// - Parameters:
  ///   - mayUseReserve: Whether `EventLoop.descriptorCeiling` is not meant for its connections.
  ///   - accept: Called on that loop.
  ///   - notice: Called on any of the loops.
  public func start(
    on loops: [EventLoop], mayUseReserve: Bool = false,
    accept: @escaping @Sendable (Channel) -> Void,
    notice: @escaping @Sendable (ListenerNotice) -> Void = { _ in }
  ) {
    for loop in loops {
      loop.submit { [socket, ports] in
        let port = AcceptingPort(
          socket: socket, loop: loop, ports: ports, mayUseReserve: mayUseReserve, accept: accept,
          notice: notice)
        ports.add(port)
      }
    }
  }

  /// Stops accepting on every loop and removes the socket's file. Connections stay;
  /// the descriptor is closed when the last loop and this object have let go of it.
  public func close() {
    socket.stop()
    ports.close()
  }
}

/// The descriptor of a listener, closed when the last loop has let go of it.
final class ListeningSocket: Sendable {
  /// In connections; the kernel holds it to net.core.somaxconn.
  private static let backlog: Int32 = 4096

  let fd: Int32
  let isTCP: Bool
  private let path: String?
  private let isOwn: Bool

  init(fd: Int32, path: String?, isOwn: Bool) {
    self.isOwn = isOwn
    self.fd = fd
    self.path = path
    isTCP = linux_socket_protocol(fd) == Int32(IPPROTO_TCP)
  }

  convenience init(binding address: BindAddress, scope: ListenScope = .plain) throws(ListenError) {
    let socketAddress = try address.socketAddress
    let fd = linux_stream_socket(socketAddress.family)
    guard fd >= 0 else { throw ListenError(address, lastError()) }
    self.init(fd: fd, path: address.path, isOwn: true)
    if case .unix(let path, let mode) = address {
      try bindUnix(address, socketAddress, path, mode)
    } else {
      setTCPOptions(socketAddress.family)
      try scope.apply(to: fd, socketAddress.family, of: address)
      try check(socketAddress.withPointer { Glibc.bind(fd, $0, $1) }, address)
    }
    try check(listen(fd, Self.backlog), address)
  }

  deinit {
    _ = Glibc.close(fd)
  }

  private func check(_ result: Int32, _ address: BindAddress) throws(ListenError) {
    guard result == 0 else { throw ListenError(address, lastError()) }
  }

  /// Accepted sockets inherit TCP_NODELAY, so it costs no call for each of them.
  private func setTCPOptions(_ family: Int32) {
    _ = linux_set_flag(fd, SOL_SOCKET, SO_REUSEADDR)
    _ = linux_set_flag(fd, Int32(IPPROTO_TCP), TCP_NODELAY)
    if family == AF_INET6 { _ = linux_set_flag(fd, Int32(IPPROTO_IPV6), Int32(IPV6_V6ONLY)) }
  }

  func deferAccept() {
    // In seconds, after which a silent client is accepted all the same and held to the time limits of any other.
    var seconds: Int32 = 5
    setsockopt(fd, Int32(IPPROTO_TCP), TCP_DEFER_ACCEPT, &seconds, socklen_t(MemoryLayout<Int32>.size))
  }

  /// The file never has more rights than `mode`: the mode of the socket is that
  /// of the file that bind(2) makes, less the umask, which chmod(2) then makes up for.
  private func bindUnix(
    _ address: BindAddress, _ socketAddress: SocketAddress, _ path: String, _ mode: UInt32
  ) throws(ListenError) {
    fchmod(fd, mode)
    var result = socketAddress.withPointer { Glibc.bind(fd, $0, $1) }
    if result != 0, errno == EADDRINUSE, try removeStale(address, socketAddress, path) {
      result = socketAddress.withPointer { Glibc.bind(fd, $0, $1) }
    }
    try check(result, address)
    try check(chmod(path, mode), address)
  }

  /// Removes a socket file that refuses connections; anything else at the path stays.
  private func removeStale(
    _ address: BindAddress, _ socketAddress: SocketAddress, _ path: String
  ) throws(ListenError) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
      throw ListenError(address, .fileExists)
    }
    let probe = linux_stream_socket(AF_UNIX)
    guard probe >= 0 else { throw ListenError(address, lastError()) }
    defer { _ = Glibc.close(probe) }
    guard socketAddress.withPointer({ connect(probe, $0, $1) }) != 0, errno == ECONNREFUSED else {
      throw ListenError(address, .addressInUse)
    }
    return unlink(path) == 0
  }

  /// Refuses connections from now on, whoever still holds the descriptor. A
  /// socket that was taken over may be someone else's, too, and goes on.
  func stop() {
    if let path { unlink(path) }
    if isOwn { shutdown(fd, Int32(SHUT_RDWR)) }
  }
}

extension BindAddress {
  fileprivate var path: String? {
    if case .unix(let path, _) = self { path } else { nil }
  }

  fileprivate var socketAddress: SocketAddress {
    get throws(ListenError) {
      switch self {
      case .tcp(let endpoint): return SocketAddress(endpoint)
      case .anyPort(let address): return SocketAddress(address, port: 0)
      case .unix(let path, _):
        guard let address = SocketAddress(path: path) else { throw ListenError(self, .fileNameTooLong) }
        return address
      }
    }
  }
}

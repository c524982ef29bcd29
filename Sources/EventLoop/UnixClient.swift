import CLinux
import Glibc
import SystemPackage

/// Why an exchange over a Unix socket failed.
public enum UnixClientError: Error, Hashable, Sendable {
  /// The path is empty or longer than 107 bytes.
  case badPath
  /// Nobody answers at the path: it does not exist, may not be opened, or refuses.
  case unreachable(Errno)
  /// No whole answer came in time.
  case timedOut
  /// The answer is longer than `UnixClient.largestAnswer`.
  case tooLong
  /// Who answers is neither root nor the caller's own user: not the gate.
  case stranger(userID: UInt32)
  /// The connection broke.
  case failed(Errno)
}

/// The command line's side of a Unix socket. It blocks, so no loop uses it.
public enum UnixClient {
  /// In bytes: more than any answer of the control socket.
  public static let largestAnswer = 64 << 20

  /// Sends `request`, ends the sending side, and reads until the other end closes.
  public static func exchange(
    path: String, request: [UInt8], timeout: Duration
  ) throws(UnixClientError) -> [UInt8] {
    let deadline = MonotonicTime.now() + timeout
    let fd = try connected(to: path, deadline)
    defer { _ = Glibc.close(fd) }
    try checkPeer(of: fd, at: path)
    try send(request, to: fd, deadline)
    shutdown(fd, Int32(SHUT_WR))
    return try answer(from: fd, deadline)
  }

  fileprivate static func connected(to path: String, _ deadline: MonotonicTime) throws(UnixClientError)
    -> Int32
  {
    guard let address = SocketAddress(path: path) else { throw .badPath }
    let fd = linux_stream_socket(AF_UNIX)
    guard fd >= 0 else { throw .failed(lastError()) }
    // A full backlog answers EAGAIN, and poll(2) does not tell when it is full no longer.
    while address.withPointer({ connect(fd, $0, $1) }) != 0 {
      let error = lastError()
      guard error == .wouldBlock || error == .interrupted, MonotonicTime.now() < deadline else {
        _ = Glibc.close(fd)
        throw error == .wouldBlock ? .timedOut : .unreachable(error)
      }
      poll(nil, 0, 10)
    }
    return fd
  }

  /// The kernel's word for who listens (SO_PEERCRED, unix(7)), so that a socket
  /// put in the gate's place is not believed. Root also believes the user who
  /// alone can put one there: a gate that has given up its privileges. So does
  /// everybody where nobody but root can have given that user the place.
  fileprivate static func checkPeer(of fd: Int32, at path: String) throws(UnixClientError) {
    var pid: pid_t = 0, uid: uid_t = 0, gid: gid_t = 0
    guard linux_peer_credentials(fd, &pid, &uid, &gid) == 0 else { throw .failed(lastError()) }
    guard uid == 0 || uid == geteuid() || isPlace(path, of: uid) && (geteuid() == 0 || isGiven(path)) else {
      throw .stranger(userID: uid)
    }
  }

  /// Whether a socket's directory is this user's, and nobody else may write in it.
  private static func isPlace(_ path: String, of user: uid_t) -> Bool {
    let directory = path.lastIndex(of: "/").map { path[..<$0] } ?? "."
    var status = stat()
    guard lstat(directory.isEmpty ? "/" : String(directory), &status) == 0 else { return false }
    return status.st_uid == user && status.st_mode & 0o022 == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether every directory above the socket's is root's, and nobody else may write in it, sticky or not.
  private static func isGiven(_ path: String) -> Bool {
    guard let resolved = realpath(path, nil) else { return false }
    defer { free(resolved) }
    var directories = String(cString: resolved).split(separator: "/").dropLast(2)
    while true {
      var status = stat()
      guard lstat("/" + directories.joined(separator: "/"), &status) == 0, status.st_uid == 0,
        status.st_mode & 0o022 == 0
      else { return false }
      guard directories.popLast() != nil else { return true }
    }
  }

  fileprivate static func send(_ bytes: [UInt8], to fd: Int32, _ deadline: MonotonicTime)
    throws(UnixClientError)
  {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count >= 0 { rest = rest.dropFirst(count) } else { try wait(fd, POLLOUT, lastError(), deadline) }
    }
  }

  private static func answer(from fd: Int32, _ deadline: MonotonicTime) throws(UnixClientError) -> [UInt8] {
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      let count = chunk.withUnsafeMutableBytes { recv(fd, $0.baseAddress, $0.count, 0) }
      if count == 0 { return answer }
      if count < 0 { try wait(fd, POLLIN, lastError(), deadline) }
      answer += chunk.prefix(max(0, count))
      if answer.count > largestAnswer { throw .tooLong }
    }
  }

  /// Waits until the call that failed with `error` is worth another try.
  private static func wait(
    _ fd: Int32, _ events: Int32, _ error: Errno, _ deadline: MonotonicTime
  ) throws(UnixClientError) {
    guard error == .wouldBlock || error == .interrupted else { throw .failed(error) }
    let left = (deadline - MonotonicTime.now()).clampedNanoseconds / 1_000_000
    var entry = pollfd(fd: fd, events: Int16(events), revents: 0)
    guard left > 0, poll(&entry, 1, Int32(clamping: left)) != 0 else { throw .timedOut }
  }
}

/// An answer of many lines that come one after the other, for as long as the other end sends them.
public final class UnixLines {
  private let fd: Int32
  private var bytes: [UInt8] = []

  /// Connects and asks. The sending side stays open: its end would end the answer.
  public init(path: String, request: [UInt8]) throws(UnixClientError) {
    let deadline = MonotonicTime.now() + .seconds(60)
    fd = try UnixClient.connected(to: path, deadline)
    // What throws from here on is closed at its end.
    try UnixClient.checkPeer(of: fd, at: path)
    try UnixClient.send(request, to: fd, deadline)
  }

  deinit { _ = Glibc.close(fd) }

  /// The next line without its newline, however long it takes; nil at the end.
  ///
  /// - Parameter isWanted: Asked ten times a second; nil comes, too, once it says no.
  public func next(while isWanted: (() -> Bool)? = nil) throws(UnixClientError) -> [UInt8]? {
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
        defer { bytes.removeSubrange(...end) }
        return Array(bytes[..<end])
      }
      var entry = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
      if let isWanted {
        guard isWanted() else { return nil }
        guard poll(&entry, 1, 100) > 0 else { continue }
      } else {
        poll(&entry, 1, -1)
      }
      let count = chunk.withUnsafeMutableBytes { recv(fd, $0.baseAddress, $0.count, 0) }
      if count == 0 { return nil }
      if count < 0 {
        let error = lastError()
        guard error == .wouldBlock || error == .interrupted else { throw .failed(error) }
      }
      bytes += chunk.prefix(max(0, count))
      if bytes.count > UnixClient.largestAnswer { throw .tooLong }
    }
  }
}

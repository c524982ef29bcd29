import EventLoop
import Glibc
import SystemPackage

/// Why the control socket cannot be opened.
public struct ControlSocketError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The socket's path.
  public var path: String
  /// What is wrong.
  public var problem: Problem

  /// What can be wrong.
  public enum Problem: Error, Hashable, Sendable {
    /// The path does not fit a socket address (unix(7): 107 bytes).
    case pathTooLong
    /// The directory cannot be made, opened or looked at.
    case directory(Errno)
    /// The directory belongs to another user.
    case foreignDirectory(owner: UInt32)
    /// This directory, the socket's or one above it, can be written by others.
    case openDirectory(String, mode: UInt32)
    /// Something that is no socket stands at the path; a symbolic link too.
    case notASocket
    /// A gate answers at the path, or one is being started there.
    case inUse
    /// The socket cannot be bound.
    case bind(Errno)
  }

  /// Makes an error.
  public init(path: String, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  /// What a listener's error means for this socket.
  init(_ failure: ListenError, at path: String) {
    switch failure.error {
    case .addressInUse: self.init(path: path, .inUse)
    case .fileExists: self.init(path: path, .notASocket)
    case .fileNameTooLong: self.init(path: path, .pathTooLong)
    default: self.init(path: path, .bind(failure.error))
    }
  }

  public var description: String { "the control socket '\(path)' cannot be opened: \(cause). \(remedy)." }

  private var cause: String {
    switch problem {
    case .pathTooLong: "the path is empty or longer than 107 bytes"
    case .directory(let error): "its directory cannot be used: \(error)"
    case .foreignDirectory(let owner): "its directory belongs to user \(owner)"
    case .openDirectory(let directory, let mode):
      "'\(directory)' can be written by others (mode \(String(mode, radix: 8)))"
    case .notASocket: "something that is no socket is there"
    case .inUse: "another gate answers there"
    case .bind(let error): "\(error)"
    }
  }

  private var remedy: String {
    switch problem {
    case .openDirectory(let directory, let mode) where mode & S_ISVTX != 0:
      // Sticky directories are everybody's on purpose: nobody should be told to close /tmp.
      "Put a directory of your own between: --control \(directory)/exitgate/control.sock"
    case .openDirectory(let directory, _):
      "Run 'chmod go-w \(directory)', or choose another path with --control"
    case .notASocket: "Remove it, or choose another path with --control"
    case .inUse: "Stop it, or give this one its own --control and --proxy-listen"
    case .pathTooLong, .directory, .foreignDirectory, .bind: "Choose another path with --control"
    }
  }
}

/// The directory that holds the control socket, held open and locked while the
/// socket is put in place, so that two gates starting at once cannot remove
/// each other's.
struct ControlDirectory: ~Copyable {
  private let descriptor: Int32

  private init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  /// Makes the directory (0700) if it is missing, and refuses one that others own or can write.
  static func locked(of path: String) throws(ControlSocketError) -> ControlDirectory {
    let directory = parentDirectory(of: path)
    do throws(Problem) {
      return try locked(directory)
    } catch {
      throw ControlSocketError(path: path, error)
    }
  }

  private static func locked(_ directory: String) throws(Problem) -> ControlDirectory {
    if mkdir(directory, 0o700) != 0, errno != EEXIST { throw .directory(lastError()) }
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .directory(lastError()) }
    let opened = ControlDirectory(descriptor: descriptor)
    try checkOwner(of: descriptor, at: directory)
    try checkAncestors(of: directory)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw .inUse }
    return opened
  }

  deinit { close(descriptor) }
}

private typealias Problem = ControlSocketError.Problem

private func lastError() -> Errno { Errno(rawValue: errno) }

/// The part before the last slash; `.` when there is none.
private func parentDirectory(of path: String) -> String {
  guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
  let parent = path[..<slash]
  return parent.isEmpty ? "/" : String(parent)
}

private func checkOwner(of descriptor: Int32, at path: String) throws(Problem) {
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { throw .directory(lastError()) }
  guard status.st_uid == geteuid() || status.st_uid == 0 else {
    throw .foreignDirectory(owner: status.st_uid)
  }
  // A sticky directory is no better here: in it anybody may take the path first.
  guard status.st_mode & 0o022 == 0 else { throw .openDirectory(path, mode: status.st_mode & 0o7777) }
}

/// Whoever can write a directory above can swap the one below, unless the
/// sticky bit keeps names to their owners (inode(7)).
private func checkAncestors(of directory: String) throws(Problem) {
  guard let resolved = realpath(directory, nil) else { throw .directory(lastError()) }
  defer { free(resolved) }
  var path = String(cString: resolved)
  while path != "/" {
    path = parentDirectory(of: path)
    var status = stat()
    guard lstat(path, &status) == 0 else { throw .directory(lastError()) }
    guard status.st_mode & 0o022 == 0 || status.st_mode & S_ISVTX != 0 else {
      throw .openDirectory(path, mode: status.st_mode & 0o7777)
    }
  }
}

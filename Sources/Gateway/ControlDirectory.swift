import EventLoop
import Glibc
import SystemPackage

/// Why the control socket cannot be opened: cause and remedy in `description`.
public enum ControlSocketError: Error, Hashable, Sendable {
  /// The path does not fit a socket address (unix(7): 107 bytes).
  case pathTooLong(String)
  /// The directory cannot be made, opened or looked at.
  case directory(String, Errno)
  /// The directory belongs to another user.
  case foreignDirectory(String, owner: UInt32)
  /// The directory, or one above it, can be written by others.
  case openDirectory(String, mode: UInt32)
  /// Something that is no socket stands at the path; a symbolic link too.
  case notASocket(String)
  /// A gate answers at the path.
  case inUse(String)
  /// The socket cannot be bound.
  case bind(String, Errno)
}

extension ControlSocketError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .pathTooLong(let path):
      "the control socket's path '\(path)' is longer than 107 bytes. Choose a shorter one with --control."
    case .directory(let path, let error):
      "the control socket's directory '\(path)' cannot be used: \(error). Create it, or choose another with --control."
    case .foreignDirectory(let path, let owner):
      "the control socket's directory '\(path)' belongs to user \(owner). Choose one of your own with --control."
    case .openDirectory(let path, let mode):
      "'\(path)', on the way to the control socket, can be written by others (mode \(String(mode, radix: 8))). "
        + (mode & S_ISVTX != 0
          ? "Put a directory of your own between: --control \(path)/exitgate/control.sock."
          : "Run 'chmod go-w \(path)', or choose another directory with --control.")
    case .notASocket(let path):
      "'\(path)' exists and is no socket. Remove it, or choose another path with --control."
    case .inUse(let path):
      "another gate answers at '\(path)'. Stop it, or give this one its own --control and --proxy-listen."
    case .bind(let path, let error):
      "the control socket '\(path)' cannot be opened: \(error). Choose another path with --control."
    }
  }

  /// What a listener's error means for this socket.
  init(_ failure: ListenError, at path: String) {
    self =
      switch failure.error {
      case .addressInUse: .inUse(path)
      case .fileExists: .notASocket(path)
      case .fileNameTooLong: .pathTooLong(path)
      default: .bind(path, failure.error)
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
    if mkdir(directory, 0o700) != 0, errno != EEXIST { throw .directory(directory, Errno(rawValue: errno)) }
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .directory(directory, Errno(rawValue: errno)) }
    let opened = ControlDirectory(descriptor: descriptor)
    try checkOwner(of: descriptor, at: directory)
    try checkAncestors(of: directory)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw .inUse(path) }
    return opened
  }

  deinit { close(descriptor) }
}

/// The part before the last slash; `.` when there is none.
private func parentDirectory(of path: String) -> String {
  guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
  let parent = path[..<slash]
  return parent.isEmpty ? "/" : String(parent)
}

private func checkOwner(of descriptor: Int32, at path: String) throws(ControlSocketError) {
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { throw .directory(path, Errno(rawValue: errno)) }
  guard status.st_uid == geteuid() || status.st_uid == 0 else {
    throw .foreignDirectory(path, owner: status.st_uid)
  }
  // A sticky directory is no better here: in it anybody may take the path first.
  guard status.st_mode & 0o022 == 0 else { throw .openDirectory(path, mode: status.st_mode & 0o7777) }
}

/// Whoever can write a directory above can swap the one below, unless the
/// sticky bit keeps names to their owners (inode(7)).
private func checkAncestors(of directory: String) throws(ControlSocketError) {
  guard let resolved = realpath(directory, nil) else { throw .directory(directory, Errno(rawValue: errno)) }
  defer { free(resolved) }
  var path = String(cString: resolved)
  while path != "/" {
    path = parentDirectory(of: path)
    var status = stat()
    guard lstat(path, &status) == 0 else { throw .directory(path, Errno(rawValue: errno)) }
    guard status.st_mode & 0o022 == 0 || status.st_mode & S_ISVTX != 0 else {
      throw .openDirectory(path, mode: status.st_mode & 0o7777)
    }
  }
}

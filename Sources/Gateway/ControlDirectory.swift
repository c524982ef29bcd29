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
    case .notASocket: "something that is no socket is there"
    case .inUse: "another gate answers there"
    case .bind(let error): "\(error)"
    }
  }

  private var remedy: String {
    switch problem {
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
  /// The directory, the socket's or one above it, that others can write.
  let loose: LooseDirectory?

  private init(descriptor: Int32, loose: LooseDirectory?) {
    self.descriptor = descriptor
    self.loose = loose
  }

  /// Makes the directory (0700) if it is missing, and refuses one of another user.
  ///
  /// In one that others can write they can take the socket away or put their
  /// own in its place; the command line sees the latter by who answers, so it
  /// is worth a warning, not a refusal.
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
    var loose: LooseDirectory?
    do throws(Problem) {
      loose = try checkOwner(of: descriptor, at: directory)
      if loose == nil { loose = try looseAncestor(of: directory) }
    } catch {
      close(descriptor)
      throw error
    }
    let opened = ControlDirectory(descriptor: descriptor, loose: loose)
    guard opened.lock() else { throw .inUse }
    return opened
  }

  /// Waits for another that puts its socket into the same directory, which takes no time; and for a process
  /// that was forked meanwhile to become another, which until then holds what is open here.
  private func lock() -> Bool {
    for _ in 0..<200 {
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
      usleep(10_000)
    }
    return false
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

/// A directory in which others can replace what is not theirs.
struct LooseDirectory: Hashable, Sendable {
  var path: String
  var mode: UInt32

  /// What a person should hear of it.
  var warning: String {
    let isSticky = mode & S_ISVTX != 0
    return "others can write '\(path)' (mode \(String(mode, radix: 8))), on the way to the control socket. "
      // Sticky directories are everybody's on purpose: nobody should be told to close /tmp.
      + (isSticky ? "Put a directory of your own between." : "Run 'chmod go-w \(path)'.")
  }
}

private func checkOwner(of descriptor: Int32, at path: String) throws(Problem) -> LooseDirectory? {
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { throw .directory(lastError()) }
  guard status.st_uid == geteuid() || status.st_uid == 0 else {
    throw .foreignDirectory(owner: status.st_uid)
  }
  // A sticky directory is no better here: in it anybody may take the path first.
  return status.st_mode & 0o022 == 0 ? nil : LooseDirectory(path: path, mode: status.st_mode & 0o7777)
}

/// Whoever can write a directory above can swap the one below, unless the
/// sticky bit keeps names to their owners (inode(7)).
private func looseAncestor(of directory: String) throws(Problem) -> LooseDirectory? {
  guard let resolved = realpath(directory, nil) else { throw .directory(lastError()) }
  defer { free(resolved) }
  var path = String(cString: resolved)
  while path != "/" {
    path = parentDirectory(of: path)
    var status = stat()
    guard lstat(path, &status) == 0 else { throw .directory(lastError()) }
    if status.st_mode & 0o022 != 0, status.st_mode & S_ISVTX == 0 {
      return LooseDirectory(path: path, mode: status.st_mode & 0o7777)
    }
  }
  return nil
}

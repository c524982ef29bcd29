import Glibc
import SystemPackage

/// Why a file of rules cannot be changed, or kept from others.
public struct RuleFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What could not be written: the file, or the lock beside it.
  public let path: String
  /// The number of errno(3), as open(2), flock(2) or rename(2) left it.
  public let code: Int32
  /// Whether the file itself is a symbolic link, which is not changed.
  public var isLink = false

  /// Without a stop: the remedy may go on.
  public var description: String {
    if isLink { return "'\(path)' \(RuleFile.linkCause). \(RuleFile.linkRemedy)" }
    return "'\(path)' cannot be written: \(String(cString: strerror(code))). Give this user the right to"
  }
}

/// A file of rules that exitgate changes. At every moment, also after a loss of power, it is there as one text whole.
///
/// It is no symbolic link: whoever changes it locks it and puts another in its place, and two who come by different
/// names would do both beside each other.
public struct RuleFile: Sendable {
  static let linkCause = "is a symbolic link, and exitgate changes this file"
  static let linkRemedy = "Name the file that it leads to"

  /// Where it lies.
  public let path: String

  public init(_ path: String) { self.path = path }

  /// Whether a link is in its place.
  public var isLink: Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  /// - Throws: Where a link is in its place.
  func check() throws(RuleFileError) {
    if isLink { throw RuleFileError(path: path, code: ELOOP, isLink: true) }
  }

  /// Puts a text in its place. Mode and, where this user may give it away, owner stay; what a group may do, no other
  /// group may.
  ///
  /// - Parameter mode: Of a file that is new.
  /// - Throws: `RuleFileError`; the file is then as it was.
  public func replace(with text: String, mode: mode_t) throws(RuleFileError) {
    try check()
    let temporary = "\(path).new"
    unlink(temporary)
    let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw failure(errno) }
    takeOver(file, else: mode)
    var code = write(text, to: file)
    close(file)
    if code == 0, rename(temporary, path) != 0 { code = errno }
    guard code == 0 else {
      unlink(temporary)
      throw failure(code)
    }
    keepName()
  }

  /// Takes it away.
  public func remove() throws(RuleFileError) {
    try check()
    guard unlink(path) == 0 else { throw failure(errno) }
    keepName()
  }

  private func takeOver(_ file: Int32, else mode: mode_t) {
    var old = stat()
    guard lstat(path, &old) == 0, old.st_mode & S_IFMT == S_IFREG else {
      _ = fchmod(file, mode)
      return
    }
    if fchown(file, old.st_uid, old.st_gid) != 0 { _ = fchown(file, uid_t.max, old.st_gid) }
    var new = stat()
    guard fstat(file, &new) == 0 else { return }
    let group: mode_t = new.st_gid == old.st_gid ? 0 : 0o070
    _ = fchmod(file, old.st_mode & 0o777 & ~group)
  }

  /// - Returns: The number of errno(3), 0 for success.
  private func write(_ text: String, to file: Int32) -> Int32 {
    do { _ = try FileDescriptor(rawValue: file).writeAll(text.utf8) } catch {
      return (error as? Errno)?.rawValue ?? EIO
    }
    return fsync(file) == 0 ? 0 : errno
  }

  /// Has the directory say by which name the file goes, also after a loss of power: it is changed already, so a
  /// directory that cannot be asked for that is no failure.
  private func keepName() {
    let above = parent(of: path)
    let directory = open(above.isEmpty ? "." : above, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { return }
    fsync(directory)
    close(directory)
  }

  private func failure(_ code: Int32) -> RuleFileError { RuleFileError(path: path, code: code) }
}

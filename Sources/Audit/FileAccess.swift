import Glibc
import SystemPackage

/// Opening files that nobody else may have prepared or may write to.
enum FileAccess {
  /// Opens a plain file that only its owner can write, and creates it with mode
  /// 0600 where `flags` say so.
  ///
  /// - Throws: `AuditError`; links and devices are never opened.
  static func open(_ path: String, flags: Int32) throws(AuditError) -> SystemLogFile {
    if let status = status(ofLink: path), !status.isRegular {
      throw AuditError(path: path, problem: .notRegularFile)
    }
    let descriptor = Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
    guard descriptor >= 0 else {
      throw AuditError(path: path, problem: .failed(operation: "open", lastErrno()))
    }
    let file = SystemLogFile(descriptor: descriptor)
    try check(file, path: path)
    return file
  }

  /// Opens a plain file to read it, whoever owns it.
  ///
  /// - Throws: `AuditError`; links and devices are never opened.
  static func openForReading(_ path: String) throws(AuditError) -> SystemLogFile {
    if let status = status(ofLink: path), !status.isRegular {
      throw AuditError(path: path, problem: .notRegularFile)
    }
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw AuditError(path: path, problem: .failed(operation: "open", lastErrno()))
    }
    return SystemLogFile(descriptor: descriptor)
  }

  private static func check(_ file: SystemLogFile, path: String) throws(AuditError) {
    let status: FileStatus
    do { status = try file.status() } catch {
      throw AuditError(path: path, problem: .failed(operation: "read the status", error))
    }
    guard status.isRegular, status.links <= 1 else { throw AuditError(path: path, problem: .notRegularFile) }
    try checkOwner(status, path: path)
    guard !status.isLoose else {
      throw AuditError(path: path, problem: .writableByOthers(mode: status.mode & 0o7777))
    }
  }

  private static func checkOwner(_ status: FileStatus, path: String) throws(AuditError) {
    guard status.userID == geteuid() || status.userID == 0 else {
      throw AuditError(path: path, problem: .foreignOwner(userID: status.userID))
    }
  }

  /// Checks the directory that holds `path`, and makes it (mode 0700) with what
  /// is missing above it.
  ///
  /// A directory that others can write is taken, for a person may have no
  /// better one; `AuditOptions.warning` says what that costs.
  static func prepareDirectory(of path: String) throws(AuditError) {
    let directory = parent(of: path)
    guard let status = status(following: directory) else {
      try prepareDirectory(of: directory)
      guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
        throw AuditError(path: directory, problem: .failed(operation: "make the directory", lastErrno()))
      }
      return
    }
    guard status.isDirectory else { throw AuditError(path: directory, problem: .notDirectory) }
    try checkOwner(status, path: directory)
  }

  /// The mode of the directory of `path` where others can take its files away:
  /// it is writable by them and not sticky, as `/tmp` is.
  static func looseMode(ofDirectoryOf path: String) -> UInt32? {
    guard let status = status(following: parent(of: path)), status.isLoose, !status.isSticky else {
      return nil
    }
    return status.mode & 0o7777
  }

  /// The directory part of a path; `.` for a bare name.
  static func parent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The last part of a path.
  static func name(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return String(path[path.utf8.index(after: slash)...])
  }

  /// What lstat(2) says; nil when there is nothing.
  static func status(ofLink path: String) -> FileStatus? {
    var info = stat()
    return lstat(path, &info) == 0 ? FileStatus(info) : nil
  }

  private static func status(following path: String) -> FileStatus? {
    var info = stat()
    return stat(path, &info) == 0 ? FileStatus(info) : nil
  }

  /// The names in a directory, in no order; none when there is no such directory.
  ///
  /// - Throws: `AuditError` when it cannot be read.
  static func names(in directory: String) throws(AuditError) -> [String] {
    guard let stream = opendir(directory) else {
      if lastErrno() == .noSuchFileOrDirectory { return [] }
      throw AuditError(path: directory, problem: .failed(operation: "list", lastErrno()))
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
        String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
      }
      names.append(name)
    }
    return names
  }

  /// Writes a whole small file under a temporary name and puts it in place of
  /// `path` at once.
  static func replace(_ path: String, with bytes: [UInt8]) throws(AuditError) {
    let temporary = path + ".new"
    _ = unlink(temporary)
    let file = try open(temporary, flags: O_WRONLY | O_CREAT | O_EXCL)
    try writeAll(bytes, to: file, path: temporary)
    guard rename(temporary, path) == 0 else {
      throw AuditError(path: path, problem: .failed(operation: "replace", lastErrno()))
    }
  }

  /// Writes all of `bytes` and has the disk take them.
  static func writeAll(_ bytes: [UInt8], to file: SystemLogFile, path: String) throws(AuditError) {
    do throws(Errno) {
      try file.writeAll(bytes)
      try file.synchronize()
    } catch {
      throw AuditError(path: path, problem: .failed(operation: "write", error))
    }
  }

  /// The content of a small file; nil when it is not there.
  ///
  /// - Throws: `AuditError`, also for a file that others can write.
  static func read(_ path: String, limit: Int) throws(AuditError) -> [UInt8]? {
    guard status(ofLink: path) != nil else { return nil }
    let file = try open(path, flags: O_RDONLY)
    do { return try file.read(at: 0, count: limit) } catch {
      throw AuditError(path: path, problem: .failed(operation: "read", error))
    }
  }
}

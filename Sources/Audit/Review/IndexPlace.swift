import Glibc
import SystemPackage

/// The file that holds the index of a log.
public struct IndexPlace: Sendable {
  /// `PATH.index`, its directory without links; or a file of the reader's own.
  public let path: String

  /// The directory that it is in.
  public var directory: String { FileAccess.parent(of: path) }

  /// In bytes, what stays free beside an index: the log needs the room more.
  public static let reserve: Int64 = 16 << 20

  /// The place for the log at `log`.
  ///
  /// - Throws: `AuditError` when the log's directory cannot be found.
  public init(besideLogAt log: String) throws(AuditError) {
    let directory = FileAccess.parent(of: log)
    guard let real = realpath(directory, nil) else {
      throw AuditError(path: directory, problem: .failed(operation: "find", lastErrno()))
    }
    defer { free(real) }
    let parent = String(cString: real)
    path = (parent == "/" ? "" : parent) + "/" + FileAccess.name(of: log) + ".index"
  }

  /// The place of one who reads somebody else's log: `exitgate/NAME-HASH.index` under `$XDG_CACHE_HOME`, else
  /// `/var/cache` for root and `~/.cache` for others. Beside the log it would be in its owner's hands.
  ///
  /// - Throws: `AuditError` when the log cannot be found, or the directory is not the reader's own.
  public init(ofReaderOfLogAt log: String) throws(AuditError) {
    let beside = try IndexPlace(besideLogAt: log)
    let hash = Array(beside.path.utf8).withUnsafeBytes { "\(RecordHash(hashing: $0))".prefix(16) }
    let directory = Self.cache + "/exitgate"
    path = "\(directory)/\(FileAccess.name(of: log))-\(hash).index"
    try FileAccess.prepareDirectory(of: path)
    if let mode = FileAccess.looseMode(ofDirectoryOf: path) {
      throw AuditError(path: directory, problem: .writableByOthers(mode: mode))
    }
  }

  /// - Source: XDG Base Directory Specification 0.8; hier(7).
  private static var cache: String {
    if let own = getenv("XDG_CACHE_HOME").map({ String(cString: $0) }), own.hasPrefix("/") { return own }
    if geteuid() == 0 { return "/var/cache" }
    return (getenv("HOME").map { String(cString: $0) } ?? "") + "/.cache"
  }

  /// In bytes, how much may be written beside the reserve (statvfs(3)); nil where nobody can say.
  public var room: Int64? {
    var info = statvfs()
    guard statvfs(FileAccess.parent(of: path), &info) == 0 else { return nil }
    let free = Int64(
      clamping: UInt64(info.f_bavail).multipliedReportingOverflow(by: UInt64(info.f_frsize)).partialValue)
    return max(0, free - Self.reserve)
  }

  /// The first bytes of the file, which is made with mode 0600 where there is none.
  ///
  /// - Throws: `AuditError`: a link, a device, a file of somebody else or one that others can write is not touched.
  public func prepare(reading count: Int) throws(AuditError) -> [UInt8] {
    let file = try FileAccess.open(path, flags: O_RDWR | O_CREAT)
    let status: FileStatus, bytes: [UInt8]
    do throws(Errno) { (status, bytes) = (try file.status(), try file.read(at: 0, count: count)) } catch {
      throw AuditError(path: path, problem: .failed(operation: "read", error))
    }
    guard status.userID == geteuid() else {
      throw AuditError(path: path, problem: .foreignOwner(userID: status.userID))
    }
    return bytes
  }

  /// Removes the file, and what SQLite keeps beside it.
  public func remove() {
    for suffix in ["", "-wal", "-shm", "-journal"] { _ = unlink(path + suffix) }
  }
}

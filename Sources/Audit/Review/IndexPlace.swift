import Glibc
import SystemPackage

/// The file beside a log that holds its index.
public struct IndexPlace: Sendable {
  /// `PATH.index`, its directory without links.
  public let path: String

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

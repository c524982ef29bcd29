import Glibc
import SystemPackage

/// What the log does to its file: the seam at which tests let writes fail.
protocol LogFile: AnyObject, Sendable {
  /// Appends; answers how many bytes were taken, which may be fewer.
  func write(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Int
  /// Cuts the file to `size` bytes.
  func truncate(to size: Int64) throws(Errno)
  /// Has the disk take what the kernel has (fdatasync(2)).
  func synchronize() throws(Errno)
  /// The file's size in bytes and its identity.
  func status() throws(Errno) -> FileStatus
}

extension LogFile {
  /// Appends all of `bytes`, in as many writes as it takes.
  ///
  /// - Throws: the error of the write that failed; some may have been written.
  func writeAll(_ bytes: [UInt8]) throws(Errno) {
    let failure = bytes.withUnsafeBytes { buffer -> Errno? in
      var rest = buffer[...]
      while !rest.isEmpty {
        do throws(Errno) {
          let written = try write(UnsafeRawBufferPointer(rebasing: rest))
          guard written > 0 else { return .ioError }
          rest = rest.dropFirst(written)
        } catch {
          guard error == .interrupted else { return error }
        }
      }
      return nil
    }
    if let failure { throw failure }
  }
}

/// What fstat(2) says, as far as the log cares.
struct FileStatus: Hashable, Sendable {
  var size: Int64
  var device: UInt64
  var inode: UInt64
  var mode: UInt32
  var userID: UInt32
  var links: UInt64
  /// When the content changed last (`st_mtim`), in nanoseconds since 1970.
  var modified: Int64
  /// When content, name or mode changed last (`st_ctim`), in nanoseconds since 1970.
  var changed: Int64

  init(_ info: stat) {
    size = Int64(info.st_size)
    device = UInt64(info.st_dev)
    inode = UInt64(info.st_ino)
    mode = UInt32(info.st_mode)
    userID = info.st_uid
    links = UInt64(info.st_nlink)
    modified = Self.nanoseconds(info.st_mtim)
    changed = Self.nanoseconds(info.st_ctim)
  }

  private static func nanoseconds(_ time: timespec) -> Int64 {
    Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  var isRegular: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFREG) }
  var isDirectory: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFDIR) }
  var isSticky: Bool { mode & UInt32(S_ISVTX) != 0 }
  /// Whether group or others may write.
  var isLoose: Bool { mode & 0o022 != 0 }
  func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}

/// An open file, closed with its last reference.
final class SystemLogFile: LogFile {
  let descriptor: Int32

  init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  deinit {
    _ = Glibc.close(descriptor)
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Int {
    let written = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
    guard written >= 0 else { throw lastErrno() }
    return written
  }

  func truncate(to size: Int64) throws(Errno) {
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw lastErrno() }
  }

  func synchronize() throws(Errno) {
    guard fdatasync(descriptor) == 0 else { throw lastErrno() }
  }

  func status() throws(Errno) -> FileStatus {
    var info = stat()
    guard fstat(descriptor, &info) == 0 else { throw lastErrno() }
    return FileStatus(info)
  }

  /// Reads up to `count` bytes from `offset` on; fewer at the end of the file.
  func read(at offset: Int64, count: Int) throws(Errno) -> [UInt8] {
    var failure: Errno?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while initialized < count {
        let taken = pread(
          descriptor, buffer.baseAddress.map { $0 + initialized }, count - initialized,
          off_t(offset) + off_t(initialized))
        if taken < 0, errno == EINTR { continue }
        if taken < 0 { failure = lastErrno() }
        guard taken > 0 else { return }
        initialized += taken
      }
    }
    if let failure { throw failure }
    return bytes
  }
}

/// The error of the system call that just failed.
func lastErrno() -> Errno { Errno(rawValue: errno) }

import Glibc
import SystemPackage

/// A small configuration file of the system, read whole.
enum BoundedFile {
  /// Reads the first `limit` bytes of a file.
  ///
  /// - Throws: `Errno` of open(2) or read(2).
  static func read(_ path: String, limit: Int) throws(Errno) -> [UInt8] {
    do {
      let file = try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec, .nonBlocking])
      return try file.closeAfter { try readAll(file, limit: limit) }
    } catch let error as Errno {
      throw error
    } catch {
      throw .ioError
    }
  }

  private static func readAll(_ file: FileDescriptor, limit: Int) throws -> [UInt8] {
    var content: [UInt8] = []
    while content.count < limit {
      let room = min(limit - content.count, 64 * 1024)
      let chunk = try [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
        count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
      }
      if chunk.isEmpty { break }
      content += chunk
    }
    return content
  }
}

/// What tells that a file is not the one that was read.
struct FileStamp: Hashable, Sendable {
  private let device: UInt64, inode: UInt64, size: Int64, seconds: Int, nanoseconds: Int

  /// The file at `path` as it is now; nil when there is none.
  init?(_ path: String) {
    guard let stat = try? Stat(FilePath(path)) else { return nil }
    device = UInt64(truncatingIfNeeded: stat.deviceID.rawValue)
    inode = UInt64(truncatingIfNeeded: stat.inode.rawValue)
    size = Int64(stat.size)
    seconds = stat.st_mtim.tv_sec
    nanoseconds = stat.st_mtim.tv_nsec
  }
}

import Glibc
import SystemPackage

/// Why a file is not read.
struct SafeFileError: Error {
  var cause: String
  var remedy: String
  /// Whether there is nothing under this name.
  var isMissing = false
}

/// A file that was read whole.
struct SafeFile {
  var bytes: [UInt8]
  /// Device and inode, by which the same file is known under two names.
  var identity: Identity

  struct Identity: Hashable {
    var device: UInt64
    var inode: UInt64
  }

  /// Reads a regular file of at most `limit` bytes that not everybody may
  /// write; a symbolic link is followed, and its target is what is checked.
  static func read(_ path: String, limit: Int = Composer.sizeLimit) throws(SafeFileError) -> SafeFile {
    guard !path.utf8.contains(0) else {
      throw SafeFileError(cause: "the path holds a NUL byte", remedy: "Name a file")
    }
    do {
      // Not blocking: opening a FIFO must not wait for its writer.
      let descriptor = try FileDescriptor.open(
        FilePath(path), .readOnly, options: [.closeOnExec, .nonBlocking])
      return try descriptor.closeAfter { try read(descriptor, named: path, limit: limit) }
    } catch let error as SafeFileError {
      throw error
    } catch {
      throw unreadable(path, (error as? Errno) ?? .ioError)
    }
  }

  private static func read(_ descriptor: FileDescriptor, named path: String, limit: Int) throws -> SafeFile {
    var status = stat()
    guard fstat(descriptor.rawValue, &status) == 0 else { throw Errno(rawValue: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw SafeFileError(cause: "\(quoted(path)) is not a regular file", remedy: "Name a file")
    }
    guard status.st_mode & S_IWOTH == 0 else {
      throw SafeFileError(
        cause: "everybody may write \(quoted(path))",
        remedy: "Run 'chmod o-w' on it, after a look at what it says")
    }
    let bytes = try readAll(descriptor, limit: limit)
    guard bytes.count <= limit else {
      throw SafeFileError(
        cause: "\(quoted(path)) is larger than \(limit >> 10) KiB",
        remedy: "Split it and name the parts under 'include'")
    }
    return SafeFile(
      bytes: bytes, identity: Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)))
  }

  /// Everything, or `limit` bytes and one more.
  private static func readAll(_ descriptor: FileDescriptor, limit: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    // In bytes; a page or more, so that a policy takes a few reads.
    let chunk = 65_536
    while bytes.count <= limit {
      let piece = try [UInt8](unsafeUninitializedCapacity: chunk) { buffer, count in
        count = try descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
      }
      guard !piece.isEmpty else { break }
      bytes += piece.prefix(limit + 1 - bytes.count)
    }
    return bytes
  }
}

private func unreadable(_ path: String, _ error: Errno) -> SafeFileError {
  switch error {
  case .noSuchFileOrDirectory, .notDirectory:
    SafeFileError(
      cause: "there is no file \(quoted(path))",
      remedy: "Check the path; relative ones count from the file that names them",
      isMissing: true)
  case .permissionDenied:
    SafeFileError(
      cause: "\(quoted(path)) may not be read by this user",
      remedy: "Give the user who runs exitgate the right to read it")
  default:
    SafeFileError(cause: "\(quoted(path)) cannot be read (\(error))", remedy: "Name a readable file")
  }
}

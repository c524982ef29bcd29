import Glibc
import SystemPackage

/// What a file of a log was when it was looked at: while its stamp is the same, so is its content.
public struct FileStamp: Hashable, Sendable {
  /// Its number in the file system, which it keeps when it is set aside.
  public var inode: UInt64
  /// In bytes.
  public var size: Int64
  /// When its content changed last, in nanoseconds since 1970.
  public var modified: Int64
  /// When its content or its name changed last, in nanoseconds since 1970; nobody can set it back.
  public var changed: Int64

  /// Makes a stamp.
  public init(inode: UInt64, size: Int64, modified: Int64, changed: Int64) {
    (self.inode, self.size, self.modified, self.changed) = (inode, size, modified, changed)
  }
}

extension LogExtent {
  /// Of the whole file, from before anything of it was read.
  public var stamp: FileStamp {
    FileStamp(
      inode: identity.inode, size: identity.size, modified: identity.modified, changed: identity.changed)
  }

  /// Whether the file belongs to the user who runs this.
  public var isOwn: Bool { identity.userID == geteuid() }

  /// Another part of the same file.
  public func part(_ range: Range<Int64>) -> LogExtent {
    LogExtent(segments: segments, path: path, identity: identity, range: range, isLast: isLast)
  }

  /// The hash of the first line, by which a file is known again under whatever name and number; nil while there is none.
  ///
  /// - Throws: `AuditError` when the file cannot be read.
  public func head() throws(AuditError) -> RecordHash? {
    guard let line = try firstLine() else { return nil }
    return line.withUnsafeBytes { RecordHash(hashing: $0) }
  }

  /// The first record; nil while there is none.
  ///
  /// - Throws: `AuditError` when the file cannot be read.
  public func beginning() throws(AuditError) -> LogRecord? {
    guard let line = try firstLine() else { return nil }
    return try? LogRecord(LogLine(file: path, number: 1, bytes: line))
  }

  private func firstLine() throws(AuditError) -> [UInt8]? {
    guard let file = try open() else { return nil }
    do throws(Errno) {
      let bytes = try file.read(at: 0, count: SealedLine.maximumLength + 1)
      guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
      return Array(bytes[..<end])
    } catch {
      throw AuditError(path: path, problem: .failed(operation: "read", error))
    }
  }

  /// In bytes, how much before a place is hashed: the last record's own hash, which the chain leads to, and more.
  private static let markLength: Int64 = 1024

  /// The hashes of what stands right before each of `places`.
  ///
  /// - Returns: nil when the file ends before one of them, or is gone.
  /// - Throws: `AuditError` when the file cannot be read.
  public func marks(before places: [Int64]) throws(AuditError) -> [RecordHash]? {
    guard let file = try open() else { return nil }
    var marks: [RecordHash] = []
    for place in places {
      let start = max(0, place - Self.markLength)
      do throws(Errno) {
        let bytes = try file.read(at: start, count: Int(place - start))
        guard bytes.count == place - start else { return nil }
        marks.append(bytes.withUnsafeBytes { RecordHash(hashing: $0) })
      } catch {
        throw AuditError(path: path, problem: .failed(operation: "read", error))
      }
    }
    return marks
  }
}

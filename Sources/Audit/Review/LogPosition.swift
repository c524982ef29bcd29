import Policy
import SystemPackage

/// A place in a log: right behind one record.
public struct LogPosition: Hashable, Sendable {
  /// The number of that record.
  public var sequence: UInt64
  /// Its hash.
  public var hash: RecordHash
  /// The name that its file had, without the directory.
  public var file: String
  /// In bytes, where in the file it ends, its line end included.
  public var offset: Int64

  /// Makes a position.
  public init(sequence: UInt64, hash: RecordHash, file: String, offset: Int64) {
    (self.sequence, self.hash, self.file, self.offset) = (sequence, hash, file, offset)
  }

  /// The position behind a line; nil for what is no record.
  public init?(behind line: LogLine) {
    guard let sealed = SealedLine(line.bytes) else { return nil }
    self.init(
      sequence: sealed.sequence, hash: sealed.stated, file: FileAccess.name(of: line.file), offset: line.end)
  }
}

/// How a log goes on behind a position that was noted earlier.
public enum LogContinuation: Hashable, Sendable {
  /// The record stands where it stood, whatever its file is called by now.
  case found
  /// Its file was taken away, and what followed up to before record `first`.
  case gone(first: UInt64)
  /// Where the record belongs stands another one: the log was cut off, or written anew.
  case changed
}

extension LogReader {
  /// Prepares to read what stands behind `position`.
  ///
  /// - Returns: The reader and what it begins with: the next record; else the first that is left; else, of a log that
  ///   was changed, the first record of the file in which the change may lie.
  /// - Throws: `AuditError` when there is no file of that log, or one cannot be read.
  public static func behind(
    _ position: LogPosition, ofLogAt path: String
  ) throws(AuditError) -> (reader: LogReader, continuation: LogContinuation) {
    var reader = try LogReader(path: path)
    let files = try Segments(path: path).existing()
    // Most often it is still called as it was.
    let likely = files.filter { FileAccess.name(of: $0) == position.file }
    for file in likely + files.filter({ FileAccess.name(of: $0) != position.file }) {
      if try reader.begin(behind: position, in: file) { return (reader, .found) }
    }
    var start: String?
    for file in files {
      guard let first = try firstSequence(of: file) else { continue }
      if first > position.sequence, start == nil { return (reader, .gone(first: first)) }
      if first <= position.sequence { start = file }
    }
    if let start { try reader.begin(at: start) }
    return (reader, .changed)
  }

  private static func firstSequence(of file: String) throws(AuditError) -> UInt64? {
    let bytes = try FileAccess.part(of: file, from: 0, count: SealedLine.maximumLength + 1)
    return SealedLine(bytes.prefix { $0 != UInt8(ascii: "\n") })?.sequence
  }

  /// The last whole record of a log; nil when it has none.
  ///
  /// - Throws: `AuditError` when a file cannot be read.
  public static func last(ofLogAt path: String) throws(AuditError) -> LogRecord? {
    for file in try Segments(path: path).existing().reversed() {
      guard let size = FileAccess.status(ofLink: file)?.size, size > 0 else { continue }
      let count = Int64(2 * SealedLine.maximumLength), start = max(0, size - count)
      let bytes = try FileAccess.part(of: file, from: start, count: Int(count))
      for line in bytes.split(separator: UInt8(ascii: "\n")).reversed() {
        let line = LogLine(file: file, number: 0, bytes: Array(line))
        if SealedLine(line.bytes) != nil, let record = try? LogRecord(line) { return record }
      }
    }
    return nil
  }
}

extension LogPosition {
  /// Whether this record's line ends at this offset of `bytes`' end.
  func isEnd(of bytes: [UInt8]) -> Bool {
    guard bytes.last == UInt8(ascii: "\n") else { return false }
    let rest = bytes.dropLast()
    let start = rest.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    guard let sealed = SealedLine(rest[start...]) else { return false }
    return sealed.sequence == sequence && sealed.stated == hash
  }
}

extension FileAccess {
  /// A part of a file, whoever owns it; empty when it is not there.
  static func part(of path: String, from offset: Int64, count: Int) throws(AuditError) -> [UInt8] {
    guard status(ofLink: path) != nil else { return [] }
    let file = try openForReading(path)
    do { return try file.read(at: offset, count: count) } catch {
      throw AuditError(path: path, problem: .failed(operation: "read", error))
    }
  }
}

/// The signed head of a log, as the file beside it holds it: it stands for the chain up to its number.
public struct SignedHead: Hashable, Sendable {
  /// The number of the record that it signs.
  public let sequence: UInt64
  /// The hash of that record.
  public let hash: RecordHash
  /// When it was signed.
  public let time: Timestamp
  /// The file's content, one line of JSON without its end.
  public let text: String

  /// Reads the head of a log; nil where there is none that is signed by the key it names.
  public init?(ofLogAt path: String) {
    guard let bytes = try? FileAccess.part(of: HeadFile.path(of: path), from: 0, count: 4096),
      let file = HeadFile(parsing: bytes), file.isSigned(by: file.key)
    else { return nil }
    (sequence, hash, time) = (file.head.sequence, file.head.hash, file.time)
    text = String(decoding: file.encoded.dropLast(), as: UTF8.self)
  }
}

/// A small file that only its owner can write, replaced as a whole.
public enum OwnFile {
  /// The content; nil when it is not there.
  ///
  /// - Throws: `AuditError`, also for a link and for a file that others can write.
  public static func read(_ path: String, limit: Int) throws(AuditError) -> [UInt8]? {
    try FileAccess.read(path, limit: limit)
  }

  /// Makes the directory of `path`, and what is missing above it, for its owner alone.
  public static func prepareDirectory(of path: String) throws(AuditError) {
    try FileAccess.prepareDirectory(of: path)
  }

  /// Puts `bytes` in its place at once.
  public static func replace(_ path: String, with bytes: [UInt8]) throws(AuditError) {
    try FileAccess.replace(path, with: bytes)
  }
}

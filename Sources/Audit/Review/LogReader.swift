import Glibc
import SystemPackage

/// One line of a log's file.
public struct LogLine: Hashable, Sendable {
  /// The file it stands in.
  public var file: String
  /// Its number in that file, from 1.
  public var number: Int
  /// Its bytes without the end; of a line above 64 KiB only the start.
  public var bytes: [UInt8]
  /// Whether the file ends before the line does.
  public var isTorn = false
  /// In bytes, where in the file it ends, its end included.
  public var end: Int64 = 0

  /// Makes a line.
  public init(file: String, number: Int, bytes: [UInt8], isTorn: Bool = false) {
    (self.file, self.number, self.bytes, self.isTorn) = (file, number, bytes, isTorn)
  }

  /// The line as text that is safe on a terminal: as it is when it is printable
  /// ASCII, as every intact record is; else with `\xNN` for what is not.
  public var text: String {
    if bytes.allSatisfy(isPrintable) { return String(decoding: bytes, as: UTF8.self) }
    return bytes.map { isPrintable($0) ? String(UnicodeScalar($0)) : "\\x" + hexText([$0]) }.joined()
  }
}

/// Reads the lines of a log from its oldest segment on, with memory for one
/// line and one block, whatever the size of the files.
///
/// At the end `next` answers nil; when it is called again later, it goes on with
/// what was written since, also across a rotation.
public struct LogReader {
  /// In bytes, how much is read at once.
  private static let blockSize = 65536

  private let segments: Segments
  private var current: OpenFile?
  private var buffer: [UInt8] = []
  /// Up to where `buffer` was handed out.
  private var consumed = 0

  private struct OpenFile {
    var file: SystemLogFile
    var path: String
    var status: FileStatus
    var offset: Int64 = 0
    var line = 0
  }

  /// Prepares to read the log at `path`.
  ///
  /// - Throws: `AuditError` when there is no file of that log.
  public init(path: String) throws(AuditError) {
    segments = Segments(path: path)
    guard try !segments.existing().isEmpty else {
      throw AuditError(path: path, problem: .failed(operation: "open", .noSuchFileOrDirectory))
    }
  }

  /// The next whole line, or a torn one at the end of a segment that is not the last.
  ///
  /// - Throws: `AuditError` when a file cannot be read.
  public mutating func next() throws(AuditError) -> LogLine? {
    while true {
      if let line = takeLine() { return line }
      if try readBlock() { continue }
      guard let next = try openFollowing() else { return nil }
      // The writer may have gone on with this file before it began the next.
      if try readBlock() { continue }
      let torn = rest
      begin(next)
      if let torn { return torn }
    }
  }

  /// What stands behind the last line end of the last file: a line that is
  /// being written, or that a crash tore.
  public var rest: LogLine? {
    guard let current, consumed < buffer.count else { return nil }
    return LogLine(
      file: current.path, number: current.line + 1, bytes: Array(buffer[consumed...]), isTorn: true)
  }

  private mutating func takeLine() -> LogLine? {
    guard let path = current?.path else { return nil }
    guard let end = buffer[consumed...].firstIndex(of: UInt8(ascii: "\n")) else {
      limitBuffer()
      return nil
    }
    let bytes = Array(buffer[consumed..<end])
    consumed = end + 1
    current?.line += 1
    var line = LogLine(file: path, number: current?.line ?? 0, bytes: bytes)
    // What is in the buffer ends where the next block begins.
    line.end = (current?.offset ?? 0) - Int64(buffer.count - consumed)
    return line
  }

  /// Drops what was handed out, and of a line that is too long all but its start.
  private mutating func limitBuffer() {
    buffer.removeSubrange(..<consumed)
    consumed = 0
    let limit = SealedLine.maximumLength + 1
    if buffer.count > limit { buffer.removeSubrange(limit...) }
  }

  private mutating func readBlock() throws(AuditError) -> Bool {
    guard let open = current else { return false }
    do throws(Errno) {
      let block = try open.file.read(at: open.offset, count: Self.blockSize)
      buffer.append(contentsOf: block)
      current?.offset += Int64(block.count)
      return !block.isEmpty
    } catch {
      throw AuditError(path: open.path, problem: .failed(operation: "read", error))
    }
  }

  private mutating func begin(_ file: OpenFile) {
    current = file
    buffer.removeAll(keepingCapacity: true)
    consumed = 0
  }

  /// Goes to the line behind `position`, if that record ends there in `path`.
  mutating func begin(behind position: LogPosition, in path: String) throws(AuditError) -> Bool {
    guard let file = try openIfThere(path) else { return false }
    do {
      let status = try file.status()
      let count = min(Int64(SealedLine.maximumLength + 2), position.offset)
      guard position.offset <= status.size,
        position.isEnd(of: try file.read(at: position.offset - count, count: Int(count)))
      else { return false }
      begin(OpenFile(file: file, path: path, status: status, offset: position.offset))
      return true
    } catch { throw AuditError(path: path, problem: .failed(operation: "read", error)) }
  }

  /// Goes to the first line of `path`.
  mutating func begin(at path: String) throws(AuditError) {
    guard let file = try openIfThere(path) else { return }
    do { begin(OpenFile(file: file, path: path, status: try file.status())) } catch {
      throw AuditError(path: path, problem: .failed(operation: "read", error))
    }
  }

  /// Opens the file behind the current one; nil when there is none yet.
  ///
  /// The name may lead to a newer file by the time it is opened, so it is looked
  /// up again until both answers agree.
  private func openFollowing() throws(AuditError) -> OpenFile? {
    while let path = try following() {
      guard let file = try openIfThere(path) else { continue }
      do throws(Errno) {
        let open = OpenFile(file: file, path: path, status: try file.status())
        if let next = try? following(), isSame(open, as: next) { return open }
      } catch {
        throw AuditError(path: path, problem: .failed(operation: "read", error))
      }
    }
    return nil
  }

  /// Opens a file; nil when it was renamed since it was listed.
  private func openIfThere(_ path: String) throws(AuditError) -> SystemLogFile? {
    do throws(AuditError) { return try FileAccess.openForReading(path) } catch {
      if case .failed(_, .noSuchFileOrDirectory) = error.problem { return nil }
      throw error
    }
  }

  private func isSame(_ open: OpenFile, as path: String) -> Bool {
    path == open.path && FileAccess.status(ofLink: path)?.isSameFile(as: open.status) == true
  }

  /// The path of the file behind the current one, or of the first.
  private func following() throws(AuditError) -> String? {
    let files = try segments.existing()
    guard let current else { return files.first }
    let own = files.lastIndex { FileAccess.status(ofLink: $0)?.isSameFile(as: current.status) == true }
    guard let own else { return try segments.following(gone: current.path) }
    return own + 1 < files.count ? files[own + 1] : nil
  }
}

/// Whether a byte is safe to show: printable ASCII.
func isPrintable(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7f }

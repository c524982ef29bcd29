import Glibc
import SystemPackage

/// A part of one file of a log, to be read apart from the others: the lines that begin in it.
///
/// `LogReader` hands out line by line; where a whole log is summed up, extents are read by several threads
/// in large blocks, and no line is copied.
public struct LogExtent: Sendable {
  /// In bytes, how much is read at once; a record has at most 64 KiB.
  public static let blockSize = 1 << 20

  let segments: Segments
  let path: String
  let identity: FileStatus
  /// In bytes.
  public let range: Range<Int64>
  /// Whether the file goes on being written: what stands behind its last line end is no line yet.
  public let isLast: Bool

  /// What stands in the log at `path` now, the oldest first.
  ///
  /// - Throws: `AuditError` when there is no file of that log, or the directory cannot be read.
  public static func all(ofLogAt path: String) throws(AuditError) -> [LogExtent] {
    let segments = Segments(path: path)
    var files = try list(segments)
    // A rotation between two looks at the directory would let a file be missed; seldom twice, never for long.
    while true {
      let again = try list(segments)
      guard !files.elementsEqual(again, by: { $0.path == $1.path && $0.identity.isSameFile(as: $1.identity) })
      else { break }
      files = again
    }
    guard !files.isEmpty else {
      throw AuditError(path: path, problem: .failed(operation: "open", .noSuchFileOrDirectory))
    }
    return files
  }

  private static func list(_ segments: Segments) throws(AuditError) -> [LogExtent] {
    let paths = try segments.existing()
    return paths.compactMap { path in
      FileAccess.status(ofLink: path).map { status in
        LogExtent(
          segments: segments, path: path, identity: status, range: 0..<max(0, status.size),
          isLast: path == paths.last)
      }
    }
  }

  /// The same in parts of about `size` bytes.
  public func split(by size: Int64) -> [LogExtent] {
    stride(from: range.lowerBound, to: range.upperBound, by: Int64.Stride(max(1, size))).map { start in
      LogExtent(
        segments: segments, path: path, identity: identity,
        range: start..<min(range.upperBound, start + size), isLast: isLast)
    }
  }

  /// Hands over each line that begins in this part, without its end. A file that retention has taken away
  /// since has none.
  ///
  /// - Returns: How many lines could not be handed over: torn ones, and those that are longer than a block.
  /// - Throws: `AuditError` when the file cannot be read.
  public func forEachLine(_ body: (UnsafeRawBufferPointer) -> Void) throws(AuditError) -> Int {
    guard let lines = try read({ line, _ in body(line) }) else { return 0 }
    return lines.tooLong + (lines.isTorn && !isLast ? 1 : 0)
  }

  /// Hands over each line that begins in this part, without its end, and where in the file it begins.
  ///
  /// - Returns: What else was met; nil when retention has taken the file away since.
  /// - Throws: `AuditError` when the file cannot be read.
  public func read(_ body: (UnsafeRawBufferPointer, Int64) -> Void) throws(AuditError) -> LinesRead? {
    guard let file = try open() else { return nil }
    var reading = ExtentReading(extent: self, file: file)
    do throws(Errno) { return try reading.run(body) } catch {
      throw AuditError(path: path, problem: .failed(operation: "read", error))
    }
  }

  /// Opens the file under the name that it has by now.
  func open() throws(AuditError) -> SystemLogFile? {
    for path in [path] + (try segments.existing()) {
      guard FileAccess.status(ofLink: path)?.isSameFile(as: identity) == true else { continue }
      let file = try FileAccess.openForReading(path)
      if let status = try? file.status(), status.isSameFile(as: identity) { return file }
    }
    return nil
  }
}

/// What was met in an extent beside its lines.
public struct LinesRead: Hashable, Sendable {
  /// Behind the last line end; nil when there was none.
  public var end: Int64?
  /// How many lines could not be handed over since they are longer than a block.
  public var tooLong = 0
  /// Where the last of those begins.
  public var lastTooLong: Int64?
  /// Whether the file ends inside of a line that began here.
  public var isTorn = false

  /// Makes one of nothing.
  public init() {}
}

/// One pass over an extent.
private struct ExtentReading {
  let extent: LogExtent
  let file: SystemLogFile
  private var offset: Int64
  private var read = LinesRead()
  /// Whether the line that is being looked at began before this extent, or in a block that it did not fit.
  private var isInsideLine: Bool

  init(extent: LogExtent, file: SystemLogFile) {
    self.extent = extent
    self.file = file
    // One byte earlier, to see whether a line ends just before.
    offset = max(0, extent.range.lowerBound - 1)
    isInsideLine = extent.range.lowerBound > 0
  }

  mutating func run(_ body: (UnsafeRawBufferPointer, Int64) -> Void) throws(Errno) -> LinesRead {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: LogExtent.blockSize, alignment: 16)
    defer { block.deallocate() }
    while offset < extent.range.upperBound {
      let count = try file.read(at: offset, into: block)
      guard count > 0 else { break }
      take(UnsafeRawBufferPointer(rebasing: block[..<count]), body)
    }
    return read
  }

  /// Hands over the whole lines of a block and moves `offset` to where the next one begins.
  private mutating func take(
    _ block: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer, Int64) -> Void
  ) {
    var start = 0
    while start < block.count, isInsideLine || offset + Int64(start) < extent.range.upperBound {
      guard let end = lineEnd(in: block, from: start) else { break }
      if !isInsideLine { body(UnsafeRawBufferPointer(rebasing: block[start..<end]), offset + Int64(start)) }
      isInsideLine = false
      start = end + 1
      read.end = offset + Int64(start)
    }
    offset += Int64(start)
    if start == 0 { takeWithoutEnd(block) }
  }

  /// A block without a line end: the rest of a file, or a part of a line that is too long to be a record.
  private mutating func takeWithoutEnd(_ block: UnsafeRawBufferPointer) {
    let isAtEnd = block.count < LogExtent.blockSize
    if !isInsideLine {
      if isAtEnd { read.isTorn = true } else { (read.tooLong, read.lastTooLong) = (read.tooLong + 1, offset) }
    }
    isInsideLine = true
    offset = isAtEnd ? .max : offset + Int64(block.count)
  }

  private func lineEnd(in block: UnsafeRawBufferPointer, from start: Int) -> Int? {
    guard let base = block.baseAddress,
      let found = memchr(base + start, Int32(UInt8(ascii: "\n")), block.count - start)
    else { return nil }
    return UnsafeRawPointer(found) - base
  }
}

extension SystemLogFile {
  /// Reads into `block` from `offset` on, until it is full or the file ends; answers how many bytes.
  fileprivate func read(at offset: Int64, into block: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    var count = 0
    while count < block.count {
      let taken = pread(
        descriptor, block.baseAddress.map { $0 + count }, block.count - count, off_t(offset) + off_t(count))
      if taken < 0, errno == EINTR { continue }
      guard taken >= 0 else { throw lastErrno() }
      guard taken > 0 else { break }
      count += taken
    }
    return count
  }
}

import Glibc
import Policy
import SystemPackage

/// What was found when a log was opened.
struct Recovery {
  /// The file that is written to from now on.
  var file: SystemLogFile
  /// Its size in bytes.
  var size: Int64
  /// Where the chain goes on.
  var head: ChainHead
  /// What was not as an orderly stop leaves it; goes into the `recovered` record.
  var findings: [String] = []
  /// Bytes of a torn last line that were cut off.
  var cut: Int64 = 0

  private static let noStop = "the run before left no stop record"
  /// How far back from its end a file is read at first, in bytes: room for its last two lines.
  static let glance: Int64 = 256 << 10
  /// How far back a file is searched for its last good line when the very last is not: room for any one write.
  static let window: Int64 = 4 << 20

  /// Opens the file of the log, cuts a torn line off, and finds the chain's end.
  static func run(_ options: AuditOptions, key: SigningKey) throws(AuditError) -> Recovery {
    let segments = Segments(path: options.path)
    let file = try FileAccess.open(options.path, flags: O_RDWR | O_APPEND | O_CREAT)
    var recovery = Recovery(file: file, size: 0, head: .genesis)
    try recovery.readActive(segments)
    if recovery.size == 0, recovery.head == .genesis { try recovery.readNewestSegment(segments) }
    try recovery.compare(with: HeadFile.path(of: options.path), key: key)
    return recovery
  }

  private mutating func readActive(_ segments: Segments) throws(AuditError) {
    let tail = try Self.tail(of: file, path: segments.path)
    guard tail.startsLikeALog else { throw AuditError(path: segments.path, problem: .notALog) }
    size = tail.size - Int64(tail.torn)
    guard size > 0 else { return try cutTornLine(of: tail, path: segments.path) }
    guard let line = tail.lastLine, let sealed = SealedLine(line), sealed.isIntact else {
      return try setAside(segments, tail)
    }
    try cutTornLine(of: tail, path: segments.path)
    head = sealed.head
    if !tail.endsInStop { findings.append(Self.noStop) }
  }

  private mutating func cutTornLine(of tail: Tail, path: String) throws(AuditError) {
    guard tail.torn > 0 else { return }
    do throws(Errno) { try file.truncate(to: size) } catch {
      throw AuditError(path: path, problem: .failed(operation: "cut off a torn line", error))
    }
    cut = Int64(tail.torn)
    findings.append("a torn last line was cut off")
  }

  /// Keeps a file whose last line is not ours as evidence, and begins a new one.
  private mutating func setAside(_ segments: Segments, _ tail: Tail) throws(AuditError) {
    let target = try segments.setAside()
    file = try FileAccess.open(segments.path, flags: O_RDWR | O_APPEND | O_CREAT | O_EXCL)
    size = 0
    findings.append("the last line of \(FileAccess.name(of: target)) is not intact")
    head = tail.lastIntact ?? .genesis
  }

  /// After a crash between renaming and the first record of the new file.
  private mutating func readNewestSegment(_ segments: Segments) throws(AuditError) {
    guard let number = try segments.numbers().last else { return }
    let path = segments.file(number)
    let tail = try Self.tail(of: try FileAccess.open(path, flags: O_RDONLY), path: path)
    head = tail.lastIntact ?? .genesis
    if !tail.endsInStop { findings.append(Self.noStop) }
  }

  /// A head file that is ahead of the log tells of records that are gone; the
  /// chain goes on behind them, so that the gap stays visible.
  private mutating func compare(with path: String, key: SigningKey) throws(AuditError) {
    guard let bytes = try FileAccess.read(path, limit: 4096) else { return }
    guard let known = HeadFile(parsing: bytes), known.isSigned(by: key.publicKey) else {
      findings.append("the head file is not signed by this log's key")
      return
    }
    guard known.head.sequence > head.sequence else { return }
    findings.append("records \(head.sequence + 1) to \(known.head.sequence) are missing")
    head = known.head
  }
}

extension Recovery {
  /// The end of a file.
  struct Tail {
    /// Of the file, in bytes.
    var size: Int64
    /// Bytes behind the last line end, at most the window.
    var torn: Int
    /// The last whole line without its end, if the window holds it.
    var lastLine: [UInt8]?
    /// The last line in the window whose hash is right.
    var lastIntact: ChainHead?
    /// Whether the last records are those of an orderly stop.
    var endsInStop = false
    /// Whether the first bytes are a record's, as far as there are any.
    var startsLikeALog = true
    /// Whether more of the file would say nothing else.
    var isSettled = true
  }

  static func tail(of file: SystemLogFile, path: String) throws(AuditError) -> Tail {
    do throws(Errno) {
      let size = try file.status().size
      var tail = try tail(of: file, size, window: glance)
      if !tail.isSettled { tail = try self.tail(of: file, size, window: window) }
      let opening = try file.read(at: 0, count: SealedLine.opening.count)
      tail.startsLikeALog = SealedLine.opening.starts(with: opening)
      return tail
    } catch {
      throw AuditError(path: path, problem: .failed(operation: "read", error))
    }
  }

  private static func tail(of file: SystemLogFile, _ size: Int64, window: Int64) throws(Errno) -> Tail {
    let start = max(0, size - window)
    let bytes = try file.read(at: start, count: Int(size - start))
    return tail(bytes, reachesStart: start == 0, size: size)
  }

  private static func tail(_ bytes: [UInt8], reachesStart: Bool, size: Int64) -> Tail {
    let newline = UInt8(ascii: "\n")
    let end = bytes.lastIndex(of: newline).map { $0 + 1 } ?? 0
    var tail = Tail(size: size, torn: bytes.count - end)
    var lines = bytes[..<end].split(separator: newline, omittingEmptySubsequences: false).dropLast()
    if !reachesStart { lines = lines.dropFirst() }
    tail.endsInStop = lines.suffix(2).map(event) == ["stop", "checkpoint"]
    tail.lastLine = lines.last.map(Array.init)
    tail.lastIntact = lines.reversed().lazy.compactMap { SealedLine($0) }.first { $0.isIntact }?.head
    tail.isSettled =
      reachesStart || lines.count > 1 && tail.lastLine.map { SealedLine($0)?.isIntact == true } == true
    return tail
  }

  private static func event(of line: ArraySlice<UInt8>) -> String? {
    (try? JSONValue(parsing: line))?["unmapped"]?["event"]?.text
  }
}

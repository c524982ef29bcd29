import Audit

/// Finds the latest records of certain kinds in a log.
public enum RecordSearch {
  /// In bytes: how much is looked through at a time, from the end on.
  private static let share: Int64 = 4 << 20

  /// The latest records of the kinds that `admits` lets through, the latest last.
  ///
  /// Each line is scanned, and only what is handed over is read in full.
  ///
  /// - Throws: `AuditError` when a file cannot be read.
  public static func latest(
    _ limit: Int, inLogAt path: String, where admits: (RecordKind) -> Bool
  ) throws(AuditError) -> [LogRecord] {
    var search = LineSearch(limit: limit), found: [[UInt8]] = []
    for part in try LogExtent.all(ofLogAt: path).flatMap({ $0.split(by: share) }).reversed() {
      search.lines = []
      _ = try part.forEachLine { search.look(at: $0, admits) }
      found = search.latest(limit - found.count) + found
      if found.count >= limit { break }
    }
    return found.compactMap { try? LogRecord(LogLine(file: path, number: 0, bytes: $0)) }
  }
}

/// The latest lines of one part.
private struct LineSearch {
  let limit: Int
  private var cache = KeyCache()
  var lines: [[UInt8]] = []

  init(limit: Int) {
    self.limit = limit
  }

  mutating func look(at line: UnsafeRawBufferPointer, _ admits: (RecordKind) -> Bool) {
    guard isWanted(line, admits) else { return }
    lines.append(Array(line))
    if lines.count >= 2 * limit { lines.removeFirst(lines.count - limit) }
  }

  func latest(_ count: Int) -> [[UInt8]] { Array(lines.suffix(max(0, count))) }

  private mutating func isWanted(_ line: UnsafeRawBufferPointer, _ admits: (RecordKind) -> Bool) -> Bool {
    guard let scan = RecordScan(line) else {
      let record = try? LogRecord(LogLine(file: "", number: 0, bytes: Array(line)))
      return record.map { admits(RecordKind($0)) } ?? false
    }
    guard scan[.time] != nil else { return false }
    if let known = cache.find(scan, in: line) { return known == 1 }
    let isWanted = admits(RecordKind(scan, line))
    cache.keep(isWanted ? 1 : 0)
    return isWanted
  }
}

import Audit
import Policy

/// The next records of a log that are to be shipped: as many as one batch takes, and no more are ever held.
struct RecordQueue {
  /// How many records are read ahead.
  static let recordLimit = 512
  /// In bytes of their lines.
  static let byteLimit = 256 << 10

  /// What was found in the log while it was read.
  enum Notice: Hashable, Sendable {
    /// Records from the first to the last number were gone before they were shipped.
    case lost(UInt64, UInt64)
    /// The log is not the one that was shipped up to this record.
    case rewritten(UInt64)
    /// A line that is no record; whether it is the first that was noticed at once.
    case unreadable(file: String, line: Int, isFirst: Bool)

    var isUnreadable: Bool {
      guard case .unreadable = self else { return false }
      return true
    }
  }

  private let path: String
  private var reader: LogReader
  /// The record before the next one to be read.
  private var before: UInt64?
  /// The highest number that was read, by a queue before this one too: what is noticed up to there was told.
  private(set) var seen: UInt64
  /// The records, each with the position behind it.
  private(set) var records: [(record: ExportRecord, end: LogPosition)] = []
  private var notices: [Notice] = []

  /// Begins behind `position`.
  init(path: String, behind position: LogPosition?, seen: UInt64 = 0) throws(AuditError) {
    (self.path, self.seen) = (path, seen)
    guard let position else {
      reader = try LogReader(path: path)
      return
    }
    let (reader, continuation) = try LogReader.behind(position, ofLogAt: path)
    self.reader = reader
    switch continuation {
    case .found: before = position.sequence
    // What is gone shows as a gap before the first record that is read.
    case .gone: before = position.sequence
    case .changed: notices = [.rewritten(position.sequence)]
    }
  }

  var isEmpty: Bool { records.isEmpty }

  /// Reads on until a batch is full or the log ends. Returns what was noticed.
  mutating func fill() throws(AuditError) -> [Notice] {
    var bytes = records.reduce(0) { $0 + $1.record.text.utf8.count }
    while records.count < Self.recordLimit, bytes < Self.byteLimit, let line = try reader.next() {
      guard let record = ExportRecord(line), let end = LogPosition(behind: line) else {
        if before ?? 0 >= seen {
          let isFirst = !notices.contains { $0.isUnreadable }
          notices.append(.unreadable(file: line.file, line: line.number, isFirst: isFirst))
        }
        if notices.count >= Self.recordLimit { break }
        continue
      }
      if let before, record.sequence > max(before + 1, seen) {
        notices.append(.lost(before + 1, record.sequence - 1))
      }
      before = record.sequence
      seen = max(seen, record.sequence)
      bytes += record.text.utf8.count
      records.append((record, end))
    }
    defer { notices = [] }
    return notices
  }

  /// Takes the first `count` out.
  mutating func remove(_ count: Int) { records.removeFirst(count) }
}

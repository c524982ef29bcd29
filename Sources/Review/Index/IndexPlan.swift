import Audit
import Policy

/// What of a log an index holds already, and what is to be read.
struct IndexPlan {
  /// A file of the log, with its row.
  struct Entry {
    var extent: LogExtent
    var file: IndexedFile
    /// From where on it is to be read, in bytes; nil when the row holds it as it is.
    var unread: Int64?
  }

  /// Those of the log, the oldest first.
  private(set) var entries: [Entry] = []
  /// Those whose rows are of no use any more.
  private(set) var stale: [IndexedFile]
  /// How many of these are still there, but with other content.
  private(set) var changed = 0

  var isComplete: Bool { stale.isEmpty && !entries.contains { $0.unread != nil } }

  /// Holds the files of a log against the rows of an index.
  ///
  /// - Throws: `AuditError` when a file cannot be read.
  init(_ extents: [LogExtent], known files: [IndexedFile]) throws(AuditError) {
    stale = files
    var newest = files.map(\.id).max() ?? 0
    for extent in extents {
      if let entry = try takeKnown(extent) { entries.append(entry); continue }
      newest += 1
      entries.append(
        Entry(
          extent: extent, file: IndexedFile(id: newest, stamp: extent.stamp, wasLast: extent.isLast),
          unread: 0))
    }
  }

  /// Takes note that an entry is in the index as it is now.
  mutating func settle(_ place: Int, _ file: IndexedFile) {
    (entries[place].file, entries[place].unread) = (file, nil)
  }

  private mutating func takeKnown(_ extent: LogExtent) throws(AuditError) -> Entry? {
    if let place = stale.firstIndex(where: { $0.stamp == extent.stamp && $0.wasLast == extent.isLast }) {
      return Entry(extent: extent, file: stale.remove(at: place), unread: nil)
    }
    let head = try extent.head()
    guard let place = stale.firstIndex(where: { $0.head != nil && $0.head == head }) else {
      if try isOverwritten(extent) { changed += 1 }
      return nil
    }
    var file = stale[place]
    guard try Self.holds(extent, what: file) else {
      changed += 1
      return nil
    }
    stale.remove(at: place)
    (file.stamp, file.wasLast) = (extent.stamp, extent.isLast)
    return Entry(extent: extent, file: file, unread: file.end)
  }

  /// Whether a file with another beginning is one that is known, rather than a new one that got the number of one that
  /// is gone: a new one begins behind the end of that, and not with the first record of all.
  private func isOverwritten(_ extent: LogExtent) throws(AuditError) -> Bool {
    guard let file = stale.first(where: { $0.stamp.inode == extent.stamp.inode }), file.end > 0 else {
      return false
    }
    guard let first = try extent.beginning(), let time = first.time?.milliseconds, let latest = file.latest
    else {
      return true
    }
    return time <= latest || (first.sequence ?? 1) <= 1
  }

  /// Whether a file with the same first line holds what was read of it.
  ///
  /// One that is as long as before is read again, since its times may have changed with its name, its mode or a link
  /// alone. Of one that has grown the chain of hashes leads through the end of each block, so that whoever changed a record and
  /// sealed the chain anew changed those ends.
  private static func holds(_ extent: LogExtent, what file: IndexedFile) throws(AuditError) -> Bool {
    guard file.end <= extent.stamp.size else { return false }
    if extent.stamp.size == file.stamp.size { return try sums(of: extent, file) == file.blocks.map(\.sum) }
    guard file.wasLast else { return false }
    let marks = try extent.marks(before: file.blocks.map(\.range.upperBound))
    return marks.map { $0 == file.blocks.map(\.mark) } ?? false
  }

  /// What the lines of a file add up to by now, block by block.
  private static func sums(of extent: LogExtent, _ file: IndexedFile) throws(AuditError) -> [UInt64] {
    var sums = file.blocks.map { _ in UInt64(0) }, place = 0
    _ = try extent.part(0..<file.end).read { line, start in
      while place < sums.count, file.blocks[place].range.upperBound <= start { place += 1 }
      if place < sums.count { sums[place] &+= Block.sum(of: line, at: start) }
    }
    return sums
  }
}

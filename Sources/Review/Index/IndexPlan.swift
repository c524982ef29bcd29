import Audit

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
    guard let place = stale.firstIndex(where: { $0.stamp.inode == extent.stamp.inode }) else { return nil }
    var file = stale[place]
    guard try Self.holds(extent, what: file) else {
      changed += 1
      return nil
    }
    stale.remove(at: place)
    let isSame = file.stamp == extent.stamp && file.wasLast == extent.isLast
    (file.stamp, file.wasLast) = (extent.stamp, extent.isLast)
    return Entry(extent: extent, file: file, unread: isSame ? nil : file.end)
  }

  /// Whether a file holds what was read of it, as far as that can be seen without reading it again.
  ///
  /// One that was set aside is never written to, so any other stamp means other content, and so it does where one was
  /// written to and is as long as before. The one that is written to may have grown; the chain of hashes leads through the end of each block, so that whoever changed a record and
  /// sealed the chain anew changed those ends.
  private static func holds(_ extent: LogExtent, what file: IndexedFile) throws(AuditError) -> Bool {
    if file.stamp == extent.stamp { return true }
    let isOverwritten = extent.stamp.size == file.stamp.size && extent.stamp.modified != file.stamp.modified
    guard file.wasLast, file.end <= extent.stamp.size, !isOverwritten else { return false }
    let marks = try extent.marks(before: file.blocks.map(\.range.upperBound))
    return marks.map { $0 == file.blocks.map(\.mark) } ?? false
  }
}

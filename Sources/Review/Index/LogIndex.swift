import Audit

/// Sums up a log by the index beside it, a SQLite file that holds what the log's lines add up to.
///
/// The log stays what counts: an index that is missing, broken, of another version or no longer true is made anew
/// from it, and where none can be kept the log is read from its first line to its last. Both ways give the same
/// summary.
///
/// What the index cannot see is a record that was changed in place, with the hashes left as they were, in a file that
/// has grown since: it goes on to say what stood there before. To find such changes is what `LogVerifier` is for.
public struct LogIndex: Sendable {
  /// In bytes: a log below this size is read as fast as an index would be.
  public static let worthwhile: Int64 = 8 << 20

  /// Told of how many bytes were read, of how many; by any thread, one at a time.
  public typealias Progress = @Sendable (_ done: Int64, _ total: Int64) -> Void

  /// What a person should know beside the summary.
  public enum Notice: Hashable, Sendable, CustomStringConvertible {
    /// The index was made anew.
    case remade(why: String)
    /// Files of the log have changed where they had been read already.
    case changed(files: Int)
    /// The log was read instead.
    case unused(why: String)

    public var description: String {
      switch self {
      case .remade(let why): "the index of the log was made anew: \(why)."
      case .changed(let files):
        "\(files == 1 ? "a file" : "\(files) files") of the log changed where no writer changes it, and was read "
          + "anew. Run 'exitgate log verify'."
      case .unused(let why): "the log was read without an index: \(why). With --no-index none is looked for."
      }
    }
  }

  /// A summary, and what is to be said of the way to it.
  public struct Answer: Sendable {
    /// What was asked for.
    public var summary: LogSummary
    /// Nil when all went as it should.
    public var notice: Notice?
  }

  private let path: String
  private let least: Int64
  private let limit: Int

  /// Prepares to sum up the log at `path`.
  ///
  /// - Parameter least: In bytes; a smaller log has no index.
  public init(ofLogAt path: String, from least: Int64 = worthwhile) {
    self.init(ofLogAt: path, from: least, limit: FoldTree.limit)
  }

  init(ofLogAt path: String, from least: Int64, limit: Int) {
    (self.path, self.least, self.limit) = (path, least, limit)
  }

  /// Sums up what stands in the log now, and keeps the index up to date.
  ///
  /// - Throws: `AuditError` when the log cannot be read.
  public func summary(_ filter: RecordFilter = RecordFilter(), progress: Progress? = nil) throws(AuditError)
    -> Answer
  {
    let extents = try LogExtent.all(ofLogAt: path)
    guard extents.reduce(0, { $0 + $1.stamp.size }) >= least else {
      return Answer(summary: try LineSummarizer.of(extents, filter, limit: limit).summary)
    }
    do throws(Refusal) { return try answer(extents, filter, progress) } catch {
      let summary = try LineSummarizer.of(extents, filter, limit: limit).summary
      return Answer(summary: summary, notice: .unused(why: error.why))
    }
  }

  /// Why there is no index to work with.
  private struct Refusal: Error {
    var why: String
  }

  /// Makes ready for a process that will open no library and make no directory any more.
  ///
  /// - Returns: The directory in which the index of the log is written as things are; nil where none can be kept.
  public func prepare() -> String? {
    guard Database.absence == nil, let extents = try? LogExtent.all(ofLogAt: path),
      let place = try? Self.place(of: extents, path)
    else { return nil }
    return place.directory
  }

  /// Beside a log that is the reader's own; else the reader keeps one.
  private static func place(of extents: [LogExtent], _ log: String) throws(AuditError) -> IndexPlace {
    try extents.allSatisfy(\.isOwn) ? IndexPlace(besideLogAt: log) : IndexPlace(ofReaderOfLogAt: log)
  }

  private func answer(_ extents: [LogExtent], _ filter: RecordFilter, _ progress: Progress?) throws(Refusal)
    -> Answer
  {
    let place = try place(of: extents)
    do { return try IndexSession(place, extents, limit: limit).answer(filter, progress) } catch {
      guard let error = error as? DatabaseError, error.isOfFile else {
        // What a full disk took part of is room that the log may need.
        if (error as? DatabaseError)?.isOfSpace == true { place.remove() }
        throw Refusal(why: "\(place.path) cannot be used: \(error)")
      }
      place.remove()
      return try remade(place, extents, filter, progress, why: "\(error)")
    }
  }

  private func remade(
    _ place: IndexPlace, _ extents: [LogExtent], _ filter: RecordFilter, _ progress: Progress?, why: String
  ) throws(Refusal) -> Answer {
    do {
      _ = try place.prepare(reading: 0)
      var answer = try IndexSession(place, extents, limit: limit).answer(filter, progress)
      answer.notice = answer.notice ?? .remade(why: why)
      return answer
    } catch { throw Refusal(why: "\(error)") }
  }

  /// Finds the index, and makes sure that it may be used.
  private func place(of extents: [LogExtent]) throws(Refusal) -> IndexPlace {
    if let absence = Database.absence { throw Refusal(why: absence) }
    guard Set(extents.map(\.stamp.inode)).count == extents.count else {
      throw Refusal(why: "a file of the log has two names")
    }
    let place: IndexPlace, head: [UInt8]
    do throws(AuditError) {
      place = try Self.place(of: extents, path)
      head = try place.prepare(reading: IndexTables.ownerOffset + IndexTables.owner.count)
    } catch { throw Refusal(why: "\(error.path) \(error.cause)") }
    guard head.isEmpty || head.suffix(IndexTables.owner.count) == IndexTables.owner[...] else {
      throw Refusal(why: "\(place.path) is no index of Exitgate's; move it away")
    }
    return place
  }
}

/// One use of an index: what is new in the log goes into it, then it is asked.
private struct IndexSession {
  let extents: [LogExtent]
  let limit: Int
  let place: IndexPlace
  let database: Database
  let tables: IndexTables

  init(_ place: IndexPlace, _ extents: [LogExtent], limit: Int) throws(DatabaseError) {
    (self.extents, self.limit, self.place) = (extents, limit, place)
    database = try Database(path: place.path)
    tables = try IndexTables(in: database)
  }

  func answer(_ filter: RecordFilter, _ progress: LogIndex.Progress?) throws -> LogIndex.Answer {
    // Whoever adds nothing hinders nobody, and is hindered by nobody.
    try database.run("BEGIN;")
    let files = try tables.files()
    var plan = try IndexPlan(extents, known: files)
    if !plan.isComplete {
      try database.run("COMMIT;")
      try keepRoom()
      try database.run("BEGIN IMMEDIATE;")
      let now = try tables.files()
      if now != files { plan = try IndexPlan(extents, known: now) }
    }
    let changed = plan.changed
    // What was folded because of files that are gone can only be told apart by reading the others again.
    if !plan.stale.isEmpty, try tables.halvings() != KindFolding(limit: limit).halvings {
      try tables.removeAll()
      plan = try IndexPlan(extents, known: [])
    }
    if !plan.isComplete { plan = try update(plan, progress) }
    let known = try IndexedSummary(plan: plan, filter: filter, limit: limit).summary(from: tables)
    try database.run("COMMIT;")
    let summary = try known ?? LineSummarizer.of(extents, filter, limit: limit).summary
    return LogIndex.Answer(summary: summary, notice: changed > 0 ? .changed(files: changed) : nil)
  }

  /// An index takes no room that the log may need: it grows by at most a third of what is left, and its journal with it.
  private func keepRoom() throws(DatabaseError) {
    guard let room = place.room else { return }
    guard room >= Self.leastRoom else {
      throw DatabaseError.noRoom(
        "its disk is nearly full, and \(IndexPlace.reserve >> 20) MiB are left for the log")
    }
    try database.limitSize(to: try tables.size() + room / 3)
  }

  /// In bytes.
  private static let leastRoom: Int64 = 1 << 20

  /// Reads and writes what the index lacks.
  private func update(_ plan: IndexPlan, _ progress: LogIndex.Progress?) throws -> IndexPlan {
    var done = plan
    try tables.remove(plan.stale)
    let found = try LogIndexing(plan, limit: limit, progress)
    var folding = KindFolding(try tables.kinds(), halvings: try tables.halvings(), limit: limit)
    let stored = folding.count, numbers = found.absorb(into: &folding)
    if folding.dead.contains(where: { $0 < stored }) { try tables.renumber(folding) }
    for (place, entry) in plan.entries.enumerated() where entry.unread != nil {
      try tables.add(found.counters(of: place, numbers, in: folding), to: entry.file.id)
      let row = try found.row(of: place, entry)
      try tables.write(row, blocksFrom: entry.file.blocks.last?.range.lowerBound ?? 0)
      done.settle(place, row)
    }
    try tables.write(folding)
    try tables.write(halvings: folding.halvings)
    return done
  }
}

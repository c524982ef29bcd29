import Audit

/// The tables of an index, as rows and values.
struct IndexTables {
  /// Changes whenever a table does, or what a record is read as: an index of another layout is made anew.
  static let layout: Int64 = 3
  /// `Exgt`, which marks the file as ours (SQLite's `application_id`).
  static let owner: [UInt8] = Array("Exgt".utf8)
  /// Where a file of SQLite has that mark.
  ///
  /// - Source: sqlite.org/fileformat.html §1.3.
  static let ownerOffset = 68

  let database: Database

  /// The mark comes before anything else, so that an index that a crash left half made is known for one.
  private static let preamble: StaticString = """
    PRAGMA application_id = 0x45786774;
    PRAGMA journal_mode = WAL;
    """

  private static let schema: StaticString = """
    CREATE TABLE file (id INTEGER PRIMARY KEY, inode INTEGER NOT NULL UNIQUE, size INTEGER NOT NULL,
      modified INTEGER NOT NULL, changed INTEGER NOT NULL, end INTEGER NOT NULL, unreadable INTEGER NOT NULL,
      was_last INTEGER NOT NULL, head TEXT, sum INTEGER NOT NULL) STRICT;
    CREATE TABLE block (file INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, first INTEGER,
      last INTEGER, mark TEXT NOT NULL, lines INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (file, start)) STRICT, WITHOUT ROWID;
    CREATE TABLE kind (id INTEGER PRIMARY KEY, event TEXT NOT NULL, agent TEXT, layer TEXT, verdict TEXT,
      would_deny INTEGER NOT NULL, reason TEXT, rule TEXT, host TEXT, port INTEGER, protocol TEXT, address TEXT,
      record_type TEXT, method TEXT, process TEXT, fold TEXT, overflow INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
    CREATE TABLE halving (tree INTEGER PRIMARY KEY, times INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
    CREATE TABLE tally (file INTEGER NOT NULL, hour INTEGER NOT NULL, counters BLOB NOT NULL, sum INTEGER NOT NULL,
      PRIMARY KEY (hour, file)) STRICT;
    PRAGMA user_version = 3;
    """

  /// Opens the tables, and makes them where there are none.
  ///
  /// - Throws: `DatabaseError`; with code 0 for tables of another layout.
  init(in database: Database) throws(DatabaseError) {
    self.database = database
    try database.run("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = -16384;")
    if try number("SELECT count(*) FROM sqlite_schema") == 0 { try make() }
    // A log is durable by itself; a lost index is made anew, only a torn one would be wrong.
    try database.run("PRAGMA synchronous = NORMAL;")
    let found = try number("PRAGMA user_version")
    guard found == Self.layout, try number("SELECT count(*) FROM sqlite_schema WHERE type <> 'table'") == 2
    else {
      throw DatabaseError(code: 0, description: "its layout is another version's")
    }
  }

  private func make() throws(DatabaseError) {
    try database.run(Self.preamble)
    try database.run("BEGIN IMMEDIATE;")
    if try number("SELECT count(*) FROM sqlite_schema") == 0 { try database.run(Self.schema) }
    try database.run("COMMIT;")
  }

  private func number(_ question: StaticString) throws(DatabaseError) -> Int64 {
    let statement = try database.prepare(question)
    return try statement.step() ? statement.number(0) : 0
  }

  /// In bytes, how large the file is.
  func size() throws(DatabaseError) -> Int64 { try number("PRAGMA page_count") * 4096 }

  static let tooMany = DatabaseError(code: -1, description: "the log holds too many kinds of records")
  static let broken = DatabaseError(code: 0, description: "it does not hold what was written into it")
}

// MARK: - Files

extension IndexTables {
  /// The files that are in the index.
  func files() throws(DatabaseError) -> [IndexedFile] {
    let rows = try database.prepare(
      "SELECT id, inode, size, modified, changed, end, unreadable, was_last, head, sum FROM file ORDER BY id")
    var files: [IndexedFile] = []
    while try rows.step() {
      var file = IndexedFile(
        id: rows.number(0),
        stamp: FileStamp(
          inode: UInt64(bitPattern: rows.number(1)), size: rows.number(2), modified: rows.number(3),
          changed: rows.number(4)),
        end: rows.number(5), unreadable: Int(rows.number(6)), wasLast: rows.number(7) != 0)
      file.head = rows.text(8).flatMap { RecordHash(hex: $0.utf8) }
      guard rows.number(9) == Self.sum(of: file) else { throw Self.broken }
      files.append(file)
    }
    try addBlocks(to: &files)
    return files
  }

  private func addBlocks(to files: inout [IndexedFile]) throws(DatabaseError) {
    let rows = try database.prepare(
      "SELECT start, end, first, last, mark, lines, sum FROM block WHERE file = ? ORDER BY start")
    for place in files.indices {
      try rows.bind([.number(files[place].id)])
      while try rows.step() {
        let start = rows.number(0), end = rows.number(1),
          times = (rows.optionalNumber(2), rows.optionalNumber(3))
        guard let mark = rows.text(4).flatMap({ RecordHash(hex: $0.utf8) }), start >= 0, start < end,
          end <= files[place].end, times.0 ?? 0 <= times.1 ?? 0
        else { throw Self.broken }
        let range =
          if let first = times.0, let last = times.1 { first...last } else { nil as ClosedRange<Int64>? }
        let block = Block(
          range: start..<end, times: range, mark: mark, sum: UInt64(bitPattern: rows.number(5)))
        guard rows.number(6) == Self.sum(of: block, file: files[place].id) else { throw Self.broken }
        files[place].blocks.append(block)
      }
    }
  }

  private static func sum(of file: IndexedFile) -> Int64 {
    var sum = Checksum()
    sum.add(
      file.id, Int64(bitPattern: file.stamp.inode), file.stamp.size, file.stamp.modified, file.stamp.changed)
    sum.add(file.end, Int64(file.unreadable), file.wasLast ? 1 : 0)
    sum.add(file.head.map(\.description))
    return sum.value
  }

  private static func sum(of block: Block, file: Int64) -> Int64 {
    var sum = Checksum()
    sum.add(
      file, block.range.lowerBound, block.range.upperBound, block.times?.lowerBound, block.times?.upperBound)
    sum.add(block.mark.map(\.description))
    sum.add(Int64(bitPattern: block.sum))
    return sum.value
  }

  /// Writes a file's row and those of its blocks from `start` on.
  func write(_ file: IndexedFile, blocksFrom start: Int64) throws(DatabaseError) {
    try database.prepare("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").run(
      .number(file.id), .number(Int64(bitPattern: file.stamp.inode)), .number(file.stamp.size),
      .number(file.stamp.modified), .number(file.stamp.changed), .number(file.end),
      .number(Int64(file.unreadable)),
      .number(file.wasLast ? 1 : 0), .init(file.head.map(\.description)), .number(Self.sum(of: file)))
    let row = try database.prepare("INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    for block in file.blocks where block.range.lowerBound >= start {
      try row.run(
        .number(file.id), .number(block.range.lowerBound), .number(block.range.upperBound),
        .init(block.times?.lowerBound), .init(block.times?.upperBound), .init(block.mark.map(\.description)),
        .number(Int64(bitPattern: block.sum)),
        .number(Self.sum(of: block, file: file.id)))
    }
  }

  /// Removes everything.
  func removeAll() throws(DatabaseError) {
    try database.run(
      "DELETE FROM file; DELETE FROM block; DELETE FROM kind; DELETE FROM tally; DELETE FROM halving;")
  }

  /// Removes files, and kinds that no other has.
  func remove(_ files: [IndexedFile]) throws(DatabaseError) {
    guard !files.isEmpty else { return }
    for file in files {
      try database.prepare("DELETE FROM tally WHERE file = ?").run(.number(file.id))
      try database.prepare("DELETE FROM block WHERE file = ?").run(.number(file.id))
      try database.prepare("DELETE FROM file WHERE id = ?").run(.number(file.id))
    }
    var isUsed = Set<Int32>()
    try forEachCounter { _, counter in isUsed.insert(counter.kind) }
    let rows = try database.prepare("SELECT id FROM kind"),
      delete = try database.prepare("DELETE FROM kind WHERE id = ?")
    var unused: [Int64] = []
    while try rows.step() {
      if !isUsed.contains(Int32(clamping: rows.number(0))) { unused.append(rows.number(0)) }
    }
    for id in unused { try delete.run(.number(id)) }
  }
}

// MARK: - Counters

extension IndexTables {
  /// About how many counters there are from an hour on: one takes some 20 bytes.
  func counterEstimate(from hour: Int64) throws(DatabaseError) -> Int {
    let rows = try database.prepare("SELECT sum(length(counters)) / 20 FROM tally WHERE hour >= ?")
    try rows.bind([.number(hour)])
    return try rows.step() ? Int(clamping: min(1 << 24, rows.number(0))) : 0
  }

  /// Hands over the counters of all files from an hour on, hour by hour, with the file's number.
  func forEachCounter(from hour: Int64 = .min, _ body: (Int64, Counter) -> Void) throws(DatabaseError) {
    let rows = try database.prepare(
      "SELECT file, hour, counters, sum FROM tally WHERE hour >= ? ORDER BY hour, file")
    try rows.bind([.number(hour)])
    while try rows.step() {
      let file = rows.number(0)
      try read(rows, file: file, hour: rows.number(1), counters: 2) { body(file, $0) }
    }
  }

  private func read(
    _ row: Statement, file: Int64, hour: Int64, counters: Int32, _ body: (Counter) -> Void
  ) throws(DatabaseError) {
    let sum = row.number(counters + 1)
    let isWhole = row.withBytes(counters) { bytes in
      Self.sum(of: bytes, file: file, hour: hour) == sum
        && CounterCode.read(bytes, hour: hour, kinds: Self.kindLimit, body)
    }
    guard isWhole else { throw Self.broken }
  }

  /// Gives all counters the numbers of what stands for their kinds.
  func renumber(_ folding: KindFolding) throws(DatabaseError) {
    var files: [Int64: CounterTable] = [:]
    try forEachCounter { file, counter in
      var counter = counter
      counter.kind = folding.standIn(of: counter.kind)
      files[file, default: CounterTable()].add(counter)
    }
    try database.run("DELETE FROM tally;")
    for (file, counters) in files { try add(counters, to: file) }
  }

  private static func sum(of bytes: UnsafeRawBufferPointer, file: Int64, hour: Int64) -> Int64 {
    var sum = Checksum()
    sum.add(file, hour)
    sum.add(bytes)
    return sum.value
  }

  /// Adds counters to those of a file.
  func add(_ counters: CounterTable, to file: Int64) throws(DatabaseError) {
    let old = try database.prepare("SELECT counters, sum FROM tally WHERE file = ? AND hour = ?")
    let row = try database.prepare("INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?)")
    for (hour, own) in Dictionary(grouping: counters.counters, by: \.hour) {
      var sums = CounterTable()
      try old.bind([.number(file), .number(hour)])
      while try old.step() { try read(old, file: file, hour: hour, counters: 0) { sums.add($0) } }
      for counter in own { sums.add(counter) }
      let bytes = CounterCode.bytes(of: sums.counters)
      let sum = bytes.withUnsafeBytes { Self.sum(of: $0, file: file, hour: hour) }
      try row.run(.number(file), .number(hour), .bytes(bytes), .number(sum))
    }
  }
}

// MARK: - Folding

extension IndexTables {
  /// How often the caps of each tree were halved.
  func halvings() throws(DatabaseError) -> [Int] {
    let rows = try database.prepare("SELECT tree, times, sum FROM halving ORDER BY tree")
    var halvings = KindFolding(limit: 0).halvings
    while try rows.step() {
      let tree = rows.number(0), times = rows.number(1)
      guard halvings.indices.contains(Int(clamping: tree)), (0..<64).contains(times),
        rows.number(2) == Self.sum(of: tree, times)
      else { throw Self.broken }
      halvings[Int(tree)] = Int(times)
    }
    return halvings
  }

  func write(halvings: [Int]) throws(DatabaseError) {
    let row = try database.prepare("INSERT OR REPLACE INTO halving VALUES (?, ?, ?)")
    for (tree, times) in halvings.enumerated() {
      let numbers = (Int64(tree), Int64(times))
      try row.run(.number(numbers.0), .number(numbers.1), .number(Self.sum(of: numbers.0, numbers.1)))
    }
  }

  private static func sum(of tree: Int64, _ times: Int64) -> Int64 {
    var sum = Checksum()
    sum.add(tree, times)
    return sum.value
  }
}

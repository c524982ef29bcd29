import CSQLite

/// What SQLite could not do.
struct DatabaseError: Error, Hashable, CustomStringConvertible {
  /// SQLite's result code; 0 for what we found wrong ourselves.
  var code: Int32
  /// Why, in words.
  var description: String

  /// There is no room that it may take.
  static func noRoom(_ why: String) -> DatabaseError {
    DatabaseError(code: Int32(SQLITE_CODE_FULL.rawValue), description: why)
  }

  /// Whether there is no room for it.
  var isOfSpace: Bool { UInt32(code & 0xff) == SQLITE_CODE_FULL.rawValue }

  /// Whether the file itself is at fault, so that a new one may do: it is broken or of another layout.
  var isOfFile: Bool {
    [0, SQLITE_CODE_ERROR.rawValue, SQLITE_CODE_CORRUPT.rawValue, SQLITE_CODE_NOT_A_DATABASE.rawValue]
      .contains(UInt32(code & 0xff))
  }
}

/// An open SQLite file.
///
/// Statements are literals of this program, so that no value of a log can become a part of one.
final class Database {
  private let handle: OpaquePointer

  /// In bytes, the longest value: the counters of an hour of `KindTable.limit` kinds take less.
  private static let longestValue: Int32 = 32 << 20
  /// In milliseconds, how long another process's lock is waited for.
  private static let patience: Int32 = 100

  /// Why there is no SQLite; nil when there is.
  static var absence: String? { sqlite_load().map { String(cString: $0) } }

  /// Opens a file that exists; an empty one is an empty database.
  init(path: String) throws(DatabaseError) {
    var handle: OpaquePointer?
    let code = sqlite_open(path, Self.longestValue, Self.patience, &handle)
    guard let handle else { throw DatabaseError(code: code, description: "no memory") }
    self.handle = handle
    try check(code)
  }

  deinit { sqlite_close(handle) }

  /// Runs statements that take no values.
  func run(_ statements: StaticString) throws(DatabaseError) {
    try check(
      statements.withUTF8Buffer {
        $0.withMemoryRebound(to: CChar.self) { sqlite_run(handle, $0.baseAddress) }
      })
  }

  /// Lets the file grow to `bytes` at most; beyond, writing fails for want of space.
  func limitSize(to bytes: Int64) throws(DatabaseError) { try check(sqlite_limit_size(handle, bytes)) }

  /// Compiles a statement.
  func prepare(_ text: StaticString) throws(DatabaseError) -> Statement {
    var statement: OpaquePointer?
    let code = text.withUTF8Buffer {
      $0.withMemoryRebound(to: CChar.self) { sqlite_prepare(handle, $0.baseAddress, &statement) }
    }
    guard let statement else { throw failure(code) }
    return Statement(statement, of: self)
  }

  func check(_ code: Int32) throws(DatabaseError) {
    guard code == Int32(SQLITE_CODE_OK.rawValue) else { throw failure(code) }
  }

  func failure(_ code: Int32) -> DatabaseError {
    DatabaseError(code: code, description: String(cString: sqlite_reason(handle)))
  }
}

/// A compiled statement.
final class Statement {
  private let handle: OpaquePointer
  private let database: Database

  fileprivate init(_ handle: OpaquePointer, of database: Database) {
    (self.handle, self.database) = (handle, database)
  }

  deinit { sqlite_finish(handle) }

  /// Goes on to the next row; false when there is none, and the statement is then ready to run again.
  func step() throws(DatabaseError) -> Bool {
    let code = sqlite_step(handle)
    if code == Int32(SQLITE_CODE_ROW.rawValue) { return true }
    let failure = code == Int32(SQLITE_CODE_DONE.rawValue) ? nil : database.failure(code)
    sqlite_reset(handle)
    if let failure { throw failure }
    return false
  }

  /// Runs a statement that has no rows.
  func run(_ values: Value...) throws(DatabaseError) { try run(values) }

  func run(_ values: [Value]) throws(DatabaseError) {
    try bind(values)
    while try step() {}
  }

  /// Gives the statement its values, the first at number 1.
  func bind(_ values: [Value]) throws(DatabaseError) {
    for (place, value) in zip(Int32(1)..., values) {
      switch value {
      case .null: continue
      case .number(let number): try database.check(sqlite_bind_number(handle, place, number))
      case .text(var text):
        try database.check(
          text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
              sqlite_bind_words(handle, place, $0.baseAddress, $0.count)
            }
          })
      case .bytes(let bytes):
        try database.check(
          bytes.withUnsafeBytes { sqlite_bind_bytes(handle, place, $0.baseAddress, $0.count) })
      }
    }
  }

  /// What a statement takes.
  enum Value {
    case null
    case number(Int64)
    case text(String)
    case bytes([UInt8])

    init(_ text: String?) { self = text.map { .text($0) } ?? .null }
    init(_ number: Int64?) { self = number.map { .number($0) } ?? .null }
  }

  /// A number of the current row, by its place from 0; nil for NULL.
  func optionalNumber(_ place: Int32) -> Int64? {
    isNull(place) ? nil : sqlite_number(handle, place)
  }

  /// Whether a value of the current row is NULL.
  func isNull(_ place: Int32) -> Bool { sqlite_is_null(handle, place) != 0 }

  /// A number of the current row.
  func number(_ place: Int32) -> Int64 { sqlite_number(handle, place) }

  /// A text of the current row; nil for NULL and for bytes that are not UTF-8.
  func text(_ place: Int32) -> String? {
    guard !isNull(place) else { return nil }
    return withBytes(place) { String(validating: $0, as: UTF8.self) }
  }

  /// Lends the bytes of a value of the current row.
  func withBytes<Result>(_ place: Int32, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    var count = 0
    let bytes = sqlite_bytes(handle, place, &count)
    return body(UnsafeRawBufferPointer(start: bytes, count: count))
  }
}

import Addressing
import Audit
import Policy

/// How far a log was shipped to one target, and what became of the rest: what survives the process.
public struct ShippingRecord: Hashable, Sendable {
  /// The log.
  public var log: String
  /// The last record that the target has; nil before the first.
  public var position: LogPosition?
  /// When that was known.
  public var confirmedAt: Timestamp?
  /// How many records the target has taken.
  public var shipped: UInt64 = 0
  /// How many were sent once more.
  public var resent: UInt64 = 0
  /// How many the target refused for good.
  public var refused: UInt64 = 0
  /// How many were gone from the log before they were shipped.
  public var lost: UInt64 = 0
  /// How many lines of the log were no records.
  public var unreadable: UInt64 = 0
  /// How often the log was not the one that was shipped before.
  public var rewritten: UInt64 = 0
  /// Since when the target takes nothing; nil while it does.
  public var failingSince: Timestamp?
  /// Why, when it last took nothing.
  public var cause: String?

  /// Makes one of a log that nothing was shipped of.
  public init(log: String) { self.log = log }

  /// In bytes, more than a file of this kind has.
  static let limit = 8192

  /// Reads the file at `path`; nil when there is none.
  ///
  /// - Throws: `ShippingError` when it cannot be read, or is none: a position is not guessed at.
  public static func read(_ path: String) throws(ShippingError) -> ShippingRecord? {
    let bytes: [UInt8]?
    do { bytes = try OwnFile.read(path, limit: limit) } catch { throw .file(error) }
    guard let bytes else { return nil }
    guard let json = try? JSONValue(parsing: bytes, limit: limit), let record = ShippingRecord(json) else {
      throw .badState(path)
    }
    return record
  }

  /// Reads the file at `path`, which must be of `log`; where there is none, nothing was shipped yet.
  public static func of(_ log: String, at path: String) throws(ShippingError) -> ShippingRecord {
    let record = try read(path) ?? ShippingRecord(log: log)
    guard record.log == log else { throw .otherLog(path, log: record.log) }
    return record
  }

  /// Puts this in the place of the file at `path`.
  public func write(_ path: String) throws(ShippingError) {
    do { try OwnFile.replace(path, with: Array((compact(json) + "\n").utf8)) } catch { throw .file(error) }
  }

  private init?(_ json: JSONValue) {
    guard json["version"]?.integer == 1, let log = json["log"]?.text else { return nil }
    self.log = log
    if let sequence = json["seq"]?.integer {
      guard let number = UInt64(exactly: sequence), let file = json["segment"]?.text,
        let hash = json["hash"]?.text.flatMap({ RecordHash(hex: $0.utf8) }),
        let offset = json["offset"]?.integer, offset > 0
      else { return nil }
      position = LogPosition(sequence: number, hash: hash, file: file, offset: offset)
    }
    func number(_ name: String) -> UInt64 { json[name]?.integer.flatMap { UInt64(exactly: $0) } ?? 0 }
    (shipped, resent, refused) = (number("shipped"), number("resent"), number("refused"))
    (lost, unreadable, rewritten) = (number("lost"), number("unreadable"), number("rewritten"))
    confirmedAt = json["confirmed_at"]?.text.flatMap { Timestamp($0) }
    failingSince = json["failing_since"]?.text.flatMap { Timestamp($0) }
    cause = json["cause"]?.text
  }

  /// The members of the file, and of what is said of it.
  public var json: JSONValue {
    func number(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
    return object([
      ("version", .integer(1)), ("log", .string(log)), ("seq", position.map { number($0.sequence) }),
      ("hash", position.map { .string("\($0.hash)") }), ("segment", position.map { .string($0.file) }),
      ("offset", position.map { .integer($0.offset) }),
      ("confirmed_at", confirmedAt.map { .string("\($0)") }), ("shipped", number(shipped)),
      ("resent", number(resent)), ("refused", number(refused)), ("lost", number(lost)),
      ("unreadable", number(unreadable)), ("rewritten", number(rewritten)),
      ("failing_since", failingSince.map { .string("\($0)") }), ("cause", cause.map { .string($0) }),
    ])
  }
}

/// Why nothing is shipped at all.
public enum ShippingError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The log or the state file.
  case file(AuditError)
  /// The state file holds something else.
  case badState(String)
  /// The state file is of another log.
  case otherLog(String, log: String)
  /// Another process ships to the same target.
  case inUse(String)

  public var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .badState(let path):
      "\(path): is no state of shipping. Move it away to ship the whole log anew, or name another one with --state."
    case .otherLog(let path, let log):
      "\(path): is the state of shipping \(log). Name another one with --state."
    case .inUse(let path):
      "\(path): another process ships by this state. Stop it, or name another one with --state."
    }
  }
}

/// How far shipping is behind a log.
public struct ShippingLag: Hashable, Sendable {
  /// The number of the log's last record; nil when it has none.
  public var lastSequence: UInt64?
  /// How many records are not shipped.
  public var records: UInt64
  /// When the first of them happened; nil when there is none.
  public var oldest: Timestamp?

  /// Compares a position with the log at `path`.
  ///
  /// - Throws: `AuditError` when the log cannot be read.
  public init(behind position: LogPosition?, ofLogAt path: String) throws(AuditError) {
    lastSequence = try LogReader.last(ofLogAt: path)?.sequence
    let shipped = position?.sequence ?? 0
    records = lastSequence.map { $0 > shipped ? $0 - shipped : 0 } ?? 0
    guard records > 0 else { return }
    var reader = try Self.reader(behind: position, ofLogAt: path)
    oldest = try reader.next().flatMap { try? LogRecord($0) }?.time
  }

  private static func reader(
    behind position: LogPosition?, ofLogAt path: String
  ) throws(AuditError) -> LogReader {
    guard let position else { return try LogReader(path: path) }
    return try LogReader.behind(position, ofLogAt: path).reader
  }
}

import Glibc

/// The files of one log: `PATH.000001` is the oldest, `PATH` is written to.
struct Segments: Sendable {
  let path: String

  /// The numbers of the files that were set aside, ascending.
  ///
  /// - Throws: `AuditError` when the directory cannot be read: a list that is
  ///   too short would let a file be renamed over an older one.
  func numbers() throws(AuditError) -> [UInt64] {
    let prefix = Array((FileAccess.name(of: path) + ".").utf8)
    return try FileAccess.names(in: FileAccess.parent(of: path)).compactMap { name in
      let bytes = Array(name.utf8)
      guard bytes.starts(with: prefix) else { return nil }
      return Self.number(bytes.dropFirst(prefix.count))
    }.sorted()
  }

  /// Reads six digits or more, as `file(_:)` writes them.
  private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
    guard (6...18).contains(digits.count),
      digits.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
      digits.count == 6 || digits.first != UInt8(ascii: "0")
    else { return nil }
    return UInt64(String(decoding: digits, as: UTF8.self))
  }

  /// The file with that number.
  func file(_ number: UInt64) -> String {
    let digits = String(number)
    return path + "." + String(repeating: "0", count: max(0, 6 - digits.utf8.count)) + digits
  }

  /// The file behind one that is gone: the next number that is there, else the
  /// one that is written to; nil when that is not there either.
  func following(gone path: String) throws(AuditError) -> String? {
    let digits = Array(path.utf8).dropFirst(self.path.utf8.count + 1)
    if let number = Self.number(digits), let next = try numbers().first(where: { $0 > number }) {
      return file(next)
    }
    return FileAccess.status(ofLink: self.path) == nil ? nil : self.path
  }

  /// Renames the file that is written to behind the others.
  ///
  /// - Returns: its new path.
  /// - Throws: `AuditError`; the file is then still in its place.
  func setAside() throws(AuditError) -> String {
    let target = file((try numbers().last ?? 0) + 1)
    guard FileAccess.status(ofLink: target) == nil else { throw AuditError(path: target, problem: .notALog) }
    guard rename(path, target) == 0 else {
      throw AuditError(path: path, problem: .failed(operation: "set aside", lastErrno()))
    }
    return target
  }

  /// Whether the oldest file that is there is the log's first.
  func startAtFirst() throws(AuditError) -> Bool { try numbers().first.map { $0 == 1 } ?? true }

  /// All files that are there, the oldest first.
  func existing() throws(AuditError) -> [String] {
    try numbers().map(file) + (FileAccess.status(ofLink: path) == nil ? [] : [path])
  }
}

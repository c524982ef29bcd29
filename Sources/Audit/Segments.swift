/// The files of one log: `PATH.000001` is the oldest, `PATH` is written to.
struct Segments: Sendable {
  let path: String

  /// The numbers of the files that were set aside, ascending.
  var numbers: [UInt64] {
    let prefix = Array((FileAccess.name(of: path) + ".").utf8)
    return FileAccess.names(in: FileAccess.parent(of: path)).compactMap { name in
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

  /// Where the file that is written to goes next.
  var next: String { file((numbers.last ?? 0) + 1) }

  /// Whether the oldest file that is there is the log's first.
  var startsAtFirst: Bool { numbers.first.map { $0 == 1 } ?? true }

  /// All files that are there, the oldest first.
  var existing: [String] {
    numbers.map(file) + (FileAccess.status(ofLink: path) == nil ? [] : [path])
  }
}

/// One header field.
public struct Field: Hashable, Sendable {
  /// The name in lower case: a token (RFC 9110 §5.6.2), never empty.
  public let name: String
  /// The value without white space around it: visible ASCII, spaces, tabs and
  /// bytes from 0x80; never CR, LF or NUL. Not for the log.
  public let value: [UInt8]
}

/// Where one field lies in its head.
struct FieldEntry: Hashable, Sendable {
  var name: FieldName
  var nameStart: UInt32
  var nameEnd: UInt32
  var valueStart: UInt32
  var valueEnd: UInt32
}

/// The header fields of a message in the order they came in, repeated ones too.
public struct FieldList: Hashable, Sendable, RandomAccessCollection {
  /// The whole head as it came in.
  let bytes: [UInt8]
  let entries: [FieldEntry]

  public var startIndex: Int { 0 }
  public var endIndex: Int { entries.count }

  /// The field at `position`.
  public subscript(position: Int) -> Field {
    Field(
      name: String(decoding: rawName(of: entries[position]).map(lowerCased), as: UTF8.self),
      value: Array(value(of: entries[position])))
  }

  /// The values of every field called `name`, which is compared without case.
  public func values(of name: String) -> [[UInt8]] {
    let wanted = name.utf8.map(lowerCased)
    return entries.filter { rawName(of: $0).elementsEqual(wanted) { lowerCased($0) == $1 } }
      .map { Array(value(of: $0)) }
  }

  /// The name as it was sent.
  func rawName(of entry: FieldEntry) -> ArraySlice<UInt8> {
    bytes[Int(entry.nameStart)..<Int(entry.nameEnd)]
  }

  func value(of entry: FieldEntry) -> ArraySlice<UInt8> {
    bytes[Int(entry.valueStart)..<Int(entry.valueEnd)]
  }

  func count(of name: FieldName) -> Int {
    var count = 0
    for entry in entries where entry.name == name { count += 1 }
    return count
  }

  /// The value of the first field with this name.
  func first(_ name: FieldName) -> ArraySlice<UInt8>? {
    for entry in entries where entry.name == name { return value(of: entry) }
    return nil
  }

  /// What the `Connection` fields list, without white space; empty elements
  /// are left out (RFC 9110 §5.6.1).
  var connectionOptions: [ArraySlice<UInt8>] {
    var options: [ArraySlice<UInt8>] = []
    for entry in entries where entry.name == .connection {
      for option in value(of: entry).split(separator: UInt8(ascii: ",")) {
        let option = trimmed(option)
        if !option.isEmpty { options.append(option) }
      }
    }
    return options
  }
}

/// The members of a record that reviews look at, found in the bytes of its line in one pass, without a copy.
///
/// A line that is anything but what `RecordEncoder` writes (an escape in one of these members, a repeated one,
/// a number that is no whole one, white space) is not judged here: the scan fails, and whoever asks reads the
/// line in full. So a scan that succeeds says what the full reading says; a test holds both against each other.
struct RecordScan {
  /// The text members that are looked at.
  enum Text: Int, CaseIterable {
    case event, agent, traffic, layer, reason, rule, verdict, method, hostname, address, recordType, process

    /// A literal, since it is part of a type.
    static let count = 12
  }

  /// The whole numbers and truth values that are looked at.
  enum Number: Int {
    case time, first, amount, port, bytesIn, bytesOut, lostEvents, wouldDeny, isOverflow

    static let count = 9
  }

  private var texts: [12 of Range<Int32>] = .init(repeating: 0..<0)
  private var numbers: [9 of Int64] = .init(repeating: 0)
  /// One bit for each member that was met: texts, numbers, objects.
  private var seen: UInt32 = 0

  /// Reads a line without its end; nil for one that must be read in full.
  init?(_ line: UnsafeRawBufferPointer) {
    var cursor = ByteCursor(line)
    guard members(of: .record, &cursor, depth: 0), cursor.isAtEnd else { return nil }
  }

  /// Where a text member stands in the line; nil where it is not there.
  subscript(_ text: Text) -> Range<Int>? {
    guard seen & Self.bit(text) != 0 else { return nil }
    let range = texts[text.rawValue]
    return Int(range.lowerBound)..<Int(range.upperBound)
  }

  /// A number, 0 and 1 for false and true; nil where it is not there.
  subscript(_ number: Number) -> Int64? {
    seen & Self.bit(number) != 0 ? numbers[number.rawValue] : nil
  }

  private static func bit(_ text: Text) -> UInt32 { 1 << UInt32(text.rawValue) }
  private static func bit(_ number: Number) -> UInt32 { 1 << UInt32(Text.count + number.rawValue) }
  private static func bit(_ object: Part) -> UInt32 {
    1 << UInt32(Text.count + Number.count + object.rawValue)
  }
}

// MARK: - Walking

extension RecordScan {
  /// The objects in which members stand that are looked at.
  private enum Part: Int {
    case record, unmapped, destination, query, traffic, actor, process
  }

  /// What a member is to the scan.
  private enum Member {
    case text(Text)
    case number(Number)
    case flag(Number)
    case object(Part)
    case other
  }

  /// Reads an object from its brace to its brace.
  private mutating func members(of part: Part, _ cursor: inout ByteCursor, depth: Int) -> Bool {
    // Records have three levels.
    guard depth < 8, cursor.take(UInt8(ascii: "{")) else { return false }
    if cursor.take(UInt8(ascii: "}")) { return true }
    repeat {
      guard let name = cursor.plainString(), cursor.take(UInt8(ascii: ":")),
        member(Self.member(of: part, MemberName(cursor.bytes, name)), &cursor, depth: depth)
      else { return false }
    } while cursor.take(UInt8(ascii: ","))
    return cursor.take(UInt8(ascii: "}"))
  }

  private mutating func member(_ member: Member, _ cursor: inout ByteCursor, depth: Int) -> Bool {
    switch member {
    case .other: return cursor.skipValue(depth: depth + 1)
    case .object(let part): return once(Self.bit(part)) && members(of: part, &cursor, depth: depth + 1)
    case .text(let text):
      guard once(Self.bit(text)), let value = cursor.plainString() else { return false }
      texts[text.rawValue] = Int32(value.lowerBound)..<Int32(value.upperBound)
      return true
    case .number(let number):
      guard once(Self.bit(number)), let value = cursor.integer() else { return false }
      numbers[number.rawValue] = value
      return true
    case .flag(let number):
      guard once(Self.bit(number)), let value = cursor.bool() else { return false }
      numbers[number.rawValue] = value ? 1 : 0
      return true
    }
  }

  /// Marks a member as met; false when it was before.
  private mutating func once(_ bit: UInt32) -> Bool {
    guard seen & bit == 0 else { return false }
    seen |= bit
    return true
  }

  private static func member(of part: Part, _ name: MemberName) -> Member {
    switch part {
    case .record: ofRecord(name)
    case .unmapped: ofUnmapped(name)
    case .destination: ofDestination(name)
    case .query: name.is("type") ? .text(.recordType) : .other
    case .traffic:
      name.is("bytes_in") ? .number(.bytesIn) : name.is("bytes_out") ? .number(.bytesOut) : .other
    case .actor: name.is("process") ? .object(.process) : .other
    case .process: name.is("name") ? .text(.process) : .other
    }
  }

  private static func ofRecord(_ name: MemberName) -> Member {
    switch name.length {
    case 4: name.is("time") ? .number(.time) : .other
    case 5:
      name.is("query")
        ? .object(.query) : name.is("count") ? .number(.amount) : name.is("actor") ? .object(.actor) : .other
    case 7: name.is("traffic") ? .object(.traffic) : .other
    case 8: name.is("unmapped") ? .object(.unmapped) : .other
    case 10: name.is("start_time") ? .number(.first) : .other
    case 12: name.is("dst_endpoint") ? .object(.destination) : .other
    default: .other
    }
  }

  private static func ofUnmapped(_ name: MemberName) -> Member {
    switch name.length {
    case 4: name.is("rule") ? .text(.rule) : .other
    case 5:
      name.is("event")
        ? .text(.event) : name.is("agent") ? .text(.agent) : name.is("layer") ? .text(.layer) : .other
    case 6: name.is("reason") ? .text(.reason) : name.is("method") ? .text(.method) : .other
    case 7: name.is("verdict") ? .text(.verdict) : .other
    case 8: name.is("protocol") ? .text(.traffic) : name.is("overflow") ? .flag(.isOverflow) : .other
    case 10: name.is("would_deny") ? .flag(.wouldDeny) : .other
    case 11: name.is("events_lost") ? .number(.lostEvents) : .other
    default: .other
    }
  }

  private static func ofDestination(_ name: MemberName) -> Member {
    switch name.length {
    case 2: name.is("ip") ? .text(.address) : .other
    case 4: name.is("port") ? .number(.port) : .other
    case 8: name.is("hostname") ? .text(.hostname) : .other
    default: .other
    }
  }
}

/// The name of a member, where it stands.
private struct MemberName {
  let bytes: UnsafeRawBufferPointer

  init(_ line: UnsafeRawBufferPointer, _ range: Range<Int>) {
    bytes = UnsafeRawBufferPointer(rebasing: line[range])
  }

  var length: Int { bytes.count }

  @inline(__always)
  func `is`(_ word: StaticString) -> Bool {
    guard word.utf8CodeUnitCount == bytes.count else { return false }
    for index in 0..<bytes.count where bytes[index] != word.utf8Start[index] { return false }
    return true
  }
}

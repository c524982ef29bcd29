/// What a message head may measure, in bytes where not said otherwise.
struct HeadLimits {
  /// The start line, without its CR LF.
  var startLine: Int
  /// Everything up to and with the empty line.
  var head: Int
  /// The number of fields.
  var fields: Int

  /// 8000 bytes of target are what RFC 9112 §3 asks for; 16 KiB of head are
  /// twice what the common servers take in one field.
  static let request = HeadLimits(startLine: 8192, head: 16384, fields: 128)
  /// Responses carry cookies and content policies that reach tens of KiB.
  static let response = HeadLimits(startLine: 8192, head: 65536, fields: 256)
}

/// Why bytes are not a message head, before anything in it is understood.
enum HeadError: Error {
  case lineEnd, startLineTooLong, headTooLarge, badField, foldedField, tooManyFields
}

/// A head of which at least the start line came in; places count from the first
/// byte given.
struct RawHead {
  /// The start line without its CR LF.
  var startLine: Range<Int>
  /// One behind the empty line; nil while that has not come in.
  var end: Int?
  /// Empty while `end` is nil.
  var fields: [FieldEntry] = []
}

/// Reads a head; every line must end in CR LF, and neither byte may stand
/// elsewhere (RFC 9112 §2.2, without its leniency).
///
/// - Parameters:
///   - start: The first byte of the start line.
///   - seen: So many leading bytes were looked at before and held no end.
/// - Returns: nil while the start line is not complete.
func readHead(
  in bytes: borrowing Span<UInt8>, from start: Int, seen: Int, limits: HeadLimits
) throws(HeadError) -> RawHead? {
  guard var head = try findHead(in: bytes, from: start, seen: seen, limits: limits) else { return nil }
  if let end = head.end {
    head.fields = try readFields(in: bytes, head.startLine.upperBound + 2..<end, limit: limits.fields)
  }
  return head
}

private func findHead(
  in bytes: borrowing Span<UInt8>, from start: Int, seen: Int, limits: HeadLimits
) throws(HeadError) -> RawHead? {
  let end = try findEmptyLine(in: bytes, from: start, seen: seen, limit: limits.head)
  var lineEnd = start
  let lineLimit = min(bytes.count, start + limits.startLine + 2)
  while lineEnd < lineLimit, bytes[lineEnd] != lineFeed { lineEnd += 1 }
  guard lineEnd < lineLimit else {
    if bytes.count >= start + limits.startLine + 2 { throw .startLineTooLong }
    return nil
  }
  guard lineEnd > start, bytes[lineEnd - 1] == carriageReturn else { throw .lineEnd }
  if end == nil, bytes.count >= limits.head { throw .headTooLarge }
  return RawHead(startLine: start..<(lineEnd - 1), end: end)
}

private func findEmptyLine(
  in bytes: borrowing Span<UInt8>, from start: Int, seen: Int, limit: Int
) throws(HeadError) -> Int? {
  var index = max(start, seen - 1)
  let end = min(bytes.count, limit)
  while index < end {
    let byte = bytes[index]
    index += 1
    if byte > carriageReturn { continue }
    if byte == carriageReturn, index < bytes.count, bytes[index] != lineFeed { throw .lineEnd }
    guard byte == lineFeed else { continue }
    guard index - 2 >= start, bytes[index - 2] == carriageReturn else { throw .lineEnd }
    if index - 2 == start || bytes[index - 3] == lineFeed { return index }
  }
  return nil
}

/// Reads the field lines in `range`, which ends behind the empty line.
private func readFields(
  in bytes: borrowing Span<UInt8>, _ range: Range<Int>, limit: Int
) throws(HeadError) -> [FieldEntry] {
  var entries: [FieldEntry] = []
  entries.reserveCapacity(8)
  var index = range.lowerBound
  while index < range.upperBound - 2 {
    guard entries.count < limit else { throw .tooManyFields }
    entries.append(try readField(in: bytes, at: &index))
  }
  return entries
}

/// Reads one field line and moves `index` behind its CR LF, which is there.
private func readField(in bytes: borrowing Span<UInt8>, at index: inout Int) throws(HeadError) -> FieldEntry {
  let nameStart = index
  if bytes[index] == space || bytes[index] == tab { throw .foldedField }
  while isToken(bytes[index]) { index += 1 }
  let nameEnd = index
  guard nameEnd > nameStart, bytes[nameEnd] == UInt8(ascii: ":") else { throw .badField }
  index += 1
  while bytes[index] == space || bytes[index] == tab { index += 1 }
  let valueStart = index
  while isFieldContent(bytes[index]) { index += 1 }
  guard bytes[index] == carriageReturn else { throw .badField }
  var valueEnd = index
  while valueEnd > valueStart, bytes[valueEnd - 1] == space || bytes[valueEnd - 1] == tab { valueEnd -= 1 }
  index += 2
  return FieldEntry(
    name: FieldName(bytes, nameStart..<nameEnd), nameStart: UInt32(truncatingIfNeeded: nameStart),
    nameEnd: UInt32(truncatingIfNeeded: nameEnd), valueStart: UInt32(truncatingIfNeeded: valueStart),
    valueEnd: UInt32(truncatingIfNeeded: valueEnd))
}

import Audit

/// A part of a file of a log, of about `size` bytes, with what lets it be found by time and known again.
struct Block: Hashable, Sendable {
  /// In bytes; the last of a file may be shorter.
  static let size: Int64 = 1 << 20

  /// From where its first line begins to behind the end of its last, in bytes.
  var range: Range<Int64>
  /// The earliest and the latest time of its records, in milliseconds since 1970; nil without a record.
  var times: ClosedRange<Int64>?
  /// What stands before its end; nil until it is read.
  var mark: RecordHash?
  /// Of all its lines, wherever they were put together; guards against a changed record, not against people.
  var sum: UInt64 = 0

  /// What a line adds to the sum of its block.
  static func sum(of line: UnsafeRawBufferPointer, at start: Int64) -> UInt64 {
    mix(line, UInt64(bitPattern: start) &* 0x9e37_79b9_7f4a_7c15)
  }

  /// Takes in what follows.
  mutating func extend(to end: Int64, _ times: ClosedRange<Int64>?, sum: UInt64) {
    range = range.lowerBound..<end
    self.sum &+= sum
    guard let times else { return }
    self.times =
      self.times.map { min($0.lowerBound, times.lowerBound)...max($0.upperBound, times.upperBound) }
      ?? times
  }
}

extension [Block] {
  /// Adds a line, to the last block while there is room.
  mutating func add(_ line: Range<Int64>, at time: Int64?, sum: UInt64) {
    add(Block(range: line, times: time.map { $0...$0 }, sum: sum))
  }

  /// Adds a block, joined to the last one while there is room.
  mutating func add(_ block: Block) {
    guard let last = indices.last, self[last].range.upperBound == block.range.lowerBound,
      self[last].range.upperBound - self[last].range.lowerBound < Block.size
    else { return append(block) }
    self[last].extend(to: block.range.upperBound, block.times, sum: block.sum)
    self[last].mark = block.mark
  }
}

/// A file of a log, as far as the index holds it.
struct IndexedFile: Hashable, Sendable {
  /// Its number in the index.
  var id: Int64
  /// When it was last looked at.
  var stamp: FileStamp
  /// Behind the last line that is in the index, in bytes.
  var end: Int64 = 0
  /// Lines before `end` that are no records.
  var unreadable: Int = 0
  /// Whether it was the file that is written to.
  var wasLast: Bool
  var blocks: [Block] = []
  /// The hash of its first line.
  var head: RecordHash?

  /// The latest time of its records, in milliseconds since 1970.
  var latest: Int64? { blocks.compactMap(\.times?.upperBound).max() }
}

/// The counters of one file and hour as bytes: how many, then for each, by rising kind, the step to its kind and
/// its amounts, as variable-length numbers (LEB128), times as differences.
enum CounterCode {
  /// Writes counters of one hour.
  static func bytes(of counters: [Counter]) -> [UInt8] {
    var bytes: [UInt8] = [], before: Int32 = -1
    bytes.reserveCapacity(counters.count * 24)
    append(UInt64(counters.count), to: &bytes)
    for counter in counters.sorted(by: { $0.kind < $1.kind }) {
      let amount = counter.amount
      append(UInt64(counter.kind - before), to: &bytes)
      before = counter.kind
      append(folded(amount.earliest &- counter.hour &* Tally.hourLength), to: &bytes)
      append(folded(amount.last &- amount.earliest), to: &bytes)
      append(folded(amount.first &- amount.earliest), to: &bytes)
      for number in [amount.count, amount.records, amount.bytesOut, amount.bytesIn, amount.lostEvents] {
        append(number, to: &bytes)
      }
    }
    return bytes
  }

  /// Hands over what `bytes(of:)` has written.
  ///
  /// - Returns: false for bytes that it does not write, or a kind that is not below `kinds`.
  static func read(
    _ bytes: UnsafeRawBufferPointer, hour: Int64, kinds: Int, _ body: (Counter) -> Void
  ) -> Bool {
    var reader = NumberReader(bytes), kind: Int64 = -1
    let count = reader.next()
    // Nine numbers each, of a byte at least.
    guard count <= UInt64(bytes.count / 9) else { return false }
    for _ in 0..<count {
      let step = reader.next()
      guard step > 0, step <= UInt64(kinds) else { return false }
      kind += Int64(step)
      guard kind < kinds else { return false }
      body(Counter(kind: Int32(kind), hour: hour, amount: reader.amount(hour: hour)))
    }
    return reader.isAtEnd
  }

  private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// Small numbers of either sign become small numbers.
  private static func folded(_ number: Int64) -> UInt64 { UInt64(bitPattern: number << 1 ^ number >> 63) }
}

/// Reads numbers one after the other; behind the end, or after one that is too long, it reads 0 and is not at its end.
private struct NumberReader {
  private let bytes: UnsafeRawBufferPointer
  private var offset = 0
  private var isBroken = false

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var isAtEnd: Bool { !isBroken && offset == bytes.count }

  mutating func next() -> UInt64 {
    var value: UInt64 = 0, shift: UInt64 = 0
    while offset < bytes.count, shift < 64 {
      let byte = bytes[offset]
      offset += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    isBroken = true
    return 0
  }

  mutating func amount(hour: Int64) -> Amount {
    let earliest = hour &* Tally.hourLength &+ unfolded(next())
    let last = earliest &+ unfolded(next()), first = earliest &+ unfolded(next())
    return Amount(
      count: next(), records: next(), first: first, last: last, earliest: earliest, bytesOut: next(),
      bytesIn: next(), lostEvents: next())
  }

  private func unfolded(_ number: UInt64) -> Int64 {
    Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
  }
}

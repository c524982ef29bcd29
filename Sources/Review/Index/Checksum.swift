/// A sum over the values of a row. SQLite finds broken pages only where their structure is, so each row of the index
/// carries one; it guards against a disk's mistakes, not against people.
struct Checksum {
  /// In 63 bits.
  private(set) var value: Int64 = 1

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    value = Int64(bitPattern: mix(bytes, UInt64(bitPattern: value)) >> 1)
  }

  mutating func add(_ numbers: Int64?...) {
    for number in numbers { add(number) }
  }

  mutating func add(_ number: Int64?) {
    withUnsafeBytes(of: (number == nil ? 1 : 0, number ?? 0) as (Int64, Int64)) { add($0) }
  }

  mutating func add(_ text: String?) {
    guard var text else { return add(nil as Int64?) }
    text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
  }
}

import LogFixtures
import Testing

@testable import Audit

@Suite("Numbers and hashes as text, against the standard library")
struct NumberTextTests {
  static let edges: [UInt64] = [
    0, 1, 9, 10, 15, 16, 99, 100, 0x0909_0909, 0x9a9a_9a9a_a9a9_a9a9, 0xffff_ffff, 0x1_0000_0000, .max - 1,
    .max,
  ]

  @Test("decimal and hexadecimal digits", arguments: edges)
  func edge(value: UInt64) {
    check(value)
  }

  @Test("random numbers of every size")
  func random() {
    var generator = Seeded(state: 3)
    for _ in 0..<5000 { check(generator.next() >> UInt64.random(in: 0..<64, using: &generator)) }
  }

  private func check(_ value: UInt64) {
    var decimal: [UInt8] = [], hex: [UInt8] = []
    appendDecimal(value, to: &decimal)
    appendHex(value, to: &hex)
    let digits = String(value, radix: 16)
    #expect(String(decoding: decimal, as: UTF8.self) == String(value))
    #expect(
      String(decoding: hex, as: UTF8.self) == String(repeating: "0", count: 16 - digits.utf8.count) + digits)
  }

  @Test("a hash reads back from its own text, and from no other")
  func hash() {
    let hash = [1, 2, 3].withUnsafeBytes { RecordHash(hashing: $0) }
    #expect(RecordHash(hex: hash.description.utf8) == hash)
    #expect(RecordHash(hex: hash.description.uppercased().utf8) == nil)
    #expect(RecordHash(hex: hash.description.dropLast().utf8) == nil)
  }
}

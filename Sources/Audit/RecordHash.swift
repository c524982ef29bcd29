import Crypto

/// The SHA-256 of a record, which the next record carries as `prev`.
public struct RecordHash: Hashable, Sendable, CustomStringConvertible {
  /// The 32 bytes as four words, the first bytes in the upper part.
  private var words: InlineWords

  private struct InlineWords: Hashable, Sendable {
    var first: UInt64 = 0, second: UInt64 = 0, third: UInt64 = 0, fourth: UInt64 = 0
  }

  /// What the first record of a log carries as `prev`.
  public static let zero = RecordHash(words: InlineWords())

  private init(words: InlineWords) {
    self.words = words
  }

  /// Hashes `bytes`.
  init(hashing bytes: UnsafeRawBufferPointer) {
    var hash = SHA256()
    hash.update(bufferPointer: bytes)
    words = hash.finalize().withUnsafeBytes { digest in
      let word = { (index: Int) in
        UInt64(bigEndian: digest.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
      }
      return InlineWords(first: word(0), second: word(1), third: word(2), fourth: word(3))
    }
  }

  /// Reads 64 lower-case hexadecimal digits; nil for anything else.
  public init?(hex: some Collection<UInt8>) {
    guard hex.count == 64 else { return nil }
    var words: [UInt64] = [0, 0, 0, 0]
    for (index, byte) in hex.enumerated() {
      guard let nibble = hexNibble(byte), byte < UInt8(ascii: "A") || byte > UInt8(ascii: "F") else {
        return nil
      }
      words[index / 16] = words[index / 16] << 4 | UInt64(nibble)
    }
    self.words = InlineWords(first: words[0], second: words[1], third: words[2], fourth: words[3])
  }

  /// Appends 64 hexadecimal digits.
  func appendHex(to bytes: inout [UInt8]) {
    Audit.appendHex(words.first, to: &bytes)
    Audit.appendHex(words.second, to: &bytes)
    Audit.appendHex(words.third, to: &bytes)
    Audit.appendHex(words.fourth, to: &bytes)
  }

  public var description: String {
    var bytes: [UInt8] = []
    appendHex(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Appends the 16 hexadecimal digits of a word.
func appendHex(_ word: UInt64, to bytes: inout [UInt8]) {
  let digits = (
    hexDigits(UInt32(word >> 32)).bigEndian, hexDigits(UInt32(truncatingIfNeeded: word)).bigEndian
  )
  withUnsafeBytes(of: digits) { bytes.append(contentsOf: $0) }
}

/// The eight digits of a number as the bytes of a word, the first in the upper
/// part: each nibble is spread to a byte of its own, and those above 9 (where
/// adding 6 carries) step from behind `9` to `a`. No branch, no table: two
/// hashes a record made this the second largest cost of a record.
private func hexDigits(_ number: UInt32) -> UInt64 {
  var spread = UInt64(number)
  spread = (spread << 16 | spread) & 0x0000_ffff_0000_ffff
  spread = (spread << 8 | spread) & 0x00ff_00ff_00ff_00ff
  spread = (spread << 4 | spread) & 0x0f0f_0f0f_0f0f_0f0f
  let letters = (spread &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
  return spread &+ 0x3030_3030_3030_3030 &+ letters &* UInt64(UInt8(ascii: "a") - UInt8(ascii: "9") - 1)
}

/// The last record of a chain: its number and its hash.
struct ChainHead: Hashable, Sendable {
  /// 0 before the first record.
  var sequence: UInt64
  var hash: RecordHash

  static let genesis = ChainHead(sequence: 0, hash: .zero)
}

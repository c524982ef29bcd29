import Addressing
import Foundation
import Glibc
import Testing

@testable import PolicyFile

/// Small pure parts of the reader.
@Suite struct ScalarTests {
  @Test(
    "plain scalars stand for what YAML 1.2's core schema says",
    arguments: [
      ("", .null), ("~", .null), ("null", .null), ("Null", .null), ("nUll", .text("nUll")),
      ("true", .boolean(true)), ("False", .boolean(false)), ("yes", .text("yes")), ("on", .text("on")),
      ("443", .integer(443)), ("-1", .integer(-1)), ("+7", .integer(7)), ("0443", .integer(443)),
      ("0x1F", .integer(31)), ("0o17", .integer(15)), ("0x", .text("0x")), ("0b1", .text("0b1")),
      ("99999999999999999999", .integer(nil)), ("1.5", .fraction), ("1.", .fraction), (".5", .fraction),
      ("1e3", .fraction), ("1e", .text("1e")), (".", .text(".")), (".inf", .fraction), ("-.inf", .fraction),
      (".nan", .fraction), ("12:30", .text("12:30")), ("1_000", .text("1_000")), ("8s", .text("8s")),
      ("127.0.0.1", .text("127.0.0.1")), ("2027-01-31", .text("2027-01-31")), ("-", .text("-")),
    ] as [(String, ScalarValue)])
  func plain(_ text: String, _ value: ScalarValue) {
    #expect(Node(mark: .start, content: .scalar(text: text, isPlain: true)).scalar == value)
    #expect(Node(mark: .start, content: .scalar(text: text, isPlain: false)).scalar == .text(text))
  }

  @Test(
    "sizes have binary units, and nothing else is a size",
    arguments: [
      ("0B", 0), ("512B", 512), ("4KiB", 4096), ("50MiB", 52_428_800), ("2GiB", 2_147_483_648),
      ("1TiB", 1_099_511_627_776), ("1", nil), ("1KB", nil), ("1 KiB", nil), ("1kib", nil), ("-1B", nil),
      ("01B", nil), ("B", nil), ("", nil), ("1.5MiB", nil), ("999999999999TiB", nil), ("9999999999999B", nil),
    ] as [(String, UInt64?)])
  func sizes(_ text: String, _ bytes: UInt64?) {
    #expect(parseSize(text) == bytes)
  }

  @Test(
    "durations have one unit, and ten years are the most",
    arguments: [
      ("0s", .zero), ("500ms", .milliseconds(500)), ("8s", .seconds(8)), ("15m", .seconds(900)),
      ("1h", .seconds(3600)), ("30d", .seconds(2_592_000)), ("3650d", .seconds(315_360_000)), ("3651d", nil),
      ("1h30m", nil), ("8", nil), ("8S", nil), ("1y", nil), ("999999999999d", nil), ("٣s", nil),
    ] as [(String, Duration?)])
  func durations(_ text: String, _ duration: Duration?) {
    #expect(parseDuration(text) == duration)
  }

  @Test(
    "the nearest word is named when it is near",
    arguments: [
      ("acton", "action"), ("actoin", "action"), ("port", "ports"), ("allow_private", "allow-private"),
      ("Action", "action"), ("xyz", nil), ("", nil), (String(repeating: "a", count: 100_000), nil),
    ] as [(String, String?)])
  func nearestWord(_ text: String, _ word: String?) {
    #expect(nearest(to: text, in: RuleReader.keys) == word)
  }

  @Test("the edit distance is that of its definition")
  func editDistanceTwin() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<300 {
      let words = (0..<2).map { _ in
        (0..<Int.random(in: 0...5, using: &random)).map { _ in UInt8.random(in: 97...99) }
      }
      #expect(editDistance(words[0], words[1]) == naiveDistance(words[0][...], words[1][...]))
    }
  }

  /// Optimal string alignment, word for word from its recurrence.
  private func naiveDistance(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Int {
    guard let x = a.last, let y = b.last else { return a.count + b.count }
    var best = min(
      naiveDistance(a.dropLast(), b) + 1, naiveDistance(a, b.dropLast()) + 1,
      naiveDistance(a.dropLast(), b.dropLast()) + (x == y ? 0 : 1))
    if a.count > 1, b.count > 1, x == b[b.endIndex - 2], a[a.endIndex - 2] == y {
      best = min(best, naiveDistance(a.dropLast(2), b.dropLast(2)) + 1)
    }
    return best
  }

  @Test(
    "POL-12: the remedy for an odd IPv4 spelling is what inet_aton makes of it",
    arguments: [
      "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "1.2.3", "0x7f.1", "4294967295", "4294967296",
      "256.1",
      "1.2.3.256", "0", "08", "1..2", "1.2.3.4.5", "a.b", "", ".", "0x", "0xg", "-1", "+1", "1.16777216",
      "1.16777215",
    ])
  func oddAddresses(_ text: String) {
    var parsed = in_addr()
    // glibc takes no "0x" alone, and browsers do; the policy is refused either way.
    guard text != "0x" else { return }
    let expected = inet_aton(text, &parsed) == 1 ? UInt32(bigEndian: parsed.s_addr) : nil
    #expect(canonicalSpelling(ofOddAddress: text[...]) == expected.map { .v4($0) })
  }

  @Test("what a diagnostic shows of a file cannot drive a terminal")
  func quoting() {
    #expect(quoted("a\u{1b}[2J\u{202e}b\n\u{9b}") == "'a\\u{1B}[2J\\u{202E}b\\n\\u{009B}'")
    #expect(quoted("bücher") == "'bücher'")
    #expect(quoted(String(repeating: "a", count: 1000)).unicodeScalars.count == 63)
  }
}

import Policy
import Testing

@Suite("Timestamp")
struct TimestampTests {
  static let valid: [(text: String, milliseconds: Int64, because: String)] = [
    ("1970-01-01T00:00:00Z", 0, "the epoch"),
    ("2000-02-29T23:59:59.999Z", 951_868_799_999, "a leap day of a year that 400 divides"),
    ("2026-11-24T10:00:00Z", 1_795_514_400_000, "an ordinary day"),
    ("2026-11-24T12:00:00.5+02:00", 1_795_514_400_500, "east of Greenwich is earlier in UTC"),
    ("2026-11-24T04:30:00-05:30", 1_795_514_400_000, "west is later"),
    ("1969-12-31T23:59:59.999Z", -1, "before the epoch"),
    ("0000-03-01T00:00:00Z", -62_162_035_200_000, "the first day of the count"),
    ("2026-11-24t10:00:00.123456789z", 1_795_514_400_123, "small letters, more digits than counted"),
  ]

  @Test("reads RFC 3339", arguments: valid)
  func reads(_ text: String, _ milliseconds: Int64, _ because: String) {
    #expect(Timestamp(text)?.milliseconds == milliseconds, "\(because)")
  }

  static let invalid = [
    "", "2026-11-24", "2026-11-24T10:00Z", "2026-11-24T10:00:00", "2026-11-24 10:00:00Z",
    "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
    "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
    "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx", "+026-01-01T00:00:00Z",
    "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+0100", "٢٠٢٦-01-01T00:00:00Z", "20266-01-01T00:00:00Z",
  ]

  @Test("refuses every other form", arguments: invalid)
  func refuses(_ text: String) {
    #expect(Timestamp(text) == nil)
  }

  @Test("what is written reads back, over all the years four digits hold")
  func roundTrip() {
    var numbers = SeededNumbers(seed: 7)
    for _ in 0..<2000 {
      let time = Timestamp(
        milliseconds: Int64.random(in: -62_162_035_200_000...253_402_300_799_999, using: &numbers))
      #expect(Timestamp(time.description) == time, "\(time)")
    }
  }

  @Test("OPS-06: no clock value traps")
  func extremes() {
    for value in [Int64.min, .min + 1, -1, 0, .max] {
      #expect(Timestamp(milliseconds: value).description.hasSuffix("Z"))
      _ = Timestamp(milliseconds: value) + .seconds(Int64.max)
      _ = Timestamp(milliseconds: value) + .seconds(Int64.min)
    }
    #expect(Timestamp(milliseconds: 1000) + .milliseconds(1500) == Timestamp(milliseconds: 2500))
  }
}

/// A point in time in UTC, to the millisecond.
public struct Timestamp: Hashable, Comparable, Sendable {
  /// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX time).
  public var milliseconds: Int64

  /// Makes a time.
  public init(milliseconds: Int64) {
    self.milliseconds = milliseconds
  }

  public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

  /// The time `duration` later; at the end of what the type holds, the last time there is.
  public static func + (time: Timestamp, duration: Duration) -> Timestamp {
    let (seconds, attoseconds) = duration.components
    let (whole, tooLong) = seconds.multipliedReportingOverflow(by: 1000)
    let (span, tooMuch) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
    let (sum, tooLate) = time.milliseconds.addingReportingOverflow(span)
    guard !tooLong, !tooMuch, !tooLate else { return Timestamp(milliseconds: seconds < 0 ? .min : .max) }
    return Timestamp(milliseconds: sum)
  }
}

extension Timestamp {
  /// Reads `2027-01-31T00:00:00Z`, with any fraction of a second (cut to
  /// milliseconds) and `Z` or `+hh:mm` / `-hh:mm` at the end.
  ///
  /// - Returns: nil for every other form, for a date that no calendar has, and
  ///   for second 60.
  /// - Source: RFC 3339 §5.6.
  public init?(_ text: String) {
    var scanner = DigitScanner(bytes: Array(text.utf8))
    guard let year = scanner.number(digits: 4), scanner.skip("-"),
      let month = scanner.number(digits: 2), scanner.skip("-"), let day = scanner.number(digits: 2),
      (1...12).contains(month), (1...daysIn(month: month, of: year)).contains(day),
      scanner.skip("Tt"), let clock = scanner.clock(), let millisecond = scanner.fraction(),
      let offset = scanner.offset(), scanner.isAtEnd
    else { return nil }
    let seconds = daysSince1970(year: year, month: month, day: day) * 86_400 + clock - offset
    milliseconds = Int64(seconds * 1000 + millisecond)
  }
}

extension Timestamp: CustomStringConvertible {
  /// `2026-11-24T10:00:00.000Z`.
  public var description: String {
    let day = milliseconds.quotientFloored(by: 86_400_000)
    let rest = milliseconds.remainderFloored(by: 86_400_000)
    let date = civilDate(daysSince1970: day)
    let clock = [rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60].map { padded($0, to: 2) }
    return padded(date.year, to: 4) + "-" + padded(date.month, to: 2) + "-" + padded(date.day, to: 2)
      + "T" + clock.joined(separator: ":") + "." + padded(rest % 1000, to: 3) + "Z"
  }
}

/// Reads fixed fields of digits from the left.
private struct DigitScanner {
  var bytes: [UInt8]
  var position = 0

  var isAtEnd: Bool { position == bytes.count }

  mutating func number(digits: Int) -> Int? {
    guard bytes.count - position >= digits else { return nil }
    var value = 0
    for byte in bytes[position..<(position + digits)] {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    position += digits
    return value
  }

  /// Steps over one byte out of `choices`.
  mutating func skip(_ choices: String) -> Bool {
    guard position < bytes.count, choices.utf8.contains(bytes[position]) else { return false }
    position += 1
    return true
  }

  /// `hh:mm:ss` in seconds.
  mutating func clock() -> Int? {
    guard let hour = number(digits: 2), skip(":"), let minute = number(digits: 2), skip(":"),
      let second = number(digits: 2), hour < 24, minute < 60, second < 60
    else { return nil }
    return (hour * 60 + minute) * 60 + second
  }

  /// `.digits` in milliseconds, 0 without a dot; nil for a dot without digits.
  mutating func fraction() -> Int? {
    guard skip(".") else { return 0 }
    var value = 0, weight = 100, digits = 0
    while let digit = number(digits: 1) {
      (value, weight, digits) = (value + digit * weight, weight / 10, digits + 1)
    }
    return digits > 0 ? value : nil
  }

  /// The zone's distance from UTC in seconds.
  mutating func offset() -> Int? {
    if skip("Zz") { return 0 }
    let isWest = position < bytes.count && bytes[position] == UInt8(ascii: "-")
    guard skip("+-"), let hour = number(digits: 2), skip(":"), let minute = number(digits: 2),
      hour < 24, minute < 60
    else { return nil }
    return (hour * 60 + minute) * (isWest ? -60 : 60)
  }
}

private func isLeap(_ year: Int) -> Bool {
  year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400))
}

private func daysIn(month: Int, of year: Int) -> Int {
  switch month {
  case 2: isLeap(year) ? 29 : 28
  case 4, 6, 9, 11: 30
  default: 31
  }
}

/// Days in 400 years of the Gregorian calendar, and from 0000-03-01 to 1970-01-01.
private let daysPerEra = 146_097, daysBefore1970 = 719_468

/// Counts days with years that begin in March, so that the leap day comes last.
private func daysSince1970(year: Int, month: Int, day: Int) -> Int {
  let marchYear = month > 2 ? year : year - 1
  let era = marchYear.quotientFloored(by: 400), yearOfEra = marchYear.remainderFloored(by: 400)
  let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
  return era * daysPerEra + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - daysBefore1970
}

private func civilDate(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
  let shifted = days + Int64(daysBefore1970)
  let era = shifted.quotientFloored(by: Int64(daysPerEra))
  let dayOfEra = shifted.remainderFloored(by: Int64(daysPerEra))
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let marchMonth = (5 * dayOfYear + 2) / 153
  let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
}

private func padded(_ value: Int64, to width: Int) -> String {
  let digits = String(value.magnitude)
  return (value < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}

extension BinaryInteger {
  /// The quotient rounded towards minus infinity; `divisor` is positive.
  fileprivate func quotientFloored(by divisor: Self) -> Self {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }

  /// What `quotientFloored` leaves: 0 to `divisor` - 1.
  fileprivate func remainderFloored(by divisor: Self) -> Self {
    let remainder = self % divisor
    return remainder < 0 ? remainder + divisor : remainder
  }
}

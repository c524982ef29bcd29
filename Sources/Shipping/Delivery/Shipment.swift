import Audit

/// What is to be done next with records on their way, decided without I/O: time is an argument, in milliseconds of a
/// monotonic clock.
///
/// Records are *sent*, then *confirmed*; after a failure everything that is not confirmed is sent again. So each record
/// arrives at least once, whatever ends in between.
public struct Shipment: Hashable, Sendable {
  /// What is to be done.
  public enum Step: Hashable, Sendable {
    /// Connect.
    case connect
    /// Send the next records.
    case send
    /// Have the far side confirm all that was sent.
    case confirm
    /// Look again for records after so many milliseconds.
    case wait(UInt64)
    /// Stop: everything is confirmed, or nobody waits for the rest.
    case finish(isDrained: Bool)
  }

  private enum Phase: Hashable, Sendable {
    /// There is no connection, and no reason against one.
    case idle
    /// There is none, and before this time none is to be tried.
    case resting(until: UInt64)
    /// There is one.
    case open
  }

  /// How far records are sent and not confirmed, and since when.
  private struct Unconfirmed: Hashable, Sendable {
    var end: LogPosition
    var records: UInt64
    var bytes: Int
    var since: UInt64
  }

  /// Of records that are not confirmed, in bytes: a connection that has taken more is asked to confirm. After each
  /// failure it is half as much, so that something arrives for good over connections that never last long.
  public static let windowBytes = 8 << 20
  /// In milliseconds, how long a record may be unconfirmed on a connection that still takes others.
  public static let windowTime: UInt64 = 30_000
  /// In milliseconds, how often the log is looked at for more.
  public static let pollInterval: UInt64 = 250

  /// The last record that is confirmed; nil before the first.
  public private(set) var confirmed: LogPosition?
  /// How many were confirmed since the start.
  public private(set) var shipped: UInt64 = 0
  /// How many were sent once more.
  public private(set) var resent: UInt64 = 0
  /// Failures since something was last confirmed.
  public private(set) var failures = 0
  /// Whether it ends as soon as nothing is left to send.
  private let endsWhenDrained: Bool
  private var phase = Phase.idle
  private var unconfirmed: Unconfirmed?

  /// Begins behind `confirmed`.
  ///
  /// - Parameter endsWhenDrained: Whether it ends when everything is shipped, and at the first failure.
  public init(behind confirmed: LogPosition?, endsWhenDrained: Bool = false) {
    (self.confirmed, self.endsWhenDrained) = (confirmed, endsWhenDrained)
  }

  /// Whether a pause after a failure goes on.
  public func isResting(at now: UInt64) -> Bool {
    guard case .resting(let until) = phase else { return false }
    return now < until
  }
  /// How many records are sent and not confirmed.
  public var pending: UInt64 { unconfirmed?.records ?? 0 }

  /// Says what to do.
  ///
  /// - Parameters:
  ///   - hasMore: Whether there is anything to send.
  ///   - isStopping: Whether it is to end: what is sent is confirmed, nothing more is sent.
  public func next(at now: UInt64, hasMore: Bool, isStopping: Bool) -> Step {
    let isDone = isStopping || endsWhenDrained && !hasMore
    switch phase {
    case .open:
      guard let unconfirmed else { return hasMore && !isStopping ? .send : isDone ? end(hasMore) : idle }
      let isDue =
        unconfirmed.bytes >= Self.windowBytes >> min(failures, 16)
        || now >= unconfirmed.since + Self.windowTime
      if isDone || isDue { return .confirm }
      return hasMore ? .send : idle
    case .resting(let until):
      if isStopping || endsWhenDrained { return end(true) }
      return now < until ? .wait(min(Self.pollInterval, until - now)) : hasMore ? .connect : idle
    case .idle:
      if isDone { return end(hasMore) }
      return hasMore ? .connect : idle
    }
  }

  private var idle: Step { .wait(Self.pollInterval) }

  private func end(_ hasMore: Bool) -> Step { .finish(isDrained: !hasMore && unconfirmed == nil) }
}

extension Shipment {
  /// A connection stands.
  public mutating func connected() { phase = .open }

  /// The connection was ended in order, with nothing unconfirmed on it.
  public mutating func closed() { phase = .idle }

  /// Records up to `end` were handed over.
  public mutating func sent(_ records: UInt64, bytes: Int, through end: LogPosition, at now: UInt64) {
    var window = unconfirmed ?? Unconfirmed(end: end, records: 0, bytes: 0, since: now)
    window.end = end
    window.records += records
    window.bytes += bytes
    unconfirmed = window
  }

  /// The far side has all that was sent.
  public mutating func confirm() {
    failures = 0
    guard let window = unconfirmed else { return }
    confirmed = window.end
    shipped += window.records
    unconfirmed = nil
  }

  /// Records up to `end` are passed over, since the far side will never take them; nothing may be unconfirmed.
  public mutating func skip(through end: LogPosition) {
    confirmed = end
    failures = 0
  }

  /// Connecting, sending or confirming failed. What was not confirmed is to be sent again.
  ///
  /// - Parameters:
  ///   - chance: From 0 to 1, of which the pause depends, so that many do not come back at once.
  ///   - atLeast: In milliseconds, the pause that the far side asked for.
  /// - Returns: The pause in milliseconds.
  @discardableResult
  public mutating func fail(at now: UInt64, chance: Double, atLeast: UInt64 = 0) -> UInt64 {
    resent += unconfirmed?.records ?? 0
    unconfirmed = nil
    failures += 1
    let pause = max(Backoff.pause(after: failures, chance: chance), min(atLeast, Backoff.longestAsked))
    phase = .resting(until: now + pause)
    return pause
  }
}

/// How long to wait after failures.
public enum Backoff {
  /// In milliseconds, after the first failure.
  static let shortest: UInt64 = 1000
  /// In milliseconds, after many.
  static let longest: UInt64 = 60_000
  /// In milliseconds, the most that the far side may ask for.
  static let longestAsked: UInt64 = 300_000

  /// Twice as long after each failure, of which between a half and all is waited.
  public static func pause(after failures: Int, chance: Double) -> UInt64 {
    let whole = min(longest, shortest << UInt64(min(max(failures, 1) - 1, 16)))
    return whole / 2 + UInt64(Double(whole / 2) * min(max(chance, 0), 1))
  }
}

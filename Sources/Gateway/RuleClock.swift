import EventLoop
import Policy
import Synchronization

/// The time that the rules of one loaded policy run out by.
///
/// It goes with the time of day, and where that is set back it goes on with the
/// time that passes: a rule that has run out stays so, and one that has an hour
/// left has an hour, whatever the time of day says next. Forwards it follows at
/// once: a rule that ends too early is a denial, one that ends too late a hole.
///
/// Each loaded policy has a clock of its own, begun at the time of day, so a
/// clock that was once wrongly ahead is put right by setting it and reloading.
/// Records do not ask this clock: what happened is told by the time of day.
final class RuleClock: Sendable {
  /// The furthest that the time of day ever was ahead of the time since the
  /// boot, in milliseconds.
  private let lead: Atomic<Int64>

  /// Begins at the time of day.
  convenience init() {
    let reading = Self.read()
    self.init(wall: reading.wall, sinceBoot: reading.sinceBoot)
  }

  init(wall: Timestamp, sinceBoot: Int64) {
    lead = Atomic(wall.milliseconds - sinceBoot)
  }

  /// This moment by both clocks.
  func now() -> Moment {
    let reading = Self.read()
    return moment(wall: reading.wall, sinceBoot: reading.sinceBoot)
  }

  /// - Parameter sinceBoot: In milliseconds; never goes back.
  func moment(wall: Timestamp, sinceBoot: Int64) -> Moment {
    let seen = wall.milliseconds - sinceBoot
    // Looked at first, since a write would take the line from every other loop.
    var furthest = lead.load(ordering: .relaxed)
    if seen > furthest { furthest = lead.max(seen, ordering: .relaxed).newValue }
    return Moment(wall: wall, rules: Timestamp(milliseconds: furthest + sinceBoot))
  }

  /// The time of day first: what passes between the two readings must not
  /// count as a lead. CLOCK_BOOTTIME, since a rule ages in suspend as well.
  private static func read() -> (wall: Timestamp, sinceBoot: Int64) {
    let wall = Timestamp.now()
    return (wall, BootTime.milliseconds())
  }
}

/// One moment by the two clocks that a decision needs.
struct Moment: Sendable {
  /// The time of day, for records.
  let wall: Timestamp
  /// What `expires` is held against; see `RuleClock`.
  let rules: Timestamp
}

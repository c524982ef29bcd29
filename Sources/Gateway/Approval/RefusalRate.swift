import EventLoop

/// How much is said of refusals at the control socket: the first few of a while each for itself, then how many.
/// Pure; time is an argument.
struct RefusalRate: Sendable {
  /// Whose refusals are counted together.
  enum Whose: Hashable, Sendable {
    /// Of all users without a role.
    case strangers
    /// Of one with a role, of which a policy has few.
    case reviewer(UInt32)
  }

  private struct While {
    var began: MonotonicTime
    var told = 0
    var more: UInt64 = 0
  }

  static let told = 8
  static let length = Duration.seconds(10)

  private var whiles: [Whose: While] = [:]

  /// Takes note of one; false where it is only counted.
  mutating func hear(_ whose: Whose, at now: MonotonicTime) -> Bool {
    var current = whiles[whose] ?? While(began: now)
    defer { whiles[whose] = current }
    guard current.told < Self.told else {
      current.more += 1
      return false
    }
    current.told += 1
    return true
  }

  /// What was only counted in the whiles that are over; called each second.
  mutating func takeEnded(at now: MonotonicTime) -> [(Whose, UInt64)] {
    let ended = whiles.filter { $0.value.began + Self.length <= now }
    for whose in ended.keys { whiles[whose] = nil }
    return ended.filter { $0.value.more > 0 }.map { ($0.key, $0.value.more) }
  }
}

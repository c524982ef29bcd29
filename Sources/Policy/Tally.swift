/// What a walk over the rules has found so far.
struct Tally {
  /// The foremost deny rule that matches.
  private(set) var deny = Place()
  /// The foremost allow or ask rule that matches.
  private(set) var leave = Place()
  /// The allow or ask rule with the fewest failures.
  private(set) var nearest = Place()
  private(set) var nearestFailures: Failures = []

  /// A rule and its rank; a rank of 0 stands for no rule.
  struct Place {
    var rank: UInt64 = 0
    var rule: UInt32 = 0

    var isFound: Bool { rank > 0 }

    /// Keeps the higher of two ranks; whether it was the new one.
    @discardableResult
    mutating func raise(to other: Place) -> Bool {
      guard other.rank > rank else { return false }
      self = other
      return true
    }
  }

  @inline(__always)
  mutating func take(_ candidate: Candidate, _ failures: Failures, _ facts: RuleFacts) {
    var place = Place(rank: rank(of: candidate, facts), rule: candidate.rule)
    switch (failures.isEmpty, facts.isDeny) {
    case (true, true): deny.raise(to: place)
    case (true, false): leave.raise(to: place)
    case (false, true): break
    case (false, false):
      place.rank |= UInt64(8 - failures.rawValue.nonzeroBitCount) << 56
      if nearest.raise(to: place) { nearestFailures = failures }
    }
  }
}

/// Higher is foremost: the more specific pattern, then the standing. Fits in
/// 56 bits, since a specificity is at most 1000.
@inline(__always)
func rank(of candidate: Candidate, _ facts: RuleFacts) -> UInt64 {
  UInt64(candidate.specificity) << 32 | UInt64(UInt32.max - facts.standing)
}

extension Failures {
  /// The one field to name: whom it is for, then what is spoken, then the rest.
  var nearMiss: NearMiss? {
    if contains(.agent) { return .agent }
    if contains(.traffic) { return .traffic }
    if contains(.port) { return .port }
    if contains(.expired) { return .expired }
    return contains(.request) ? .request : nil
  }

  /// All of them, in the order of the policy language.
  var fields: [Explanation.Field] {
    let order: [(Failures, Explanation.Field)] = [
      (.agent, .agent), (.traffic, .traffic), (.port, .port), (.expired, .expired), (.request, .request),
    ]
    return order.filter { contains($0.0) }.map(\.1)
  }
}

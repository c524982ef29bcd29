import Policy

/// What people refused, and for how long nobody is asked about it again.
struct Refusals: Sendable {
  private struct Entry {
    var count: Int
    /// nil: for good.
    var until: Timestamp?
    var question: PendingID
    var given: Timestamp
    var person: Person
  }

  private var entries: [ApprovalKey: Entry] = [:]
  private let bounds: Bounds

  init(_ bounds: Bounds) { self.bounds = bounds }

  /// Why nobody is asked about this now; nil when somebody is.
  func denial(of key: ApprovalKey, at now: Timestamp) -> Reason? {
    guard let entry = entries[key] else { return nil }
    if entry.count >= bounds.refusals { return .askingEnded }
    guard let until = entry.until else { return .refused }
    return now < until ? .refused : nil
  }

  /// Remembers a refusal of all that a question is about. A table that is full forgets the one that ends first:
  /// it is asked about again then, and passes no more than before.
  mutating func add(_ question: PendingQuestion, forSession: Bool, by person: Person, at now: Timestamp) {
    for member in question.members {
      let count = (entries[member.key]?.count ?? 0) + 1
      let wait = bounds.backOff * (0..<min(count - 1, 8)).reduce(1) { wait, _ in wait * 4 }
      let isFinal = forSession || count >= bounds.refusals
      if entries[member.key] == nil, entries.count >= bounds.refused { forgetOne() }
      entries[member.key] = Entry(
        count: count, until: isFinal ? nil : now + wait, question: question.id, given: now, person: person)
    }
  }

  /// Asks about this again.
  mutating func remove(_ key: ApprovalKey) { entries[key] = nil }

  /// Those that hold until somebody takes them back, the oldest first.
  var standing: [StandingRefusal] {
    var found: [PendingID: StandingRefusal] = [:]
    for (key, entry) in entries where entry.until == nil {
      let hasEnded = entry.count >= bounds.refusals
      found[
        entry.question,
        default: StandingRefusal(
          id: entry.question, keys: [], hasEnded: hasEnded, given: entry.given, person: entry.person)
      ].keys.append(key)
    }
    return found.values.sorted { ($0.given, $0.id.text) < ($1.given, $1.id.text) }
  }

  /// Takes back what was said to one question.
  ///
  /// - Returns: Whether anything was.
  mutating func takeBack(_ question: String) -> Bool {
    let keys = entries.filter { $0.value.question.text == question }.keys
    for key in keys { entries[key] = nil }
    return !keys.isEmpty
  }

  private mutating func forgetOne() {
    let first = entries.min {
      ($0.value.until ?? Timestamp(milliseconds: .max)) < ($1.value.until ?? Timestamp(milliseconds: .max))
    }
    if let first { entries[first.key] = nil }
  }
}

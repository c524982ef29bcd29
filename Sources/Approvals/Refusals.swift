import Policy

/// What people refused, and for how long nobody is asked about it again.
struct Refusals: Sendable {
  private struct Entry {
    var count: Int
    /// nil: for good.
    var until: Timestamp?
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

  /// Remembers a refusal. A table that is full forgets the one that ends first: it is asked about again then,
  /// and passes no more than before.
  mutating func add(_ key: ApprovalKey, forSession: Bool, at now: Timestamp) {
    let count = (entries[key]?.count ?? 0) + 1
    let wait = bounds.backOff * (0..<min(count - 1, 8)).reduce(1) { wait, _ in wait * 4 }
    let isFinal = forSession || count >= bounds.refusals
    if entries[key] == nil, entries.count >= bounds.refused { forgetOne() }
    entries[key] = Entry(count: count, until: isFinal ? nil : now + wait)
  }

  /// Asks about this again.
  mutating func remove(_ key: ApprovalKey) { entries[key] = nil }

  private mutating func forgetOne() {
    let first = entries.min {
      ($0.value.until ?? Timestamp(milliseconds: .max)) < ($1.value.until ?? Timestamp(milliseconds: .max))
    }
    if let first { entries[first.key] = nil }
  }
}

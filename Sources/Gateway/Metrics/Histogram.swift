import EventLoop

/// How long something took, counted by ranges.
struct Histogram: Sendable {
  /// The upper ends of the ranges in seconds; what is longer than the last is counted in one more.
  static let bounds: [Double] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  ]

  private(set) var counts: [UInt64] = []
  /// The sum of all in seconds.
  private(set) var sum = 0.0

  /// How many there were.
  var count: UInt64 { counts.reduce(0, +) }

  mutating func add(_ time: Duration) {
    if counts.isEmpty { counts = Array(repeating: 0, count: Self.bounds.count + 1) }
    let seconds = time / .seconds(1)
    counts[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
    sum += seconds
  }

  mutating func add(_ other: Histogram) {
    guard !other.counts.isEmpty else { return }
    counts = counts.isEmpty ? other.counts : zip(counts, other.counts).map(+)
    sum += other.sum
  }
}

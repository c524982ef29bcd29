import Synchronization

/// How many bytes may still pass: one allowance that any number of relays, on
/// any loop, spend from together.
public final class ByteBudget: Sendable {
  /// In bytes; nil counts without a limit.
  public let limit: UInt64?
  private let used = Atomic<UInt64>(0)

  /// Makes a budget of `limit` bytes, or one that only counts.
  public init(limit: UInt64?) {
    self.limit = limit
  }

  /// The bytes spent so far, never above `limit`.
  public var spent: UInt64 { used.load(ordering: .relaxed) }

  /// The bytes left, or nil without a limit.
  public var remaining: UInt64? { limit.map { $0 - min($0, spent) } }

  /// Spends all of `count` bytes or nothing.
  ///
  /// - Returns: Whether they were spent.
  public func spend(_ count: Int) -> Bool {
    guard count > 0 else { return true }
    return take(upTo: count, allOrNothing: true) == count
  }

  /// Spends as much of `count` bytes as is left.
  ///
  /// - Returns: The bytes spent, 0 to `count`.
  public func take(upTo count: Int) -> Int {
    count > 0 ? take(upTo: count, allOrNothing: false) : 0
  }

  private func take(upTo count: Int, allOrNothing: Bool) -> Int {
    guard let limit else {
      used.wrappingAdd(UInt64(count), ordering: .relaxed)
      return count
    }
    var current = used.load(ordering: .relaxed)
    while true {
      let granted = Int(min(UInt64(count), limit - min(limit, current)))
      guard granted > 0, !allOrNothing || granted == count else { return 0 }
      let (exchanged, original) = used.weakCompareExchange(
        expected: current, desired: current + UInt64(granted), ordering: .relaxed)
      if exchanged { return granted }
      current = original
    }
  }
}

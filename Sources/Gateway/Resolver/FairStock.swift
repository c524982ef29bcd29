/// A bounded stock that agents, by name or number, draw from and give back to.
///
/// An agent may hold `each`, and never more than is left for the others: `n`
/// greedy agents leave one part in `n + 1` free, however many they are, so that
/// one which holds nothing always gets something (the dynamic threshold of
/// shared-memory switches).
struct FairStock<Holder: Hashable> {
  private let total: Int
  private let each: Int
  private var held: [Holder: Int] = [:]
  private(set) var taken = 0

  /// - Parameters:
  ///   - total: What there is.
  ///   - each: The most that one agent holds.
  init(total: Int, each: Int) {
    self.total = total
    self.each = each
  }

  /// Takes one for `agent`; false when it holds its part already.
  mutating func take(for agent: Holder) -> Bool {
    let own = held[agent, default: 0]
    guard own < min(each, total - taken) else { return false }
    held[agent] = own + 1
    taken += 1
    return true
  }

  /// Gives back one that was taken for `agent`. Who holds nothing is not remembered.
  mutating func give(of agent: Holder) {
    guard let own = held[agent] else { return }
    held[agent] = own > 1 ? own - 1 : nil
    taken -= 1
  }
}

import Addressing

/// Finds every block of addresses of one family that holds an address: one
/// binary search for each length of prefix that the policy uses.
struct PrefixIndex {
  private let levels: [Level]
  private let candidates: [Candidate]

  private struct Level {
    var mask: UInt128
    /// The blocks' first addresses, in order.
    var blocks: [UInt128] = []
    /// For each block, where its candidates are.
    var places: [Range<Int>] = []
  }

  /// Builds the index of all blocks in `rules` that are IPv4, or are not.
  init(_ rules: [Rule], isV4: Bool) {
    var groups: [Int: [UInt128: [Candidate]]] = [:]
    for (number, rule) in rules.enumerated() {
      for (place, pattern) in rule.to.enumerated() {
        guard case .prefix(let block) = pattern, block.address.isV4 == isV4 else { continue }
        groups[block.length, default: [:]][block.address.leftAligned, default: []].append(
          Candidate(rule: UInt32(number), pattern: UInt32(place), specificity: pattern.specificity))
      }
    }
    var levels: [Level] = [], candidates: [Candidate] = []
    for (length, blocks) in groups {
      var level = Level(mask: length == 0 ? 0 : ~0 << UInt128(128 - length))
      for (block, group) in blocks.sorted(by: { $0.key < $1.key }) {
        level.blocks.append(block)
        level.places.append(candidates.count..<(candidates.count + group.count))
        candidates += group
      }
      levels.append(level)
    }
    (self.levels, self.candidates) = (levels, candidates)
  }

  /// Hands over every pattern whose block holds `address`, in no order to rely on.
  @inline(__always)
  func forEachMatch(of address: IPAddress, _ body: (Candidate) -> Void) {
    let number = address.leftAligned
    for level in levels {
      guard let place = position(of: number & level.mask, in: level.blocks) else { continue }
      for candidate in candidates[level.places[place]] { body(candidate) }
    }
  }

  private func position(of block: UInt128, in blocks: [UInt128]) -> Int? {
    var low = 0, high = blocks.count
    while low < high {
      let middle = (low + high) / 2
      if blocks[middle] < block { low = middle + 1 } else { high = middle }
    }
    return low < blocks.count && blocks[low] == block ? low : nil
  }
}

extension IPAddress {
  /// The address as a number whose first bit is the address' first bit, so that
  /// one mask fits a prefix length of either family.
  fileprivate var leftAligned: UInt128 {
    switch self {
    case .v4(let value): UInt128(value) << 96
    case .v6(let high, let low): UInt128(high) << 64 | UInt128(low)
    }
  }
}

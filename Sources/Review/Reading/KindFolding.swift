import Policy

/// Gives kinds of records their numbers, and folds those that are too many to be told apart.
///
/// Those that a rule stands behind have a tree of their own: no flood of what no rule speaks of takes their room.
struct KindFolding: Sendable {
  /// By number; where `standIns` has another one, a kind that was folded.
  private(set) var kinds: [RecordKind?] = []
  private var numbers: [RecordKind: Int32] = [:]
  /// By number: which one stands for it.
  private var standIns: [Int32] = []
  private var free: [Int32] = []
  private var trees: [FoldTree]
  /// Those that were folded, with numbers that counters may still have.
  private(set) var dead: [Int32] = []
  /// Those that were added.
  private(set) var added: Set<Int32> = []

  /// Makes one without kinds.
  ///
  /// - Parameter limit: How many are told apart in each tree.
  init(limit: Int) { trees = [FoldTree(limit: limit), FoldTree(limit: limit)] }

  /// How often the caps of each tree were halved.
  var halvings: [Int] { trees.map(\.halvings) }

  /// How many numbers there are, those that are free among them.
  var count: Int { kinds.count }

  /// Goes on with kinds that have numbers already.
  init(_ kinds: [RecordKind?], halvings: [Int], limit: Int) {
    self.init(limit: limit)
    narrow(to: halvings)
    self.kinds = kinds
    standIns = kinds.indices.map { Int32($0) }
    for (place, kind) in kinds.enumerated() {
      guard let kind else {
        free.append(Int32(place))
        continue
      }
      numbers[kind] = Int32(place)
    }
    for (place, kind) in kinds.enumerated() { if let kind { hang(Int32(place), kind) } }
  }

  /// The number of a kind, or of what it is folded into.
  mutating func number(of kind: RecordKind) -> Int32 {
    if let number = numbers[kind] { return number }
    guard kind.isChosen || kind.fold != nil else { return append(kind) }
    switch trees[kind.tree].spot(for: kind) {
    case .folded(let fold): return number(of: kind.folded(fold))
    case .open(let node):
      let number = append(kind)
      hang(number, kind, on: node)
      return standIn(of: number)
    }
  }

  /// The number that counts for a number that was given earlier.
  func standIn(of number: Int32) -> Int32 {
    var number = number
    while standIns[Int(number)] != number { number = standIns[Int(number)] }
    return number
  }

  /// Takes in all kinds of another one.
  ///
  /// - Returns: By its numbers, ours; those that were folded meanwhile have a stand-in.
  mutating func absorb(_ other: KindFolding) -> [Int32] {
    narrow(to: other.halvings)
    let own = other.kinds.indices.map { place -> Int32 in
      guard other.standIns[place] == place, let kind = other.kinds[place] else { return -1 }
      return number(of: kind)
    }
    return own.indices.map { place in
      let number = own[Int(other.standIn(of: Int32(place)))]
      return number < 0 ? number : standIn(of: number)
    }
  }

  /// Gives numbers of folded kinds free, when no counter has them any more.
  mutating func settle() {
    for number in dead {
      kinds[Int(number)] = nil
      standIns[Int(number)] = number
    }
    free += dead
    added.subtract(dead)
    dead = []
  }
}

extension KindFolding {
  private mutating func append(_ kind: RecordKind) -> Int32 {
    let number: Int32
    if let reused = free.popLast() {
      number = reused
      kinds[Int(number)] = kind
    } else {
      number = Int32(kinds.count)
      kinds.append(kind)
      standIns.append(number)
    }
    numbers[kind] = number
    added.insert(number)
    return number
  }

  private mutating func hang(_ number: Int32, _ kind: RecordKind) {
    guard kind.isChosen || kind.fold != nil,
      case .open(let node) = trees[kind.tree].spot(for: kind)
    else { return }
    hang(number, kind, on: node)
  }

  private mutating func hang(_ number: Int32, _ kind: RecordKind, on node: Int32) {
    let tree = kind.tree
    fold(kind.fold == nil ? trees[tree].add(number, to: node) : trees[tree].addStandIn(number, to: node))
  }

  private mutating func narrow(to halvings: [Int]) {
    for (tree, other) in zip(trees.indices, halvings) { fold(trees[tree].narrow(to: other)) }
  }

  private mutating func fold(_ all: [FoldTree.Folded]) {
    for folded in all {
      for member in folded.members {
        guard let kind = kinds[Int(member)] else { continue }
        numbers[kind] = nil
        dead.append(member)
        let number = number(of: kind.folded(folded.fold))
        standIns[Int(member)] = number
      }
    }
  }
}

extension RecordKind {
  /// Which tree it hangs on.
  fileprivate var tree: Int { isRuled ? 1 : 0 }
}

import Addressing
import Policy

/// Decides which kinds have a number of their own: all while there is room, and then those are folded that are most in
/// one place, so that a flood of names folds itself.
///
/// Kinds hang on a tree of agents, public suffixes and registered domains. A node with more below it than its cap is
/// folded. The caps begin so wide that nothing is, and halve whenever the whole weighs more than `limit`. A
/// folded node goes on to weigh one more than its cap, so weights only grow with what was met: what is folded
/// in the end depends on what stands in a log, not on the order in which, or by how many, it was read.
struct FoldTree: Sendable {
  /// The most kinds that are told apart, but for tests.
  static let limit = 100_000
  /// How many times as much as a registered domain a public suffix may hold, and an agent.
  private static let breadth = (suffix: 16, agent: 64)

  /// Where a kind belongs.
  enum Spot {
    case open(Int32)
    case folded(Fold)
  }

  /// Kinds that are to be told of as one from now on.
  struct Folded {
    var fold: Fold
    var members: [Int32]
  }

  private struct Key: Hashable {
    var parent: Int32
    var agent: String?
    var hosts: HostPattern?
  }

  private struct Node {
    let key: Key
    let fold: Fold
    var children: [Int32] = []
    /// The numbers of kinds, those that stand for folded ones among them.
    var members: [Int32] = []
    /// Of a domain, how many kinds hang on it; else what its children weigh.
    var sum = 0
    var isFolded = false
  }

  private let limit: Int
  /// How often the caps were halved.
  private(set) var halvings = 0
  private var nodes: [Node] = [Node(key: Key(parent: -1), fold: Fold(.everything))]
  private var places: [Key: Int32] = [:]
  private var free: [Int32] = []

  init(limit: Int) { self.limit = limit }

  private var width: Int { limit >> halvings }

  private func cap(_ level: Fold.Level) -> Int {
    switch level {
    case .domain: width
    case .suffix: width * Self.breadth.suffix
    case .agent: width * Self.breadth.agent
    case .everything: width == 0 ? 0 : .max >> 2
    }
  }

  private func weight(_ node: Int32) -> Int {
    min(nodes[Int(node)].sum, cap(nodes[Int(node)].fold.level) + 1)
  }
}

// MARK: - Finding

extension FoldTree {
  /// Where a kind belongs, be it one that stands for folded ones.
  mutating func spot(for kind: RecordKind) -> Spot {
    let level = kind.fold?.level
    if nodes[0].isFolded || level == .everything { return spot(0, level) }
    let agent = child(of: 0, Key(parent: 0, agent: kind.agent), Fold(.agent))
    if nodes[Int(agent)].isFolded || level == .agent { return spot(agent, level) }
    let domain = kind.fold.map { $0.hosts } ?? kind.destination.flatMap { Fold.domain(of: $0.host) }
    let above = level == .suffix ? domain : Fold.suffix(above: domain)
    let suffix = child(of: agent, Key(parent: agent, hosts: above), Fold(.suffix, above))
    if nodes[Int(suffix)].isFolded || level == .suffix { return spot(suffix, level) }
    let node = child(of: suffix, Key(parent: suffix, hosts: domain), Fold(.domain, domain))
    return spot(node, level)
  }

  /// A folded node takes those that stand for what is folded there, and no others.
  private func spot(_ node: Int32, _ level: Fold.Level?) -> Spot {
    let found = nodes[Int(node)]
    return found.isFolded && found.fold.level != level ? .folded(found.fold) : .open(node)
  }

  private mutating func child(of parent: Int32, _ key: Key, _ fold: Fold) -> Int32 {
    if let known = places[key] { return known }
    let node = Node(key: key, fold: fold), number: Int32
    if let reused = free.popLast() {
      (number, nodes[Int(reused)]) = (reused, node)
    } else {
      number = Int32(nodes.count)
      nodes.append(node)
    }
    places[key] = number
    nodes[Int(parent)].children.append(number)
    return number
  }
}

// MARK: - Growing

extension FoldTree {
  /// Hangs a kind on a node.
  ///
  /// - Returns: What must be folded by now, the narrowest first.
  mutating func add(_ member: Int32, to node: Int32) -> [Folded] {
    nodes[Int(node)].members.append(member)
    return grow(node, by: 1)
  }

  /// Hangs a kind that stands for folded ones on a node, which is folded with it.
  mutating func addStandIn(_ member: Int32, to node: Int32) -> [Folded] {
    guard !nodes[Int(node)].isFolded else {
      nodes[Int(node)].members.append(member)
      return []
    }
    let found = nodes[Int(node)]
    let folded = grow(node, by: cap(found.fold.level) + 1 - found.sum)
    nodes[Int(node)].members.append(member)
    return folded
  }

  /// Halves the caps until they are as narrow as another tree's.
  mutating func narrow(to other: Int) -> [Folded] {
    var folded: [Int32] = []
    while halvings < other { folded += halve() }
    return folded.map { drain($0) }
  }

  private mutating func grow(_ start: Int32, by amount: Int) -> [Folded] {
    var node = start, growth = amount, folded: [Int32] = []
    while node >= 0, growth > 0 {
      let before = weight(node), level = nodes[Int(node)].fold.level
      nodes[Int(node)].sum += growth
      if nodes[Int(node)].sum > cap(level), !nodes[Int(node)].isFolded {
        nodes[Int(node)].isFolded = true
        folded.append(node)
      }
      growth = weight(node) - before
      node = nodes[Int(node)].key.parent
    }
    while nodes[0].sum > limit, width > 0 { folded += halve() }
    return folded.map { drain($0) }
  }

  /// Halves the caps, and answers which nodes are folded by that.
  private mutating func halve() -> [Int32] {
    halvings += 1
    return halve(below: 0)
  }

  private mutating func halve(below node: Int32) -> [Int32] {
    var folded = nodes[Int(node)].children.flatMap { halve(below: $0) }
    let found = nodes[Int(node)], cap = cap(found.fold.level)
    if found.isFolded {
      nodes[Int(node)].sum = cap + 1
    } else if found.fold.level != .domain {
      nodes[Int(node)].sum = found.children.reduce(0) { $0 + weight($1) }
    }
    if nodes[Int(node)].sum > cap, !found.isFolded {
      nodes[Int(node)].isFolded = true
      folded.append(node)
    }
    return folded
  }

  /// Takes away all kinds at and below a folded node, and what is below it.
  private mutating func drain(_ node: Int32) -> Folded {
    var members: [Int32] = []
    take(from: node, &members)
    return Folded(fold: nodes[Int(node)].fold, members: members)
  }

  private mutating func take(from node: Int32, _ members: inout [Int32]) {
    members += nodes[Int(node)].members
    for child in nodes[Int(node)].children {
      take(from: child, &members)
      places[nodes[Int(child)].key] = nil
      free.append(child)
    }
    (nodes[Int(node)].members, nodes[Int(node)].children) = ([], [])
  }
}

import Addressing
import Audit
import Policy
import PolicyFile

/// What a policy would have to say so that what passed while the gate watched passes in enforce mode, and nothing
/// else but what its lists and wildcards say.
public struct Suggestion: Sendable {
  /// The most rules: a policy file has at most 1 MiB.
  public static let entryLimit = 1000
  /// The most destinations that are looked at.
  public static let needLimit = 5000

  /// A ready-made list, and the hosts for which it is taken in.
  public struct Inclusion: Hashable, Sendable {
    /// `builtin:npm`.
    public var name: String
    /// The destinations that it covers.
    public var covers: [String]
  }

  /// Ready-made lists, where they cover something.
  public internal(set) var inclusions: [Inclusion] = []
  /// Rules for the rest, the riskiest first.
  public internal(set) var entries: [SuggestedEntry] = []
  /// What passed and is not allowed.
  public internal(set) var leftOut: [LeftOut] = []
  /// How many decisions were looked at.
  public let records: UInt64
  /// The first record's time.
  public let first: Timestamp?
  /// The last record's time.
  public let last: Timestamp?
  /// How many decisions that passed are about places that are too many to be told apart: for those nothing is suggested.
  public var unknown: UInt64 { leftOut.reduce(0) { $1.why == .overflow ? $0 &+ $1.count : $0 } }
  /// What the lists were taken in for.
  var listed: Set<PolicyQuestion> = []

  /// Makes a suggestion from what passed.
  ///
  /// - Parameter base: The policy that it is to be added to; what that allows needs nothing.
  public init(_ summary: LogSummary, beyond base: Policy?, lists: ShippedLists, at now: Timestamp) {
    let observation = Observation(summary, beyond: base, at: now)
    (records, first, last) = (observation.records, summary.first, summary.last)
    leftOut = observation.leftOut
    var needs = observation.needs
    dropUndeclared(from: &needs, base)
    dropRare(from: &needs)
    for need in needs.keys where need.traffic == .http {
      leaveOut(needs[need]?.dropMethods() ?? [], .tooManyMethods)
    }
    let namesAgents = !(base?.agents.isEmpty ?? true)
    // A list speaks to every agent.
    if !namesAgents { takeLists(lists, from: &needs, at: now) }
    var maker = EntryMaker(
      namesAgents: namesAgents, observation: observation, knownDomains: Self.domains(base, lists),
      takenIDs: Set(base?.rules.map(\.id.text) ?? []))
    entries = maker.entries(for: needs)
    keepMostUsed(Self.entryLimit)
    leftOut = Self.joined(leftOut)
  }

  /// Keeps the rules that are used most, and leaves the others out.
  mutating func keepMostUsed(_ count: Int) {
    guard entries.count > count else { return }
    let byUse = entries.indices.sorted { (entries[$1].count, $0) < (entries[$0].count, $1) }
    let kept = Set(byUse.prefix(count))
    for place in entries.indices where !kept.contains(place) { leaveOut(entries[place].questions, .tooMany) }
    entries = entries.indices.filter(kept.contains).map { entries[$0] }
  }

  /// Leaves out the rules that are used least, until the lines of those that are kept have at most `budget` bytes.
  mutating func fit(_ budget: Int) {
    let writer = SuggestionText(self)
    let sizes = entries.map { entry in
      writer.lines(of: entry).reduce(0) { $0 + $1.utf8.count + Self.lineCost }
    }
    var sum = 0, count = 0
    for place in entries.indices.sorted(by: { (entries[$1].count, $0) < (entries[$0].count, $1) }) {
      sum += sizes[place]
      guard sum <= budget else { break }
      count += 1
    }
    keepMostUsed(count)
    leftOut = Self.joined(leftOut)
  }

  /// In bytes: a line's end and its indentation.
  private static let lineCost = 17

  /// What it allows, as it stands in the records.
  var questions: Set<PolicyQuestion> { entries.reduce(into: listed) { $0.formUnion($1.questions) } }

  mutating func leaveOut(_ questions: Set<PolicyQuestion>, _ why: LeftOut.Why) {
    for question in questions {
      leftOut.append(
        LeftOut(place: question.place, agent: question.agent.text, why: why, question: question, count: 1))
    }
  }

  private mutating func dropUndeclared(from needs: inout [Need: Evidence], _ base: Policy?) {
    let declared = Set((base?.agents.map(\.name) ?? []) + [.default])
    for (need, evidence) in needs where !declared.contains(need.agent) {
      leaveOut(evidence.questions, .unknownAgent)
      needs[need] = nil
    }
  }

  private mutating func dropRare(from needs: inout [Need: Evidence]) {
    guard needs.count > Self.needLimit else { return }
    let sorted = needs.sorted { ($1.value.count, "\($0.key)") < ($0.value.count, "\($1.key)") }
    for (need, evidence) in sorted.dropFirst(Self.needLimit) {
      leaveOut(evidence.questions, .tooMany)
      needs[need] = nil
    }
  }

  /// Takes the lists that cover most, until none covers anything.
  private mutating func takeLists(
    _ lists: ShippedLists, from needs: inout [Need: Evidence], at now: Timestamp
  ) {
    var covered: [String: [Need]] = [:], size: [String: Int] = [:]
    for list in lists.lists { size[list.name] = list.policy.rules.count }
    for (need, evidence) in needs {
      let all = evidence.questions.map { question in Set(lists.covering(question, at: now).map(\.name)) }
      guard let first = all.first else { continue }
      for name in all.dropFirst().reduce(first, { $0.intersection($1) }) {
        covered[name, default: []].append(need)
      }
    }
    while let best = covered.filter({ !$0.value.isEmpty }).max(by: { left, right in
      (left.value.count, size[right.key] ?? 0, right.key) < (right.value.count, size[left.key] ?? 0, left.key)
    }) {
      let places = Set(best.value.map { "\(Destination($0.host, $0.port, $0.traffic))" }).sorted()
      inclusions.append(Inclusion(name: best.key, covers: places))
      for need in best.value { listed.formUnion(needs.removeValue(forKey: need)?.questions ?? []) }
      for name in covered.keys { covered[name]?.removeAll { needs[$0] == nil } }
    }
    inclusions.sort { $0.name < $1.name }
  }

  private static func domains(_ base: Policy?, _ lists: ShippedLists) -> Set<String> {
    let rules = (base?.rules ?? []) + lists.lists.flatMap(\.policy.rules)
    return Set(
      rules.flatMap(\.to).map { pattern in
        switch pattern {
        case .exact(let name), .subdomains(let name), .domain(let name):
          (registeredDomain(of: name) ?? name).text
        case .anyName, .prefix: "\(pattern)"
        }
      })
  }

  /// The same things counted together, by why and how often.
  static func joined(_ all: [LeftOut]) -> [LeftOut] {
    var found: [LeftOut: UInt64] = [:]
    for one in all {
      var key = one
      key.count = 0
      found[key, default: 0] &+= one.count
    }
    return found.map { one, count in
      var sum = one
      sum.count = count
      return sum
    }.sorted {
      ($0.why.rawValue, $1.count, $0.place, $0.agent) < ($1.why.rawValue, $0.count, $1.place, $1.agent)
    }
  }
}

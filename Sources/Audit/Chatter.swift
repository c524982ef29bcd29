import Addressing
import Policy

/// Counts identical denials, so that an agent that asks again and again fills
/// neither the log nor the eye of who reads it. Pure: time is an argument.
///
/// The first of a kind is written at once; those that follow within ten seconds
/// are counted and written as one roll-up. Allows are never counted. The ten
/// seconds are those of a monotonic clock, so that nothing is held back while
/// the time of day is behind; the records keep the time of day. Questions to the
/// DNS listener never come here: who answers them counts them, the allowed too.
public struct Chatter: Sendable {
  /// In nanoseconds, between the roll-ups of one kind.
  public static let period: UInt64 = 10_000_000_000
  /// The most kinds that are told apart for one agent; the rest share a bucket.
  public static let keysPerAgent = 512
  /// The most agents that have kinds of their own. An agent beyond them has one
  /// roll-up for all it is denied, so that nothing is ever counted under
  /// another's name; how many those are, the policy that names them bounds.
  public static let agentLimit = 256

  /// What makes denials identical.
  struct Key: Hashable, Sendable {
    var layer: Layer
    var destination: Destination?
    var reason: Reason
    var rule: RuleID?
  }

  struct Entry: Sendable {
    /// On the monotonic clock, in nanoseconds.
    var opened: UInt64
    /// When the last of them came, on the same clock.
    var heard: UInt64
    var count: UInt64 = 0
    var first: Timestamp
    var last: Timestamp
    var reason: Reason
    var layer: Layer
    var generation: UInt64

    init(_ record: DecisionRecord, at now: UInt64) {
      (opened, heard, first, last) = (now, now, record.time, record.time)
      (reason, layer, generation) = (record.reason, record.layer, record.generation)
    }

    mutating func add(_ record: DecisionRecord, at now: UInt64) {
      if count == 0 { (first, last) = (record.time, record.time) }
      count += 1
      heard = max(heard, now)
      (first, last) = (min(first, record.time), max(last, record.time))
      (reason, layer, generation) = (record.reason, record.layer, record.generation)
    }
  }

  struct Bucket: Sendable {
    /// The most kinds that are told apart.
    let keyLimit: Int
    var entries: [Key: Entry] = [:]
    var overflow: Entry?
  }

  private var agents: [AgentName: Bucket] = [:]

  /// Makes an empty table.
  public init() {}

  /// How many kinds are told apart now.
  public var count: Int { agents.values.reduce(0) { $0 + $1.entries.count } }

  /// Whether a record is to be written now; false: it was counted.
  ///
  /// - Parameter now: In nanoseconds, on a clock that never goes back.
  public mutating func admit(_ record: DecisionRecord, at now: UInt64) -> Bool {
    // What a person was asked about stands by itself, so that each request ends decided once.
    guard record.verdict == .deny, record.approval == nil else { return true }
    let fresh = Bucket(keyLimit: agents.count < Self.agentLimit ? Self.keysPerAgent : 0)
    return agents[record.agent, default: fresh].admit(record, at: now)
  }

  /// What was counted for ten seconds or longer at `now`; quiet kinds are forgotten.
  ///
  /// - Parameter now: On the clock that `admit` was given.
  public mutating func rollUps(at now: UInt64) -> [RollUpRecord] {
    collect { now >= $0.opened && now - $0.opened >= Self.period }
  }

  /// Everything that was counted: for the end of the log.
  public mutating func drain() -> [RollUpRecord] {
    collect { _ in true }
  }

  private mutating func collect(_ isDue: (Entry) -> Bool) -> [RollUpRecord] {
    var result: [RollUpRecord] = []
    for agent in Array(agents.keys) {
      agents[agent]?.collect(agent, isDue, into: &result)
      if agents[agent]?.isEmpty == true { agents[agent] = nil }
    }
    return result
  }
}

extension Chatter.Bucket {
  var isEmpty: Bool { entries.isEmpty && overflow == nil }

  mutating func admit(_ record: DecisionRecord, at now: UInt64) -> Bool {
    let key = Chatter.Key(
      layer: record.layer, destination: record.destination, reason: record.reason, rule: record.rule)
    if entries[key] != nil {
      entries[key]?.add(record, at: now)
      return false
    }
    if entries.count < keyLimit {
      entries[key] = Chatter.Entry(record, at: now)
      return true
    }
    guard overflow == nil else {
      overflow?.add(record, at: now)
      return false
    }
    overflow = Chatter.Entry(record, at: now)
    return true
  }

  mutating func collect(
    _ agent: AgentName, _ isDue: (Chatter.Entry) -> Bool, into result: inout [RollUpRecord]
  ) {
    for (key, entry) in entries where isDue(entry) {
      entries[key] = next(entry)
      guard entry.count > 0 else { continue }
      result.append(
        RollUpRecord(
          agent: agent, layer: key.layer, destination: key.destination, reason: key.reason, rule: key.rule,
          generation: entry.generation, count: entry.count, first: entry.first, last: entry.last))
    }
    guard let entry = overflow, isDue(entry) else { return }
    overflow = next(entry)
    guard entry.count > 0 else { return }
    result.append(
      RollUpRecord(
        agent: agent, layer: entry.layer, destination: nil, reason: entry.reason,
        generation: entry.generation, count: entry.count, first: entry.first, last: entry.last,
        isOverflow: true))
  }

  /// A kind that was heard of goes on being counted; a quiet one is forgotten.
  private func next(_ entry: Chatter.Entry) -> Chatter.Entry? {
    guard entry.count > 0 else { return nil }
    var next = entry
    (next.count, next.opened) = (0, entry.heard)
    return next
  }
}

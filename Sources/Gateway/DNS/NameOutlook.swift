import Addressing
import Policy
import Wire

/// What the DNS listener would answer about a name, as far as the policy alone
/// decides it: real answers, nothing asked, nothing remembered.
public struct NameOutlook: Sendable {
  /// What comes of a question.
  public enum Answer: String, Hashable, Sendable {
    /// The upstreams are asked, and their addresses pass the floor or do not.
    case forwarded
    /// NOERROR without records.
    case noData = "no-data"
    /// One HINFO record (RFC 8482 §4.2).
    case minimal
    /// REFUSED.
    case refused
    /// NXDOMAIN.
    case nameDoesNotExist = "nxdomain"
  }

  /// The answer to some types.
  public struct Entry: Sendable {
    /// The types' names; empty: all others, or all.
    public var types: [String]
    /// What they get.
    public var answer: Answer
    /// Why; the answer to hold against is that of the question, not of the name.
    public var decision: Decision
    /// The extended error in the answer (RFC 8914 §4).
    public var extendedError: UInt16?
  }

  /// The answers, the most telling first.
  public let entries: [Entry]

  /// Asks for all types of a name.
  public init(of host: Hostname, agent: AgentName, under policy: Policy, at now: Timestamp) {
    let judge = Judge(host: host, agent: agent, policy: policy, now: now)
    let address = judge.entry(for: .a)
    var entries = [address]
    guard address.answer == .forwarded else {
      entries[0].types = []
      self.entries = entries
      return
    }
    entries[0].types = RecordTypes.addresses
    var others = judge.entry(for: Self.unnamed)
    for type in RecordTypes.open.compactMap(RecordTypes.number) {
      entries.add(judge.entry(for: DNSRecordType(rawValue: type)), unless: others)
    }
    entries.add(judge.entry(for: DNSRecordType(rawValue: 64)), unless: others)
    entries.add(judge.entry(for: DNSRecordType(rawValue: 65)), unless: others)
    others.types = []
    self.entries = entries + [others]
  }

  /// A type that no rule can open: the last before those for private use (RFC 6895 §3.1).
  private static let unnamed = DNSRecordType(rawValue: 65279)

  /// Asks for one type of a name.
  public init(
    _ type: UInt16, of host: Hostname, agent: AgentName, under policy: Policy, at now: Timestamp
  ) {
    let judge = Judge(host: host, agent: agent, policy: policy, now: now)
    entries = [judge.entry(for: DNSRecordType(rawValue: type))]
  }
}

extension [NameOutlook.Entry] {
  /// Adds an answer, to those that are like it where there are some.
  fileprivate mutating func add(_ entry: NameOutlook.Entry, unless others: NameOutlook.Entry) {
    guard !entry.isLike(others) else { return }
    if let index = dropFirst().firstIndex(where: entry.isLike) {
      self[index].types += entry.types
    } else {
      append(entry)
    }
  }
}

extension NameOutlook.Entry {
  fileprivate func isLike(_ other: NameOutlook.Entry) -> Bool {
    answer == other.answer && decision == other.decision && extendedError == other.extendedError
  }
}

/// RFC 8914 §4.16.
private let blocked: UInt16 = 15
/// RFC 8914 §4.19.
private let prohibited: UInt16 = 18

extension Decision {
  /// What no rule can open, or none does: audit mode passes nothing of it.
  fileprivate static let wrongType = Decision(answer: .deny, reason: .recordType, isFloor: true)
}

/// One name, about to be asked for.
private struct Judge {
  let host: Hostname
  let agent: AgentName
  let policy: Policy
  let now: Timestamp

  func entry(for type: DNSRecordType) -> NameOutlook.Entry {
    let kind = QuestionClass(type)
    guard kind != .refused else { return entry(type, .refused, .wrongType, prohibited) }
    if case .byRule(let name) = kind {
      let decision = policy.mayQuery(name, of: host, agent: agent, at: now)
      if passes(decision) { return entry(type, .forwarded, decision) }
    }
    let decision = policy.mayResolve(host, agent: agent, at: now)
    guard passes(decision) else {
      return entry(type, .nameDoesNotExist, decision, decision.reason == .denyRule ? blocked : prohibited)
    }
    switch kind {
    case .resolve: return entry(type, .forwarded, decision)
    case .noData: return entry(type, .noData, decision)
    case .any: return entry(type, .minimal, decision)
    case .refused, .byRule: return entry(type, .noData, .wrongType, prohibited)
    }
  }

  private func entry(
    _ type: DNSRecordType, _ answer: NameOutlook.Answer, _ decision: Decision, _ error: UInt16? = nil
  ) -> NameOutlook.Entry {
    NameOutlook.Entry(types: [type.mnemonic], answer: answer, decision: decision, extendedError: error)
  }

  /// Somebody must have written that a person is to be asked about this name:
  /// that anybody may be asked about anything sends no name upstream.
  private func passes(_ decision: Decision) -> Bool {
    switch decision.verdict(in: policy.mode) {
    case .allow: true
    case .ask: decision.rule != nil
    case .deny: false
    }
  }
}

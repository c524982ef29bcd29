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

/// One name, about to be asked for: the listener's own judge, with real answers,
/// and without what only the host it runs on can say.
private struct Judge {
  let host: Hostname
  let agent: AgentName
  let policy: Policy
  let now: Timestamp

  func entry(for type: DNSRecordType) -> NameOutlook.Entry {
    let judge = QuestionJudge(
      policy: policy, suffixes: SearchSuffixes(), hasIPv6: true, isSynthetic: false)
    switch judge.judge(Question(name: host, type: type), as: agent, at: now) {
    case .forward(let decision, _), .lease(let decision, _): return entry(type, .forwarded, decision)
    case .settled(let settled):
      let decision = decision(behind: settled.verdict)
      return entry(type, NameOutlook.Answer(settled.answer), decision, settled.answer.error?.code)
    }
  }

  private func entry(
    _ type: DNSRecordType, _ answer: NameOutlook.Answer, _ decision: Decision, _ error: UInt16? = nil
  ) -> NameOutlook.Entry {
    NameOutlook.Entry(types: [type.mnemonic], answer: answer, decision: decision, extendedError: error)
  }

  /// A type that no rule opens is no matter of the name: audit mode passes nothing of it.
  private func decision(behind verdict: QuestionVerdict) -> Decision {
    guard verdict.reason == .recordType else { return policy.mayResolve(host, agent: agent, at: now) }
    return Decision(answer: .deny, reason: .recordType, isFloor: true)
  }
}

extension NameOutlook.Answer {
  /// What an answer that needs nobody says.
  fileprivate init(_ answer: DNSAnswer) {
    switch answer.responseCode {
    case .nameDoesNotExist: self = .nameDoesNotExist
    case .refused: self = .refused
    default: self = answer.answerCount > 0 ? .minimal : .noData
    }
  }
}

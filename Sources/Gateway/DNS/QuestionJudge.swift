import Addressing
import EventLoop
import Policy
import Wire

/// Decides about a question before anybody is asked. Pure: the policy, the
/// time and what the host offers are its arguments. A class, since it is large and
/// looked at for every question.
final class QuestionJudge {
  let policy: Policy
  let suffixes: SearchSuffixes
  /// Whether there is an IPv6 way out.
  let hasIPv6: Bool
  /// Whether names get addresses of the pool instead of their own.
  let isSynthetic: Bool
  /// Whose datagrams get through the kernel, to a name's own addresses.
  let fencedAgents: [AgentName]
  /// The answers without records; they fit every question.
  private let empty: EmptyAnswers
  /// What most questions that are denied get, made once.
  private let refusedType: Settled, noise: Settled, unruled: Settled

  init(
    policy: Policy, suffixes: SearchSuffixes, hasIPv6: Bool, isSynthetic: Bool,
    fencedAgents: [AgentName] = []
  ) {
    self.policy = policy
    self.suffixes = suffixes
    self.hasIPv6 = hasIPv6
    self.isSynthetic = isSynthetic
    self.fencedAgents = fencedAgents
    empty = EmptyAnswers(generation: policy.generation)
    refusedType = Settled(empty.refusedType, QuestionVerdict(action: .deny, reason: .recordType))
    noise = Settled(empty.noName, QuestionVerdict(action: .deny, reason: .searchSuffix))
    unruled = Settled(empty.prohibited(.noRule), QuestionVerdict(action: .deny, reason: .noRule))
  }

  /// What follows from a question.
  enum Judgement {
    /// There is nothing to find out.
    case settled(Settled)
    /// The name gets an address of the pool.
    case lease(Decision, QuestionVerdict)
    /// The upstreams are to be asked.
    case forward(Decision, QuestionVerdict)
  }

  /// In seconds: how long a client may remember a denial (DESIGN 4).
  static let denialLifetime: UInt32 = 5

  /// Judges a question.
  ///
  /// - Parameter agent: Who asks.
  func judge(_ question: Question, as agent: AgentName, at now: Timestamp) -> Judgement {
    let kind = QuestionClass(question.type)
    if case .refused = kind { return .settled(refusedType) }
    if isNoise(question.name, as: agent, at: now) { return .settled(noise) }
    if case .byRule(let type) = kind {
      let decision = policy.mayQuery(type, of: question.name, agent: agent, at: now)
      // Nobody is asked about a question, so a rule that asks lets none of these records through.
      if decision.verdict(in: policy.mode) == .allow { return .forward(decision, verdict(decision)) }
    }
    let decision = policy.mayResolve(question.name, agent: agent, at: now)
    guard passes(decision) else { return deny(question, decision) }
    return open(question, kind, decision, needsOwn: needsOwnAddresses(question.name, agent, at: now))
  }

  /// Datagrams carry no name, so an address that stands for one is of no use to them.
  private func needsOwnAddresses(_ name: Hostname, _ agent: AgentName, at now: Timestamp) -> Bool {
    isSynthetic && fencedAgents.contains(agent) && policy.opensDatagrams(to: name, agent: agent, at: now)
  }

  /// Judges a question whose name may be resolved, by its type.
  private func open(
    _ question: Question, _ kind: QuestionClass, _ decision: Decision, needsOwn: Bool
  ) -> Judgement {
    let verdict = verdict(decision), isSynthetic = isSynthetic && !needsOwn
    switch kind {
    case .resolve where question.type == .aaaa && !hasIPv6 && !isSynthetic:
      return .settled(Settled(empty.noData, verdict))
    case .resolve where isSynthetic && question.type != .cname: return .lease(decision, verdict)
    case .resolve where isSynthetic: return .settled(Settled(empty.noData, verdict))
    case .resolve: return .forward(decision, verdict)
    case .noData: return .settled(Settled(empty.noData, verdict))
    case .any: return .settled(Settled(minimalAny(question), verdict))
    case .refused, .byRule:
      let verdict = QuestionVerdict(action: .deny, reason: .recordType, rule: decision.rule?.id)
      return .settled(Settled(empty.noDataOfType, verdict))
    }
  }

  /// A name goes upstream when a rule could let it pass: that anybody might be
  /// asked about any name opens none. The pool asks nobody, so there it does.
  private func passes(_ decision: Decision) -> Bool {
    switch decision.verdict(in: policy.mode) {
    case .allow: true
    case .ask: decision.rule != nil || isSynthetic
    case .deny: false
    }
  }

  private func verdict(_ decision: Decision) -> QuestionVerdict {
    QuestionVerdict(
      action: .allow, reason: decision.reason, rule: decision.rule?.id,
      wouldDeny: decision.answer == .deny && policy.mode == .audit)
  }

  private func deny(_ question: Question, _ decision: Decision) -> Judgement {
    if decision.reason == .noRule, decision.rule == nil { return .settled(unruled) }
    let verdict = QuestionVerdict(action: .deny, reason: decision.reason, rule: decision.rule?.id)
    let isRuled = decision.reason == .denyRule
    return .settled(Settled(isRuled ? empty.blocked : empty.prohibited(decision.reason), verdict))
  }

  /// Whether this is an allowed name with one of the search suffixes behind it,
  /// which resolvers try first: it says nothing about what the agent wants.
  private func isNoise(_ name: Hostname, as agent: AgentName, at now: Timestamp) -> Bool {
    suffixes.prefix(of: name) { prefix in
      guard prefix.labelCount > 1, let rule = policy.mayResolve(prefix, agent: agent, at: now).rule else {
        return false
      }
      return rule.action != .deny
    } != nil
  }

  /// The answer to a name that is denied for `reason` after it was judged.
  func denial(_ reason: Reason) -> DNSAnswer { empty.prohibited(reason) }

  /// One small record instead of all there are (RFC 8482 §4.2).
  private func minimalAny(_ question: Question) -> DNSAnswer {
    var builder = DNSAnswerBuilder(questionLength: question.length)
    builder.add(.hinfo, [7] + Array("RFC8482".utf8) + [0])
    return builder.finish(.noError)
  }
}

/// An answer that nothing has to be found out for. A class: most are made once, and given often.
final class Settled: Sendable {
  let answer: DNSAnswer
  let verdict: QuestionVerdict

  init(_ answer: DNSAnswer, _ verdict: QuestionVerdict) {
    (self.answer, self.verdict) = (answer, verdict)
  }
}

/// Answers without records but for the SOA that lets a client remember them for
/// 5 s. It is the root's, so they fit every question, and are made once.
struct EmptyAnswers {
  let noName: DNSAnswer, noData: DNSAnswer, noDataOfType: DNSAnswer, refusedType: DNSAnswer
  let blocked: DNSAnswer
  private let noRule: DNSAnswer
  private let generation: UInt64

  init(generation: UInt64) {
    self.generation = generation
    let make = { Self.make(generation, $0, $1) }
    noName = make(.nameDoesNotExist, nil)
    noData = make(.noError, nil)
    let ofType = DNSExtendedError.prohibited(Reason.recordType.rawValue)
    noDataOfType = make(.noError, ofType)
    refusedType = DNSAnswer(.refused, ofType)
    blocked = make(.nameDoesNotExist, .blocked(Reason.denyRule.rawValue))
    noRule = make(.nameDoesNotExist, .prohibited(Reason.noRule.rawValue))
  }

  func prohibited(_ reason: Reason) -> DNSAnswer {
    reason == .noRule ? noRule : Self.make(generation, .nameDoesNotExist, .prohibited(reason.rawValue))
  }

  static func make(
    _ generation: UInt64, _ responseCode: DNSResponseCode, _ error: DNSExtendedError?
  ) -> DNSAnswer {
    var builder = DNSAnswerBuilder(questionLength: 0)
    builder.addAuthority(
      serial: UInt32(truncatingIfNeeded: generation), minimum: QuestionJudge.denialLifetime)
    return builder.finish(responseCode, error)
  }
}

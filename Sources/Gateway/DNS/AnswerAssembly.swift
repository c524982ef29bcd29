import Addressing
import EventLoop
import Policy
import Wire

/// Puts an answer together from what upstreams said, as far as the policy and
/// the floor let it stand. Pure.
struct AnswerAssembly {
  let snapshot: PolicySnapshot
  let question: Question
  let agent: AgentName
  let decision: Decision
  let verdict: QuestionVerdict

  /// Judges and assembles.
  ///
  /// - Parameters:
  ///   - now: For rules that expire.
  ///   - moment: The same moment, on the monotonic clock.
  func conclude(_ outcome: InquiryAnswer, at now: Timestamp, _ moment: MonotonicTime) -> Answered {
    var verdict = verdict
    if let rule = deniedLink(of: outcome, at: now) {
      guard snapshot.policy.mode == .audit else { return cnameDenied(rule, outcome) }
      (verdict.reason, verdict.rule, verdict.wouldDeny) = (.cnameDenied, rule.id, true)
    }
    switch outcome.result {
    case .success(.addresses(let found)): return admit(found, outcome, verdict, at: now)
    case .success(.alias(let target)):
      var builder = DNSAnswerBuilder(questionLength: question.length)
      builder.add(alias: DNSName(target))
      return Answered(answer: builder.finish(.noError), verdict: verdict, until: outcome.until)
    case .success(.records(let records)):
      var builder = chain(outcome.chain)
      for data in records { builder.add(question.type, data) }
      return Answered(answer: builder.finish(.noError), verdict: verdict, until: outcome.until)
    case .failure(let failure):
      return Answered(
        answer: answer(to: failure, outcome, at: moment), verdict: verdict, until: outcome.until)
    }
  }

  /// The rule that denies a name of the chain; where an alias itself was asked
  /// for, what it leads to is one.
  private func deniedLink(of outcome: InquiryAnswer, at now: Timestamp) -> Rule? {
    var chain = outcome.chain
    if case .success(.alias(let target)) = outcome.result { chain.append(target) }
    for name in chain {
      if let rule = snapshot.policy.deniesName(name, agent: agent, at: now) { return rule }
    }
    return nil
  }

  private func cnameDenied(_ rule: Rule, _ outcome: InquiryAnswer) -> Answered {
    Answered(
      answer: nothing(.nameDoesNotExist, .blocked(Reason.cnameDenied.rawValue)),
      verdict: QuestionVerdict(action: .deny, reason: .cnameDenied, rule: rule.id), until: outcome.until)
  }

  /// Takes away the addresses that the floor denies.
  private func admit(
    _ found: [IPAddress], _ outcome: InquiryAnswer, _ verdict: QuestionVerdict, at now: Timestamp
  ) -> Answered {
    let admission = snapshot.policy.admit(
      found, of: question.name, agent: agent, floor: snapshot.floor, at: now)
    if admission.admitted.isEmpty, let refused = admission.refused.first {
      let verdict = QuestionVerdict(
        action: .deny, reason: .rebinding, rule: decision.rule?.id, address: refused.address,
        detail: refused.reason.rawValue)
      let answer = nothing(.noError, .filtered(Reason.rebinding.rawValue))
      return Answered(answer: answer, verdict: verdict, until: outcome.until)
    }
    var builder = chain(outcome.chain)
    for address in admission.admitted { builder.add(address) }
    var verdict = verdict
    verdict.address = admission.admitted.first
    if !admission.refused.isEmpty { verdict.detail = "addresses withheld: \(admission.refused.count)" }
    return Answered(answer: builder.finish(.noError), verdict: verdict, until: outcome.until)
  }

  private func answer(
    to failure: ResolveFailure, _ outcome: InquiryAnswer, at moment: MonotonicTime
  ) -> DNSAnswer {
    switch failure {
    case .nameDoesNotExist: return nothing(.nameDoesNotExist, after: outcome, at: moment)
    case .noAddresses: return nothing(.noError, after: outcome, at: moment)
    case .timeout: return DNSAnswer(.serverFailure, .unreachable("no upstream answered in time"))
    case .serverFailure, .badResponse: return DNSAnswer(.serverFailure, .networkError("the upstream failed"))
    case .chainTooLong: return DNSAnswer(.serverFailure, .other("too many aliases"))
    case .overload: return DNSAnswer(.serverFailure, .other("too many questions at once"))
    }
  }

  private func chain(_ names: [Hostname]) -> DNSAnswerBuilder {
    var builder = DNSAnswerBuilder(questionLength: question.length)
    for name in names { builder.add(alias: DNSName(name)) }
    return builder
  }

  /// The upstream's own negative answer lasts as long as the upstream said.
  private func nothing(
    _ code: DNSResponseCode, after outcome: InquiryAnswer, at moment: MonotonicTime
  ) -> DNSAnswer {
    var builder = chain(outcome.chain)
    let seconds = (outcome.until - moment).components.seconds
    builder.addAuthority(serial: serial, minimum: UInt32(clamping: max(1, seconds)))
    return builder.finish(code)
  }

  private func nothing(_ code: DNSResponseCode, _ error: DNSExtendedError) -> DNSAnswer {
    EmptyAnswers.make(snapshot.generation, code, error)
  }

  private var serial: UInt32 { UInt32(truncatingIfNeeded: snapshot.generation) }
}

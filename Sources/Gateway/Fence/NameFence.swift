import Addressing
import EventLoop
import Keeper
import Policy
import Wire

extension NameService {
  /// How long the kernel lets an address pass beyond the lifetime of the answer, and at least.
  private static let slack: Int64 = 60
  /// How long at most.
  private static let most: Int64 = 3600

  /// Goes on with an answer: at once, or once the kernel lets its addresses
  /// pass. An answer that the agent could not use yet is never given.
  ///
  /// - Parameter then: Gets the answer, or a failure in its place, and the time.
  func passFence(
    _ answered: Answered, _ outcome: InquiryAnswer, _ question: Question, _ agent: AgentName,
    at now: MonotonicTime, then: @escaping (Answered, MonotonicTime) -> Void
  ) {
    let openings = openings(answered, outcome, question, agent, at: now)
    guard let fence = settings.fence, !openings.isEmpty else { return then(answered, now) }
    let number = awaitFence { [shard] isOpen in
      let now = shard.loop.now
      then(isOpen ? answered : Self.unfenced(answered, at: now), now)
    }
    let shard = shard
    fence.open(openings) { isOpen in
      shard.loop.submit { shard.names?.service.fenceAnswered(number, isOpen) }
    }
  }

  private static func unfenced(_ answered: Answered, at now: MonotonicTime) -> Answered {
    Answered(
      answer: DNSAnswer(.serverFailure, .other(Reason.fenceUnavailable.rawValue)),
      verdict: QuestionVerdict(action: .deny, reason: .fenceUnavailable, rule: answered.verdict.rule),
      until: now + ResolverLimit.failureMemory)
  }

  /// What rules of `protocol: udp` open at the answer's addresses.
  private func openings(
    _ answered: Answered, _ outcome: InquiryAnswer, _ question: Question, _ agent: AgentName,
    at now: MonotonicTime
  ) -> [FenceOpening] {
    guard settings.fence != nil, let place = settings.fencedAgents.firstIndex(of: agent),
      !answered.verdict.isDenial,
      case .success(.addresses(let found)) = outcome.result
    else { return [] }
    let snapshot = shard.snapshot
    let left = (answered.until - now).components.seconds
    let lifetime = UInt32(min(max(left + Self.slack, Self.slack), Self.most))
    return snapshot.policy.datagramOpenings(
      of: question.name, at: found, agent: agent, floor: snapshot.floor, now: ruleTime(at: now)
    ).compactMap { opening in
      guard let mark = snapshot.marks.mark(of: opening.rule) else { return nil }
      return FenceOpening(
        opening.address, ports: opening.ports.lower.number...opening.ports.upper.number, mark: mark,
        lifetime: lifetime, agent: UInt16(place))
    }
  }
}

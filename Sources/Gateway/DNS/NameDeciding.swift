import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// Questions whose answer is not at hand.
extension NameService {
  /// How long a denial is kept, only to be counted: a change of the policy forgets all.
  private static let denialMemory: Duration = .seconds(60)
  /// How long an address of the pool is given (DESIGN 5).
  private static let leaseLifetime: Duration = .seconds(30)

  /// What follows from a question right now.
  private enum Step {
    case answer(Answered)
    /// It is denied, and that is remembered so long.
    case deny(Settled, until: MonotonicTime)
    /// It is answered from the hosts file, once the kernel lets its addresses pass.
    case open(Answered, InquiryAnswer)
    /// It is refused for what it is, or for what the gate lacks; nothing is decided about its name.
    case refuse(DNSAnswer)
    case forward(Decision, QuestionVerdict)
  }

  /// Decides about a question: answers it, or sees to it that it will be.
  func decide(
    _ asked: AskedQuestion, _ hash: Int, at now: MonotonicTime, into response: UnsafeMutableRawBufferPointer,
    path: () -> ReplyPath
  ) -> Handled {
    guard let host = DNSName.hostname(wire: asked.name.bytes) else {
      return refuseName(asked, at: now, into: response, from: path)
    }
    let question = Question(name: host, type: asked.query.type)
    // Made only where it is kept.
    let key = { QuestionKey(hash: hash, type: question.type, agent: asked.agent, name: Array(asked.name)) }
    switch judge(question, asked.agent, isRecursive: asked.query.flags.contains(.recursionDesired), at: now) {
    case .answer(let answered):
      let key = key()
      record(key, question, answered, [asked.waiting(key, path())], at: now)
      return .later
    case .deny(let denial, let until):
      deny(key, question, denial, asked.agent, from: path(), until: until, at: now)
      return .response(
        write(
          denial.answer, asked.query, asked.message, lifetime: QuestionJudge.denialLifetime, asked.transport,
          into: response))
    case .open(let answered, let outcome):
      let key = key(), waiting = asked.waiting(key, path())
      passFence(answered, outcome, question, agents[Int(asked.agent)], at: now) { [self] given, now in
        record(key, question, given, [waiting], at: now)
      }
      return .later
    case .refuse(let answer):
      return .response(
        write(answer, asked.query, asked.message, lifetime: 0, asked.transport, into: response))
    case .forward(let decision, let verdict):
      let waiting = asked.waiting(key(), path())
      waiting.judged = (decision, verdict, shard.snapshot)
      forwarder.ask(question, for: asked.agent, waiting)
      return .later
    }
  }

  /// What rules run out by, read once a turn: it takes two clocks.
  func ruleTime(at now: MonotonicTime) -> Timestamp {
    if let ruleTimeOfTurn, ruleTimeOfTurn.turn == now { return ruleTimeOfTurn.time }
    let time = shard.snapshot.clock.now().rules
    ruleTimeOfTurn = (now, time)
    return time
  }

  private var currentJudge: QuestionJudge {
    if let judge { return judge }
    let made = QuestionJudge(
      policy: shard.snapshot.policy, suffixes: settings.suffixes, hasIPv6: settings.resolver.ipv6,
      isSynthetic: settings.pool != nil, fencedAgents: settings.fence.map { _ in settings.fencedAgents } ?? []
    )
    judge = made
    return made
  }

  private func judge(
    _ question: Question, _ agent: AgentNumber, isRecursive: Bool, at now: MonotonicTime
  ) -> Step {
    let name = agents[Int(agent)], wall = ruleTime(at: now)
    switch currentJudge.judge(question, as: name, at: wall) {
    case .settled(let settled): return step(settled, at: now)
    case .lease(_, let verdict): return step(lease(question, name, verdict, at: now)) { .answer($0) }
    case .forward(let decision, let verdict):
      guard shard.log.isAvailable else { return .refuse(Self.unrecordable) }
      if let local = shard.resolver.localAnswer(to: question.name, question.type) {
        let answered = assembly(question, name, decision, verdict).conclude(local, at: wall, now)
        return step(answered) { .open($0, local) }
      }
      guard isRecursive else { return .refuse(DNSAnswer(.refused, .notAuthoritative("not in the cache"))) }
      guard let spent = shard.spendLabels(of: question.name, as: name, under: decision, layer: .dns) else {
        return .forward(decision, verdict)
      }
      return step(Settled(currentJudge.denial(spent.reason), spent), at: now)
    }
  }

  private func step(_ settled: Settled, at now: MonotonicTime) -> Step {
    guard settled.verdict.isDenial else { return .answer(answered(settled, at: now)) }
    return .deny(settled, until: now + Self.denialMemory)
  }

  private func step(_ answered: Answered, otherwise: (Answered) -> Step) -> Step {
    guard answered.verdict.isDenial else { return otherwise(answered) }
    return .deny(Settled(answered.answer, answered.verdict), until: answered.until)
  }

  private func answered(_ settled: Settled, at now: MonotonicTime) -> Answered {
    let isDenial = settled.verdict.isDenial
    let lifetime = isDenial ? Self.denialMemory : .seconds(Int64(QuestionJudge.denialLifetime))
    return Answered(answer: settled.answer, verdict: settled.verdict, until: now + lifetime)
  }

  private func lease(
    _ question: Question, _ agent: AgentName, _ verdict: QuestionVerdict, at now: MonotonicTime
  ) -> Answered {
    guard let lease = settings.pool?.lease(question.name, agent: agent, at: now) else {
      let verdict = QuestionVerdict(action: .deny, reason: .syntheticExhausted, rule: verdict.rule)
      let answer = DNSAnswer(.serverFailure, .other(Reason.syntheticExhausted.rawValue))
      return Answered(answer: answer, verdict: verdict, until: now + ResolverLimit.failureMemory)
    }
    var builder = DNSAnswerBuilder(questionLength: question.length)
    var verdict = verdict
    let address = question.type == .aaaa ? lease.v6 : lease.v4
    builder.add(address)
    verdict.address = address
    return Answered(answer: builder.finish(.noError), verdict: verdict, until: now + Self.leaseLifetime)
  }

  private func assembly(
    _ question: Question, _ agent: AgentName, _ decision: Decision, _ verdict: QuestionVerdict
  ) -> AnswerAssembly {
    AnswerAssembly(
      snapshot: shard.snapshot, question: question, agent: agent, decision: decision, verdict: verdict)
  }

  /// Puts together what the upstreams said, for each agent that waits.
  func conclude(_ question: Question, _ outcome: InquiryAnswer, _ waiting: [Waiting]) {
    let now = shard.loop.now
    var left = waiting[...]
    // Nearly always there is one; of several, most are one agent's.
    while let first = left.first {
      let isTheirs = { (other: Waiting) in other.key.agent == first.key.agent }
      let group = left.allSatisfy(isTheirs) ? Array(left) : left.filter(isTheirs)
      if group.count == left.count { left = [] } else { left.removeAll(where: isTheirs) }
      let answered = conclude(question, outcome, for: first, at: now)
      passFence(answered, outcome, question, agents[Int(first.key.agent)], at: now) { [self] given, now in
        record(first.key, question, given, group, at: now)
      }
    }
  }

  /// The policy is asked again where it has changed meanwhile.
  private func conclude(
    _ question: Question, _ outcome: InquiryAnswer, for waiting: Waiting, at now: MonotonicTime
  ) -> Answered {
    let agent = agents[Int(waiting.key.agent)]
    let wall = ruleTime(at: now)
    if let (decision, verdict, snapshot) = waiting.judged, snapshot === shard.snapshot,
      decision.rule?.expires.map({ wall < $0 }) ?? true
    {
      return assembly(question, agent, decision, verdict).conclude(outcome, at: wall, now)
    }
    switch currentJudge.judge(question, as: agent, at: wall) {
    case .forward(let decision, let verdict):
      return assembly(question, agent, decision, verdict).conclude(outcome, at: wall, now)
    case .settled(let settled): return answered(settled, at: now)
    case .lease(_, let verdict): return lease(question, agent, verdict, at: now)
    }
  }
}

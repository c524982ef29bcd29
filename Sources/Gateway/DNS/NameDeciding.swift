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
    /// It is refused for what it is, or for what the gate lacks; nothing is decided about its name.
    case refuse(DNSAnswer)
    case forward
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
    switch judge(question, asked.agent, isRecursive: asked.query.flags.contains(.recursionDesired), at: now) {
    case .answer(let answered):
      let key = QuestionKey(
        hash: hash, type: question.type, agent: asked.agent, name: Array(asked.name))
      guard answered.verdict.isDenial else {
        record(key, question, answered, [asked.waiting(path())], at: now)
        return .later
      }
      deny(key, question, answered, from: path(), at: now)
      return .response(
        write(answered, asked.query, asked.message, now, asked.transport, into: response))
    case .refuse(let answer):
      return .response(
        write(answer, asked.query, asked.message, lifetime: 0, asked.transport, into: response))
    case .forward:
      forwarder.ask(question, for: agents[Int(asked.agent)], asked.waiting(path()))
      return .later
    }
  }

  private var judge: QuestionJudge {
    QuestionJudge(
      policy: shard.snapshot.policy, suffixes: settings.suffixes, hasIPv6: settings.resolver.ipv6,
      isSynthetic: settings.pool != nil)
  }

  private func judge(
    _ question: Question, _ agent: AgentNumber, isRecursive: Bool, at now: MonotonicTime
  ) -> Step {
    let name = agents[Int(agent)], wall = shard.snapshot.clock.now().rules
    switch judge.judge(question, as: name, at: wall) {
    case .settled(let answer, let verdict): return .answer(settled(answer, verdict, at: now))
    case .lease(_, let verdict): return .answer(lease(question, name, verdict, at: now))
    case .forward(let decision, let verdict):
      guard shard.log.isAvailable else { return .refuse(Self.unrecordable) }
      if let local = shard.resolver.localAnswer(to: question.name, question.type) {
        return .answer(assembly(question, name, decision, verdict).conclude(local, at: wall, now))
      }
      guard isRecursive else { return .refuse(DNSAnswer(.refused, .notAuthoritative("not in the cache"))) }
      guard let spent = shard.spendLabels(of: question.name, as: name, under: decision, layer: .dns) else {
        return .forward
      }
      let answer = judge.nothing(of: question, .nameDoesNotExist, .prohibited(spent.reason.rawValue))
      return .answer(settled(answer, spent, at: now))
    }
  }

  private func settled(_ answer: DNSAnswer, _ verdict: QuestionVerdict, at now: MonotonicTime) -> Answered {
    let lifetime = verdict.isDenial ? Self.denialMemory : .seconds(Int64(QuestionJudge.denialLifetime))
    return Answered(answer: answer, verdict: verdict, until: now + lifetime)
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
    let name = DNSName(question.name).wire
    for agent in Set(waiting.map(\.agent)) {
      let hash = name.withUnsafeBytes { QuestionKey.hash($0, question.type, agent) }
      let key = QuestionKey(hash: hash, type: question.type, agent: agent, name: name)
      let answered = conclude(question, outcome, as: agents[Int(agent)], at: now)
      record(key, question, answered, waiting.filter { $0.agent == agent }, at: now)
    }
  }

  /// The policy is asked again: it may have changed meanwhile.
  private func conclude(
    _ question: Question, _ outcome: InquiryAnswer, as agent: AgentName, at now: MonotonicTime
  ) -> Answered {
    let wall = shard.snapshot.clock.now().rules
    switch judge.judge(question, as: agent, at: wall) {
    case .forward(let decision, let verdict):
      return assembly(question, agent, decision, verdict).conclude(outcome, at: wall, now)
    case .settled(let answer, let verdict): return settled(answer, verdict, at: now)
    case .lease(_, let verdict): return lease(question, agent, verdict, at: now)
    }
  }
}

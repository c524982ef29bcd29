import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// Recording, and answering.
extension NameService {
  /// Nothing new passes while the log cannot be written.
  static let unrecordable = DNSAnswer(.serverFailure, .other(Reason.auditUnavailable.rawValue))

  /// Has the log know of an answer, then gives it to those who wait.
  func record(
    _ key: QuestionKey, _ question: Question, _ answered: Answered, _ waiting: [Waiting],
    at now: MonotonicTime
  ) {
    for _ in waiting { counters.count(answered.verdict, isKnown: false) }
    let isRecorded = note(key, question, answered, from: waiting[0].path, at: now)
    let give = { [self] (mayPass: Bool) in
      if mayPass {
        keep(key, question, answered, isRecorded: isRecorded, at: now)
        // One record, or one count, stands for the first; the others waited with it.
        for _ in waiting.dropFirst() { memory.countAnother(key, answered.verdict, at: now) }
      }
      let given =
        mayPass ? answered : Answered(answer: Self.unrecordable, verdict: answered.verdict, until: now)
      for waiting in waiting { reply(waiting, given, at: now) }
    }
    if answered.verdict.isDenial {
      give(true)
    } else if isRecorded {
      shard.afterCommit(give)
    } else {
      // It is only counted, which is written later; so the last write has to do.
      give(shard.log.isAvailable)
    }
  }

  /// Records a denial, which need not wait for the log: nothing is let out. Where
  /// there is no room for a record, it is not remembered either.
  func deny(
    _ key: () -> QuestionKey, _ question: Question, _ denial: Settled, _ agent: AgentNumber,
    from path: @autoclosure () -> ReplyPath, until: MonotonicTime, at now: MonotonicTime
  ) {
    counters.count(denial.verdict, isKnown: false)
    guard memory.hasRoomForRecord(of: agent) else {
      return memory.count(denial.verdict, of: agent, at: now)
    }
    let key = key(), answered = Answered(answer: denial.answer, verdict: denial.verdict, until: until)
    guard note(key, question, answered, from: path(), at: now) else { return }
    keep(key, question, answered, isRecorded: true, at: now)
  }

  /// Writes the record of a question, or counts it. Returns whether it has one.
  private func note(
    _ key: QuestionKey, _ question: Question, _ answered: Answered, from path: @autoclosure () -> ReplyPath,
    at now: MonotonicTime
  ) -> Bool {
    guard memory.isWorthRecord(key, answered.verdict, at: now) else { return false }
    var record = decisionRecord(
      answered.verdict, answered.answer.responseCode, of: key.agent, from: path())
    record.destination = question.destination
    record.method = question.type.mnemonic
    record.extendedError = answered.answer.error?.code
    shard.record(.decision(record))
    return true
  }

  private func decisionRecord(
    _ verdict: QuestionVerdict, _ responseCode: DNSResponseCode, of agent: AgentNumber, from path: ReplyPath
  ) -> DecisionRecord {
    var record = DecisionRecord(
      time: .now(), flow: shard.nextFlowID(), agent: agents[Int(agent)], client: path.client,
      destination: nil,
      layer: .dns, verdict: verdict.action, wouldDeny: verdict.wouldDeny, reason: verdict.reason,
      rule: verdict.rule, generation: shard.snapshot.generation, address: verdict.address,
      detail: verdict.detail)
    record.responseCode = responseCode.rawValue
    return record
  }

  private func keep(
    _ key: QuestionKey, _ question: Question, _ answered: Answered, isRecorded: Bool, at now: MonotonicTime
  ) {
    var answered = answered
    if let rule = answered.verdict.rule, let end = expiry(of: rule, at: now), end < answered.until {
      answered = Answered(answer: answered.answer, verdict: answered.verdict, until: end)
    }
    if let gone = memory.keep(key, question, answered, isRecorded: isRecorded, at: now) { tell(gone) }
  }

  /// When a rule runs out, and with it the answers it is behind; nil: never.
  private func expiry(of rule: RuleID, at now: MonotonicTime) -> MonotonicTime? {
    guard let expires = shard.snapshot.policy.rule(rule)?.expires else { return nil }
    let left = expires.milliseconds - shard.snapshot.clock.now().rules.milliseconds
    return now + .milliseconds(max(0, left))
  }

  private func reply(_ waiting: Waiting, _ answered: Answered, at now: MonotonicTime) {
    waiting.message.withUnsafeBytes { message in
      switch waiting.path {
      case .datagram(let port, let peer):
        port.stage(peer) { write(answered, waiting.query, message, now, .datagram, into: $0) }
      case .stream(let connection):
        let count = write(answered, waiting.query, message, now, .stream, into: output)
        connection.answer(UnsafeRawBufferPointer(rebasing: output[..<count]))
      }
    }
  }

  // MARK: - Writing

  func write(
    _ answered: Answered, _ query: DNSQueryScan, _ message: UnsafeRawBufferPointer, _ now: MonotonicTime,
    _ transport: DNSTransport, into response: UnsafeMutableRawBufferPointer
  ) -> Int {
    let left = answered.until.nanoseconds - min(now.nanoseconds, answered.until.nanoseconds)
    let seconds = UInt32(clamping: max(1, left / 1_000_000_000))
    let lifetime = answered.verdict.isDenial ? QuestionJudge.denialLifetime : seconds
    return write(answered.answer, query, message, lifetime: lifetime, transport, into: response)
  }

  func write(
    _ answer: DNSAnswer, _ query: DNSQueryScan, _ message: UnsafeRawBufferPointer, lifetime: UInt32,
    _ transport: DNSTransport, into response: UnsafeMutableRawBufferPointer
  ) -> Int {
    var span = response.mutableBytes
    return DNSResponseWriter.write(
      answer, to: query, in: message.bytes, lifetime: lifetime, limit: transport.limit(for: query),
      into: &span)
  }

  /// TC=1: whoever asks too fast is sent the slower way.
  func writeTruncated(
    _ query: DNSQueryScan, _ message: UnsafeRawBufferPointer, into response: UnsafeMutableRawBufferPointer
  ) -> Int {
    var span = response.mutableBytes
    return DNSResponseWriter.write(
      DNSAnswer(.noError), to: query, in: message.bytes, lifetime: 0, limit: 0, into: &span)
  }

  // MARK: - Refusing

  /// Answers what is no question that is answered.
  func refuse(
    _ error: DNSError, _ message: UnsafeRawBufferPointer, _ agent: AgentNumber,
    into response: UnsafeMutableRawBufferPointer, from path: () -> ReplyPath
  ) -> Handled {
    counters.malformed &+= 1
    guard message.count >= DNSHeader.length, error != .wrongDirection else {
      counters.dropped &+= 1
      return .nothing
    }
    let verdict = QuestionVerdict(action: .deny, reason: .malformed, detail: "\(error)")
    if memory.isWorthRecord(agent, verdict, at: shard.loop.now) {
      shard.record(.decision(decisionRecord(verdict, error.responseCode, of: agent, from: path())))
    }
    var span = response.mutableBytes
    return .response(DNSResponseWriter.writeError(error.responseCode, to: message.bytes, into: &span))
  }

  /// Denies a name that is no host name: nobody else is shown it.
  func refuseName(
    _ asked: AskedQuestion, at now: MonotonicTime, into response: UnsafeMutableRawBufferPointer,
    from path: () -> ReplyPath
  ) -> Handled {
    let verdict = QuestionVerdict(action: .deny, reason: .malformed)
    let error = DNSExtendedError.prohibited(Reason.malformed.rawValue)
    counters.count(verdict, isKnown: false)
    if memory.isWorthRecord(asked.agent, verdict, at: now) {
      var record = decisionRecord(verdict, .nameDoesNotExist, of: asked.agent, from: path())
      record.rawHost = Array(asked.name)
      record.method = asked.query.type.mnemonic
      record.extendedError = error.code
      shard.record(.decision(record))
    }
    let answer = EmptyAnswers.make(shard.snapshot.generation, .nameDoesNotExist, error)
    return .response(
      write(
        answer, asked.query, asked.message,
        lifetime: QuestionJudge.denialLifetime, asked.transport, into: response))
  }

  // MARK: - Telling

  private var clock: WallClock {
    WallClock(wall: .now(), moment: shard.loop.now, generation: shard.snapshot.generation)
  }

  /// Writes what was counted for ten seconds, or all of it. Called each second.
  func tell(all: Bool = false) {
    let now = shard.loop.now
    for entry in memory.tell(at: now, all: all) { tell(entry) }
    for sum in memory.sums(at: now, all: all) {
      shard.record(
        .rollUp(
          clock.rollUp(
            sum.verdict, of: agents[Int(sum.agent)], destination: nil, type: nil, count: sum.count, sum.first,
            sum.last, isOverflow: true)))
    }
  }

  private func tell(_ entry: AnswerTable.Entry) {
    var record = clock.rollUp(
      entry.answered.verdict, of: agents[Int(entry.key.agent)], destination: entry.question.destination,
      type: entry.question.type.mnemonic, count: entry.heard.count, entry.heard.first, entry.heard.last)
    record.responseCode = entry.answered.answer.responseCode.rawValue
    record.extendedError = entry.answered.answer.error?.code
    shard.record(.rollUp(record))
  }

  /// Forgets every answer: another policy, or another floor, comes into force.
  func forget() {
    tell(all: true)
    memory.forget()
    judge = nil
    ruleTimeOfTurn = nil
  }
}

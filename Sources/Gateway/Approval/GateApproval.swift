import Addressing
import Approvals
import Audit
import Dispatch
import EventLoop
import Logging
import Policy
import PolicyFile

/// Why an answer or a revocation was not carried out.
public enum ApprovalError: Error, Hashable, Sendable {
  /// The book refuses it.
  case refused(AnswerRefusal)
  /// It could not be written down, for this reason; nothing was decided.
  case unwritten(String)
  /// It does not count, and what was written of it could not be taken out again.
  case leftBehind(String)
  /// The same, since another process writes there now.
  case busy(String)
  /// Nothing that stands approved is called so.
  case unknownGrant
  /// Whoever wants it may not, for this reason.
  case forbidden(String)
  /// The gate is stopping.
  case stopping
}

extension Gate {
  /// Carries out a person's answer: once it is written down, where it is for
  /// good, and in the log, those who wait are told.
  ///
  /// - Parameter completion: Called on the gate's queue with what was decided, or why nothing was.
  public func answer(
    _ bound: BoundAnswer, by person: Person,
    completion: @escaping @Sendable (Result<Decided, ApprovalError>) -> Void
  ) {
    answer(bound, by: person, tries: Self.overlayTries, completion: completion)
  }

  private func answer(
    _ bound: BoundAnswer, by person: Person, tries: Int,
    completion: @escaping @Sendable (Result<Decided, ApprovalError>) -> Void
  ) {
    queue.async { [self] in
      do throws(ApprovalError) {
        completion(.success(try carryOut(bound, by: person)))
      } catch {
        if error.isBusy, tries > 1 {
          return soon { [self] in answer(bound, by: person, tries: tries - 1, completion: completion) }
        }
        record(bound.answer.isAllowing ? "approve" : "refuse", bound.id.text, by: person, refusal: "\(error)")
        completion(.failure(error))
      }
    }
  }

  private func carryOut(_ bound: BoundAnswer, by person: Person) throws(ApprovalError) -> Decided {
    dispatchPrecondition(condition: .onQueue(queue))
    guard !isDraining else { throw .stopping }
    let asked: PendingQuestion
    do throws(AnswerRefusal) {
      let question = try approvals.check(bound)
      if bound.answer.scope != .always { return tell(try approvals.answer(bound, by: person), rule: nil) }
      asked = question
    } catch { throw .refused(error) }
    return try writeDown(asked, bound, by: person)
  }

  /// Told by the record first: whoever is let through finds the person's answer in the log before him.
  func tell(_ decided: Decided, rule: String?) -> Decided {
    log.append(.control(decided.record(rule: rule)))
    _ = log.commit()
    wake(decided.waiters)
    return decided
  }

  /// Has connections take their verdicts, each on its loop.
  func wake(_ waiters: [UInt64]) {
    for waiter in waiters {
      let shard = shards[Int(waiter % UInt64(shards.count))]
      shard.loop.submit { shard.tellHeld(waiter) }
    }
  }

  func record(_ operation: String, _ subject: String, by person: Person, refusal: String? = nil) {
    log.append(
      .control(
        ControlRecord(
          time: .now(), processID: person.processID, userID: person.userID, operation: operation,
          subject: subject, refusal: refusal)))
    _ = log.commit()
  }

  /// Ends the flows that passed by these approvals.
  func cut(_ ids: Set<String>, completion: @escaping @Sendable (Int) -> Void) {
    let ended = Tally()
    onEveryShard { shard in
      ended.add(shard.endApproved(by: ids))
    } then: {
      completion(ended.value)
    }
  }

  /// An approval has ended with the rule that it was given under.
  func record(endOf grant: Grant, under generation: UInt64) {
    let places = grant.keys.prefix(3).map { $0.destination.description }.joined(separator: ", ")
    let what =
      "the approval \(grant.approval.id) ended for \(places)\(grant.keys.count > 3 ? " and more" : ""): under policy "
      + "generation \(generation) it is not asked about, or under a rule of another effect"
    words.notice("\(what)")
    log.append(
      .lifecycle(
        LifecycleRecord(
          time: .now(), event: .notice, detail: what, agent: grant.keys.first?.agent,
          reason: "approval-changed")))
  }

  /// Records each question that ends without an answer: it expired, was joined with others, or is not asked any more.
  func recordUnanswered() {
    _ = approvals.follow { [queue, log] event in
      guard case .closed(let question, let outcome) = event, !outcome.isAnswer else { return }
      queue.async {
        log.append(
          .lifecycle(
            LifecycleRecord(
              time: .now(), event: .notice, detail: "question \(question.id): \(outcome.sentence)",
              agent: question.agent, reason: "question-\(outcome.word)")))
        _ = log.commit()
      }
    }
  }

  /// Ends what has run out; called each second.
  func endOverdue() {
    _ = approvals.tick()
    // Whatever has become of the approval since: what it let pass has its own end.
    guard approvals.answers.allowed > 0 || !approvals.standing.rules.isEmpty else { return }
    for shard in shards { shard.loop.submit { shard.endOverdue() } }
  }
}

extension Decided {
  fileprivate func record(rule: String?) -> ControlRecord {
    var facts = AnswerFacts(
      channel: person.channel.rawValue, name: person.name, scope: answer.scope.word,
      agent: question.agent.text, destinations: question.members.map { $0.key.destination.description },
      generation: question.generation, digest: question.digest, rule: rule, note: person.note)
    facts.program = question.program.map {
      ProgramMark(command: $0.command, directory: $0.workingDirectory, processID: $0.processID)
    }
    return ControlRecord(
      time: .now(), processID: person.processID, userID: person.userID,
      operation: answer.isAllowing ? "approve" : "refuse", subject: question.id.text, answer: facts)
  }
}

extension ApprovalError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .refused(let refusal): refusal.sentence
    case .unwritten(let why), .busy(let why): "it could not be written down: \(why)"
    case .leftBehind(let why): why
    case .forbidden(let lack): lack
    case .unknownGrant: "nothing that stands approved is called so"
    case .stopping: "the gate is stopping"
    }
  }
}

extension AnswerRefusal {
  /// Why, for people, without a full stop.
  public var sentence: String {
    switch self {
    case .unknown: "no question is called so; 'exitgate pending' lists them"
    case .late(let outcome): "it is decided already: \(outcome.sentence)"
    case .otherPolicy(let now):
      "the policy has changed since it was shown; generation \(now) is in force, look again"
    case .otherCandidate: "what would be allowed is not what was shown; look again"
    case .unoffered(let offers):
      "that answer is not offered; offered are \(offers.map(\.rawValue).sorted().joined(separator: ", "))"
    case .full: "as many approvals stand as are kept; take some back first"
    }
  }
}

extension Outcome {
  /// Whether somebody answered, which has a record of its own.
  fileprivate var isAnswer: Bool {
    if case .answered = self { true } else { false }
  }

  /// What became of it, for people, without a full stop.
  public var sentence: String {
    switch self {
    case .answered(let answer, let person):
      "\(answer.isAllowing ? "allowed" : "refused") (\(answer.scope.word)) by \(person.sentence)"
    case .expired: "nobody asked any more"
    case .joined(let id): "it was joined with others of its domain into \(id)"
    case .superseded: "the policy in force does not ask any more"
    case .stopped: "the agent was stopped; 'exitgate resume' lets it ask again"
    }
  }
}

extension Person {
  /// Who, for people.
  public var sentence: String {
    let who = name ?? userID.map { "user \($0)" } ?? "somebody"
    return "\(who) by \(channel.rawValue)"
  }
}

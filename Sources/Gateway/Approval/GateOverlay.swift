import Approvals
import Dispatch
import Logging
import Policy

// What people answer for good: written down, taken out again, and read anew.

extension Gate {
  /// How often the overlay is tried while another process changes it, and how long is waited between.
  static let overlayTries = 150
  private static let overlayPause = DispatchTimeInterval.milliseconds(20)

  /// Does it a little later: the gate's queue waits for no other process, and least of all does an order to stop.
  func soon(_ work: @escaping @Sendable () -> Void) {
    queue.asyncAfter(deadline: .now() + Self.overlayPause, execute: work)
  }

  private var overlay: OverlayFile { OverlayFile(configuration.overlay, reader: configuration.loader) }

  /// Writes an answer down for good, then lets it count; one that does not is not in the file either.
  func writeDown(_ question: PendingQuestion, _ bound: BoundAnswer, by person: Person)
    throws(ApprovalError)
    -> Decided
  {
    guard let rule = question.rule(for: bound.answer) else { throw .refused(.unoffered(question.offers)) }
    let before = approvals.standing
    var outcome: Result<Decided, AnswerRefusal>?
    // A reload that read the file meanwhile reads it again.
    defer { overlayEdits += 1 }
    do throws(OverlayError) {
      try overlay.add(rule, named: "approved-\(question.id)", says: bound.answer.comment(by: person)) {
        standing in
        let result = Result { () throws(AnswerRefusal) in
          try approvals.answer(bound, by: person, standing: standing)
        }
        outcome = result
        return (try? result.get()) != nil
      }
    } catch {
      if error.isLeft { throw .leftBehind(error.description) }
      throw error.isBusy ? .busy(error.description) : .unwritten(error.description)
    }
    switch outcome {
    case .success(let decided)?:
      cut(whatIsGoneSince: before)
      return tell(decided, rule: rule)
    case .failure(let refusal)?: throw .refused(refusal)
    case nil: throw .unwritten("nobody was asked whether it counts")
    }
  }

  /// Takes an approval back, or what was answered for good, and cuts what it let pass: at once, whatever can be written.
  ///
  /// - Parameters:
  ///   - id: A question's id, or that of a rule of the overlay.
  ///   - lack: Why this person takes back no rule that denies; nil: he does.
  ///   - completion: Called on the gate's queue with the number of connections that were cut. What is `forbidden`
  ///     has no record yet.
  public func revoke(
    _ id: String, by person: Person, lacking lack: String?,
    completion: @escaping @Sendable (Result<Int, ApprovalError>) -> Void
  ) {
    queue.async { [self] in
      let end = { @Sendable [self] (failure: ApprovalError?, closed: Int) in
        if failure?.isForbidden != true {
          record("revoke", id, by: person, refusal: failure.map { "\($0)" })
        }
        completion(failure.map { .failure($0) } ?? .success(closed))
      }
      guard !isDraining else { return end(.stopping, 0) }
      if let lack, approvals.standing.rules.contains(where: { $0.id.text == id && $0.action != .allow }) {
        return end(.forbidden(lack), 0)
      }
      if approvals.revoke(id) != nil || approvals.takeBackRefusal(id) {
        return cut([id]) { end(nil, $0) }
      }
      let isStanding = forget(id)
      cut([id]) { [self] closed in
        strike(id, lacking: lack, wasStanding: isStanding, tries: Self.overlayTries) { end($0, closed + $1) }
      }
    }
  }

  /// Lets what was written down count no more.
  ///
  /// - Returns: Whether it did.
  private func forget(_ id: String) -> Bool {
    let standing = approvals.standing, rest = standing.rules.filter { $0.id.text != id }
    approvals.replaceStanding(Policy(agents: standing.agents, rules: rest))
    overlayEdits += 1
    return rest.count < standing.rules.count
  }

  /// Takes a rule out of the file, and cuts what passed by what the file said meanwhile.
  ///
  /// - Parameter completion: Called on the gate's queue, with why the file still says it, and how much was cut.
  private func strike(
    _ id: String, lacking lack: String?, wasStanding: Bool, tries: Int,
    completion: @escaping @Sendable (ApprovalError?, _ closed: Int) -> Void
  ) {
    do throws(OverlayError) {
      let rest = try overlay.remove(id, lacking: lack)
      // A reload that read the file before reads it again.
      overlayEdits += 1
      replaceStanding(rest) { completion(nil, $0) }
    } catch {
      if error.isForbidden { return completion(.forbidden(error.description), 0) }
      if error.isBusy, tries > 1 {
        return soon { [self] in
          strike(id, lacking: lack, wasStanding: wasStanding, tries: tries - 1, completion: completion)
        }
      }
      // One that has run out stands in the file alone.
      guard wasStanding || error.isBusy else { return completion(.unknownGrant, 0) }
      completion(.unwritten("\(error.sentence) It is taken back until the file is read again"), 0)
    }
  }
}

// MARK: - Read

extension Gate {
  /// Puts in force what is written down now; what was taken out or changed by hand is cut.
  ///
  /// - Parameter completion: Called on the gate's queue with the number of connections that were cut.
  func replaceStanding(_ next: Policy, then completion: @escaping @Sendable (Int) -> Void = { _ in }) {
    let before = approvals.standing
    approvals.replaceStanding(next)
    cut(whatIsGoneSince: before, then: completion)
  }

  private func cut(
    whatIsGoneSince before: Policy, then completion: @escaping @Sendable (Int) -> Void = { _ in }
  ) {
    let gone = approvals.standing.changed(from: before)
    if gone.isEmpty { completion(0) } else { cut(Set(gone.map(\.text)), completion: completion) }
  }

  /// What is written down and has not run out; the rest is told of.
  func told(of standing: Policy) -> Policy {
    let (kept, over) = standing.parted(at: approvals.now)
    for rule in over { words.warning("\(configuration.overlay): \(rule.overlayNote)") }
    return kept
  }
}

extension Policy {
  /// The rules that have not run out at `now`, and those that have.
  func parted(at now: Timestamp) -> (kept: Policy, over: [Rule]) {
    let over = rules.filter { $0.hasExpired(at: now) }
    return over.isEmpty
      ? (self, []) : (Policy(agents: agents, rules: rules.filter { !$0.hasExpired(at: now) }), over)
  }
}

extension Rule {
  /// What is said of a written rule that has run out.
  var overlayNote: String {
    "the rule '\(id)' expired at \(expires.map { "\($0)" } ?? "some time") and counts as absent. Take it out with "
      + "'exitgate revoke \(id)', or set 'expires' anew"
  }
}

extension ApprovalError {
  /// Whether it may go soon.
  var isBusy: Bool {
    if case .busy = self { true } else { false }
  }

  fileprivate var isForbidden: Bool {
    if case .forbidden = self { true } else { false }
  }
}

extension ApprovalAnswer {
  /// What stands above its rule in the overlay.
  fileprivate func comment(by person: Person) -> String {
    let note = person.note.map { ": \($0)" } ?? ""
    return "\(isAllowing ? "allowed" : "refused") always, \(Timestamp.now()), \(person.sentence)\(note)"
  }
}

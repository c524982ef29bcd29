import Approvals
import Audit
import Control
import Logging
import Pages
import Policy
import Synchronization

/// What of a webhook is measured, for any thread.
public final class WebhookCounters: Sendable {
  /// The numbers.
  public struct Counts: Hashable, Sendable {
    /// Messages that were taken; tries that failed; messages that were given up.
    public var delivered: UInt64 = 0, failed: UInt64 = 0, dropped: UInt64 = 0
    /// Answers that counted; that did not; requests that were not signed as they must be, or were no answer.
    public var answered: UInt64 = 0, refused: UInt64 = 0, unproved: UInt64 = 0
    /// Whether people can be asked by it.
    public var isAttached = false

    /// Makes zeros.
    public init() {}
  }

  private let state = Mutex(Counts())

  /// Makes zeros.
  public init() {}

  /// The numbers now.
  public var counts: Counts { state.withLock { $0 } }

  /// Changes them.
  public func count(_ change: (inout Counts) -> Void) { state.withLock { change(&$0) } }
}

extension Gate {
  /// In bytes: an answer with its names.
  static let callbackTerms = PageTerms(bodyLimit: 4096)

  /// Answers where the webhook's far side answers from now on, as monitoring is: out of every agent's reach.
  public func serveCallbacks(_ handler: @escaping PageServer.Handler) {
    callbacks?.start(on: shards[0].loop, admits: admitsToPages, handler: handler)
  }

  /// Hears of every question and its end, as what the webhook's role may answer.
  ///
  /// - Parameter hear: Called under a lock, on any thread: it hands over.
  public func followForWebhook(_ hear: @escaping @Sendable (ControlReply) -> Void) {
    _ = approvals.follow { [door] event in hear(ControlReply(event, to: door.webhookRole)) }
  }

  /// Until when a connection is held for a question, RFC 3339; nil where none is.
  public func heldUntil(_ id: String) -> String? {
    guard let id = PendingID(id), let question = approvals.question(id) else { return nil }
    return approvals.status(of: question, to: nil).heldUntil
  }

  /// Carries out an answer that came by a channel of its own, and says what came of it.
  public func answer(
    _ order: AnswerOrder, allowing: Bool, by person: Person, reply: @escaping @Sendable (ControlReply) -> Void
  ) {
    guard let bound = BoundAnswer(order, allowing: allowing) else {
      return reply(
        .refused("it is no answer: a question's id, and once, time with seconds, session or always"))
    }
    var person = person
    person.note = order.note.map { String($0.unicodeScalars.prefix(256).map(Character.init)) }
    if person.channel == .webhook, order.scope == "always", !door.webhookRole.covers(.edit) {
      let refusal = "the webhook may not answer for good; the policy's 'reviewers' would say 'webhook: edit'"
      note(operation: allowing ? "approve" : "refuse", about: order.id, refusal: refusal)
      return reply(.refused(refusal))
    }
    answer(bound, by: person) { result in
      switch result {
      case .success(let decided): reply(.answered(decided.sentence))
      case .failure(let error): reply(.refused("\(error)"))
      }
    }
  }

  private func note(operation: String, about subject: String, refusal: String) {
    log.append(
      .control(
        ControlRecord(
          time: .now(), processID: nil, userID: nil, operation: operation, subject: subject, refusal: refusal)
      ))
    _ = log.commit()
  }

  /// Records what became of the webhook, and tells whoever started the gate.
  ///
  /// - Parameter reason: A word of the program's own.
  public func note(webhook detail: String, reason: String, isTrouble: Bool) {
    if isTrouble { words.warning("webhook: \(detail)") } else { words.notice("webhook: \(detail)") }
    log.append(
      .lifecycle(
        LifecycleRecord(time: .now(), event: .notice, detail: "webhook: \(detail)", reason: reason)))
    _ = log.commit()
  }
}

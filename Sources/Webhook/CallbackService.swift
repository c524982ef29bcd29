import Approvals
import Audit
import Control
import Gateway
import Pages
import Policy
import Synchronization

/// Takes answers that the far side of a webhook sends back: each signed, and each once.
///
/// `POST /v1/answer`; whatever cannot be proved to be the far side's is counted, and told of at most once in a while.
public final class CallbackService: Sendable {
  /// In milliseconds, between two records of requests that were not proved: nobody fills a log with them.
  private static let quiet: Int64 = 10_000

  private struct State {
    var judge: CallbackJudge
    var told: Int64 = 0
    var untold: UInt64 = 0
  }

  private let gate: Gate
  private let counters: WebhookCounters
  private let state: Mutex<State>

  /// Makes a service for a gate that serves.
  public init(_ gate: Gate, _ settings: WebhookSettings) {
    self.gate = gate
    counters = settings.counters
    state = Mutex(State(judge: CallbackJudge(settings.secret)))
  }

  /// Answers from now on.
  public func start() { gate.serveCallbacks { [self] in take($0, $1) } }

  private func take(_ request: PageRequest, _ reply: PageReply) {
    guard request.path == "/v1/answer", request.query == nil else {
      return reply(answer(404, false, "there is /v1/answer"))
    }
    guard request.method == "POST" else {
      var refusal = answer(405, false, "answers come by POST")
      refusal.fields = [("Allow", "POST")]
      return reply(refusal)
    }
    let now = Timestamp.now()
    do throws(CallbackJudge.Refusal) {
      let question = CallbackJudge.Question(request)
      let result: Result<Void, CallbackJudge.Refusal> = state.withLock { state in
        Result { () throws(CallbackJudge.Refusal) in
          try state.judge.admit(question, at: now.milliseconds / 1000)
        }
      }
      try result.get()
    } catch {
      noteUnproved(error.rawValue, at: now)
      return reply(answer(error == .busy ? 503 : 403, false, error.rawValue))
    }
    carryOut(request, reply, at: now)
  }

  private func carryOut(_ request: PageRequest, _ reply: PageReply, at now: Timestamp) {
    guard let given = CallbackAnswer(request.body) else {
      noteUnproved("it is no answer", at: now)
      return reply(
        answer(400, false, "it is no answer: id, decision, for, by, digest and generation, and maybe note"))
    }
    gate.answer(given.order, allowing: given.isAllowing, by: Person(.webhook, name: given.name)) { [self] in
      switch $0 {
      case .answered(let words):
        counters.count { $0.answered += 1 }
        reply(answer(200, true, words))
      case .refused(let why):
        counters.count { $0.refused += 1 }
        reply(answer(409, false, why))
      default: reply(answer(500, false, "the gate answered something else"))
      }
    }
  }

  private func answer(_ status: Int, _ counts: Bool, _ text: String) -> PageAnswer {
    var writer = JSONWriter()
    writer.value(.object([.init("counts", .bool(counts)), .init("text", .string(text))]))
    return PageAnswer(status: status, type: "application/json", body: writer.bytes)
  }

  private func noteUnproved(_ why: String, at now: Timestamp) {
    counters.count { $0.unproved += 1 }
    let more = state.withLock { state -> UInt64? in
      state.untold += 1
      guard now.milliseconds - state.told >= Self.quiet || now.milliseconds < state.told else { return nil }
      defer { (state.told, state.untold) = (now.milliseconds, 0) }
      return state.untold
    }
    guard let more else { return }
    let count = more > 1 ? " (\(more) since the last was told)" : ""
    gate.note(webhook: "a callback was refused: \(why)\(count)", reason: "webhook-callback", isTrouble: true)
  }
}

extension CallbackJudge.Question {
  fileprivate init(_ request: PageRequest) {
    self.init(
      times: request.values(of: "exitgate-timestamp"), nonces: request.values(of: "exitgate-nonce"),
      signatures: request.values(of: "exitgate-signature"), body: request.body)
  }
}

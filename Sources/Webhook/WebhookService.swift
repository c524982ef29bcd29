import Approvals
import Control
import Dispatch
import Gateway
import Glibc
import Policy
import Shipping
import Synchronization
import TLSClient

/// How a webhook is told of questions.
public struct WebhookSettings: Sendable {
  /// Where to.
  public var target: WebhookTarget
  /// What both ends know.
  public var secret: WebhookSecret
  /// Whose certificates are believed; nil where nothing is protected.
  public var tls: TLSSettings?
  /// Whether questions may leave this machine in the clear.
  public var mayLeaveInClear: Bool
  /// The version that messages name.
  public var version: String
  /// What is measured.
  public var counters: WebhookCounters

  /// Makes settings.
  public init(
    target: WebhookTarget, secret: WebhookSecret, tls: TLSSettings?, mayLeaveInClear: Bool, version: String,
    counters: WebhookCounters
  ) {
    (self.target, self.secret, self.tls) = (target, secret, tls)
    (self.mayLeaveInClear, self.version, self.counters) = (mayLeaveInClear, version, counters)
  }
}

/// Tells a webhook of questions, on a thread of its own, and is somebody who can be asked while it is heard.
public final class WebhookService: Sendable {
  /// In milliseconds, for each of connecting, sending and answering: no longer than people wait for a page.
  private static let patience: UInt64 = 5000

  private struct State {
    var queue = DeliveryQueue()
    var channel: AttachedChannel?
  }

  private let gate: Gate
  private let settings: WebhookSettings
  private let poster: JSONPoster
  private let host: String
  private let state = Mutex(State())
  private let news = DispatchSemaphore(value: 0)
  private let thread = DispatchQueue(label: "exitgate.webhook")

  /// Makes a service for a gate that serves.
  public init(_ gate: Gate, _ settings: WebhookSettings) {
    (self.gate, self.settings) = (gate, settings)
    poster = JSONPoster(
      to: settings.target.place, path: settings.target.path, settings: settings.tls,
      mayLeaveInClear: settings.mayLeaveInClear, patience: Self.patience)
    var name = utsname()
    uname(&name)
    host = withUnsafeBytes(of: &name.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// Tells from now on, for as long as the process lives.
  public func start() {
    gate.followForWebhook { [self] reply in
      state.withLock { state in
        switch reply {
        case .question(let question): state.queue.ask(question)
        case .closed(let closed): state.queue.close(closed)
        default: break
        }
      }
      news.signal()
    }
    thread.async { [self] in work() }
  }

  private func work() -> Never {
    while true {
      switch state.withLock({ $0.queue.next(at: monotonicMilliseconds()) }) {
      case .send(let delivery): finish(delivery, post(delivery))
      case .wait(nil): news.wait()
      case .wait(let time?):
        let left = time - min(time, monotonicMilliseconds())
        _ = news.wait(timeout: .now() + .milliseconds(Int(left)))
      }
    }
  }

  private func post(_ delivery: DeliveryQueue.Delivery) -> DeliveryQueue.Outcome {
    let now = Timestamp.now()
    var delivery = delivery
    if case .asked(var question) = delivery.content {
      question.heldUntil = gate.heldUntil(question.id)
      delivery.content = .asked(question)
    }
    let body = Message.body(delivery, sent: now.description, host: host, gate: settings.version)
    let fields = Message.fields(delivery, body, at: now.milliseconds / 1000, by: settings.secret)
    do throws(ConnectionError) {
      return outcome(of: try poster.post(body, fields: fields))
    } catch {
      return .failed("\(error)", pause: 0)
    }
  }

  /// - Source: RFC 9110 §15: which statuses a repetition cannot change.
  private func outcome(of answer: JSONPoster.Answer) -> DeliveryQueue.Outcome {
    switch answer.status {
    case 200..<300: .taken
    case 300..<400: .failed("it answers \(answer.status), and no redirect is followed", pause: 0)
    case 400, 413, 422: .refused("it answers \(answer.status)")
    default: .failed("it answers \(answer.status)", pause: min(answer.retryAfter ?? 0, 3600) * 1000)
    }
  }

  private func finish(_ delivery: DeliveryQueue.Delivery, _ outcome: DeliveryQueue.Outcome) {
    let (notes, dropped) = state.withLock { state in
      (
        state.queue.finish(
          delivery, outcome, at: monotonicMilliseconds(), jitter: Double.random(in: 0...1)),
        state.queue.dropped
      )
    }
    settings.counters.count { counts in
      if case .taken = outcome { counts.delivered += 1 } else { counts.failed += 1 }
      counts.dropped = dropped
    }
    for note in notes { tell(note) }
  }

  private func tell(_ note: DeliveryQueue.Note) {
    switch note {
    case .attached:
      attach(true)
      gate.note(webhook: "people can be asked by it", reason: "webhook-up", isTrouble: false)
    case .detached(let why):
      attach(false)
      gate.note(
        webhook: "nobody can be asked by it any more: \(why)", reason: "webhook-down", isTrouble: true)
    case .gaveUp(let id, let why):
      gate.note(webhook: "question \(id) is not told: \(why)", reason: "webhook-dropped", isTrouble: true)
    }
  }

  /// The channel is let go outside the lock, under which the book's followers hand over.
  private func attach(_ isHeard: Bool) {
    let channel = isHeard ? gate.approvals.attach(.webhook) : nil
    let before = state.withLock { state in
      defer { state.channel = channel }
      return state.channel
    }
    settings.counters.count { $0.isAttached = isHeard }
    extendLifetime(before)
  }
}

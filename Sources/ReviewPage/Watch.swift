import Audit
import Control
import Dispatch
import EventLoop
import Policy
import Review
import Synchronization

/// What the page knows beside the records: how the gate is, and whether the log is whole.
struct Knowledge: Sendable {
  /// What the gate said last.
  enum Gate: Sendable {
    /// No gate is spoken to.
    case unasked
    case answered(GateStatus)
    /// It does not answer, and why.
    case silent(String)
  }

  /// What checking the log found.
  enum Integrity: Sendable {
    case unknown
    case checked(Verification, at: Timestamp)
    case failed(String, at: Timestamp)
  }

  var gate: Gate = .unasked
  var integrity: Integrity = .unknown
}

/// Looks after the log and the gate, and tells those who listen what changed.
///
/// Each of the three looks has a queue of its own, since each may take long.
final class Watch: Sendable {
  /// inotify(7) would not tell of a rotation; soon enough for people.
  private static let lookInterval: Duration = .milliseconds(250)
  private static let gateInterval: Duration = .seconds(2)
  /// The whole log is read each time.
  private static let verifyInterval: Duration = .seconds(60)

  private let log: LogSource
  private let hooks: ReviewHooks
  private let hub: EventHub
  private let known = Mutex(Knowledge())
  private let queues = ["log", "gate", "verify"].map { DispatchQueue(label: "review.\($0)") }

  init(_ log: LogSource, _ hooks: ReviewHooks, _ hub: EventHub) {
    (self.log, self.hooks, self.hub) = (log, hooks, hub)
  }

  /// What is known now.
  var knowledge: Knowledge { known.withLock { $0 } }

  /// Begins to look, for as long as the process lives.
  func start() {
    queues[0].async { [self] in lookAtLog(after: LogSource.Extent(), blocked: nil) }
    queues[2].async { [self] in verify(after: LogSource.Extent()) }
    if hooks.ask != nil { queues[1].async { [self] in askGate() } }
  }

  // MARK: - Log

  private func lookAtLog(after seen: LogSource.Extent, blocked: UInt64?) {
    let now = log.extent, start = MonotonicTime.now()
    var blocked = blocked
    if now != seen, hub.isHeard {
      blocked = count() ?? blocked
      hub.send(.log, data: "{\"blocked\":\(blocked ?? 0)}")
    }
    // A long log takes long to sum up: no more than a fifth of the time goes into it.
    let wait = max(Self.lookInterval, (MonotonicTime.now() - start) * 4)
    let next = hub.isHeard ? now : seen
    queues[0].asyncAfter(deadline: .now() + wait.dispatchInterval) { [self, blocked] in
      lookAtLog(after: next, blocked: blocked)
    }
  }

  /// How much was blocked in all.
  private func count() -> UInt64? {
    guard let summary = try? log.summary(RecordFilter()) else { return nil }
    return summary.totals.reduce(0) { $0 &+ ($1.kind.isBlocked ? $1.count : 0) }
  }

  private func verify(after seen: LogSource.Extent) {
    let now = log.extent, start = MonotonicTime.now()
    if now != seen {
      check()
      hub.send(.verified, data: "{}")
    }
    let wait = max(Self.verifyInterval, (MonotonicTime.now() - start) * 20)
    queues[2].asyncAfter(deadline: .now() + wait.dispatchInterval) { [self] in
      verify(after: now)
    }
  }

  private func check() {
    let found: Knowledge.Integrity
    do throws(AuditError) {
      found = .checked(try LogVerifier(path: log.path).verify(), at: hooks.now())
    } catch {
      found = .failed("\(error)", at: hooks.now())
    }
    known.withLock { $0.integrity = found }
  }

  // MARK: - Gate

  private func askGate() {
    let before = knowledge.gate.summary
    let gate = answer()
    known.withLock { $0.gate = gate }
    if gate.summary != before { hub.send(.gate, data: "{}") }
    queues[1].asyncAfter(deadline: .now() + Self.gateInterval.dispatchInterval) { [self] in askGate() }
  }

  private func answer() -> Knowledge.Gate {
    guard let ask = hooks.ask else { return .unasked }
    do throws(ReviewProblem) {
      guard case .status(let status) = try ask(.status) else {
        return .silent("it answered something else than its status")
      }
      return .answered(status)
    } catch {
      return .silent(error.text)
    }
  }
}

extension Knowledge.Gate {
  /// What a person should hear of when it changes.
  fileprivate var summary: String {
    switch self {
    case .unasked: ""
    case .silent(let why): why
    case .answered(let status):
      "\(status.pid) \(status.policy.generation) \(status.policy.mode) \(status.warning ?? "") "
        + "\(status.audit.available) \(status.policy.lastError ?? "")"
    }
  }
}

extension Duration {
  fileprivate var dispatchInterval: DispatchTimeInterval {
    .milliseconds(Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000))
  }
}

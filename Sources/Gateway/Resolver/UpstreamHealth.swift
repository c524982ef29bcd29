import Addressing
import EventLoop

/// What one loop has seen of one upstream.
struct UpstreamHealth: Hashable, Sendable {
  /// Attempts in a row that ended in silence, or in a connection that failed; an
  /// answer of any kind makes it none.
  private(set) var strikes = 0
  /// The answers' time, the older the less it counts: a quarter of what is new, so
  /// that one slow name does not make it slow (as SRTT of RFC 6298 §2.3, which takes
  /// an eighth of many more samples). Nil before the first.
  private(set) var smoothedTime: Duration?
  /// Queries sent.
  private(set) var queries: UInt64 = 0
  /// Of these, without an answer in time.
  private(set) var timeouts: UInt64 = 0
  /// Of these, ended by a connection that failed, or an answer that says it will not answer.
  private(set) var failures: UInt64 = 0
  /// Why it failed last, of the strikes since the last answer.
  private(set) var cause: String?
  private var backoff = Self.backoffs.lowerBound
  private var nextProbe: MonotonicTime?

  /// How many strikes make it down.
  static let strikes = 2
  /// How long one that is down is left alone: 1 s, doubled with each probe in vain, up to 30 s.
  static let backoffs: ClosedRange<Duration> = .seconds(1) ... .seconds(30)
  /// How long a probe is waited for: long enough for an answer from a resolver's
  /// cache round the world, short enough for whoever asked to be served by the next.
  static let probe: Duration = .milliseconds(500)

  /// Whether it is put behind the others.
  var isDown: Bool { strikes >= Self.strikes }

  /// Counts a query.
  mutating func sent() { queries += 1 }

  /// It answered, `time` after it was asked.
  mutating func answered(after time: Duration) {
    let old = (smoothedTime ?? time).attoseconds
    smoothedTime = Duration(attoseconds: (old &+ old &+ old &+ time.attoseconds) &>> 2)
    (strikes, cause, nextProbe, backoff) = (0, nil, nil, Self.backoffs.lowerBound)
  }

  /// It answered that it cannot or will not answer.
  mutating func refused() { failures += 1 }

  /// It was silent until the attempt was over.
  mutating func wasSilent(at now: MonotonicTime) {
    timeouts += 1
    strike("it does not answer", at: now)
  }

  /// Its socket or connection failed.
  ///
  /// - Parameter isOnlyWay: Whether there is no other way to it: then once is enough.
  mutating func broke(because cause: String, isOnlyWay: Bool, at now: MonotonicTime) {
    failures += 1
    strike(cause, by: isOnlyWay ? Self.strikes : 1, at: now)
  }

  /// Whether one that is down is to be tried again; the next time is then set.
  mutating func takesProbe(at now: MonotonicTime) -> Bool {
    guard isDown, let due = nextProbe, now >= due else { return false }
    backoff = min(backoff * 2, Self.backoffs.upperBound)
    nextProbe = now + backoff
    return true
  }

  private mutating func strike(_ cause: String, by count: Int = 1, at now: MonotonicTime) {
    strikes += count
    self.cause = cause
    // Whoever asked it in vain, all being down, has probed it.
    if isDown { nextProbe = now + backoff }
  }
}

/// What one loop knows of its upstreams: who is down, and what each has done. Shared
/// by all who ask on the loop.
final class UpstreamBoard {
  private(set) var health: [Upstream: UpstreamHealth] = [:]
  private let notice: (UpstreamNotice) -> Void

  /// - Parameter notice: Told when an upstream goes down or comes back.
  init(notice: @escaping (UpstreamNotice) -> Void = { _ in }) {
    self.notice = notice
  }

  /// The order in which `upstreams` are asked now, and how long the first is waited for.
  ///
  /// Those that are down come last. One of them that is due for a probe comes first,
  /// for this question alone, and is waited for but shortly. When all are down, they
  /// are asked in order, as if none was.
  func line(
    of upstreams: [Upstream], at now: MonotonicTime
  ) -> (line: [Upstream], patience: Duration) {
    let down = upstreams.filter { health[$0]?.isDown ?? false }
    guard !down.isEmpty, down.count < upstreams.count else { return (upstreams, ResolverLimit.attempt) }
    let up = upstreams.filter { !down.contains($0) }
    for upstream in down where health[upstream]?.takesProbe(at: now) ?? false {
      return ([upstream] + up + down.filter { $0 != upstream }, UpstreamHealth.probe)
    }
    return (up + down, ResolverLimit.attempt)
  }

  /// Notes what became of an upstream, and tells when that takes it down or brings it back.
  func note(_ upstream: Upstream, _ change: (inout UpstreamHealth) -> Void) {
    guard let cause = Self.turn(&health[upstream, default: UpstreamHealth()], change) else { return }
    notice(cause.map { .down(upstream, because: $0) } ?? .up(upstream))
  }

  /// Changes an entry where it is. Returns nil when it stays up, or down; else why
  /// it went down, if it did.
  private static func turn(
    _ entry: inout UpstreamHealth, _ change: (inout UpstreamHealth) -> Void
  ) -> String?? {
    let wasDown = entry.isDown
    change(&entry)
    guard entry.isDown != wasDown else { return nil }
    return .some(entry.isDown ? entry.cause ?? "unknown" : nil)
  }
}

/// What is said about an upstream.
public enum UpstreamNotice: Hashable, Sendable {
  /// It is put behind the others, and why.
  case down(Upstream, because: String)
  /// It answers again.
  case up(Upstream)
}

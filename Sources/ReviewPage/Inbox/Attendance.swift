import Control
import Dispatch
import Policy
import Synchronization

/// Tells the gate that somebody can be asked, for as long as a page is open, and hears what waits.
///
/// A page is open while its stream of events is, begun with the session's own token; with the last of them the
/// connection to the gate ends, and with it the gate's belief that anybody is here.
final class Attendance: Sendable {
  /// Whether agents are held for whoever looks at the page.
  enum State: Hashable, Sendable {
    /// No page is open that listens.
    case away
    /// The gate holds them.
    case asked
    /// Whoever runs the page may look and not answer, in the gate's words.
    case looking(String)
    /// The gate does not answer, and why.
    case silent(String)
  }

  /// A question that is over.
  struct Ended: Hashable, Sendable {
    var id: String
    /// What it was about, where it was heard of before.
    var place: String?
    var sentence: String
    var time: Timestamp
  }

  private struct Known {
    var state = State.away
    var waiting: [String: String] = [:]
    var ended: [Ended] = []
  }

  /// How soon a page that was opened is noticed; how long a gate that does not answer is left alone.
  private static let pause = DispatchTimeInterval.milliseconds(100), rest = DispatchTimeInterval.seconds(1)
  /// Questions that are over and still shown.
  private static let endedLimit = 10

  private let line: GateLine
  private let hub: EventHub
  private let now: @Sendable () -> Timestamp
  private let known = Mutex(Known())
  private let queue = DispatchQueue(label: "review.attendance")

  init(_ line: GateLine, _ hub: EventHub, now: @escaping @Sendable () -> Timestamp) {
    (self.line, self.hub, self.now) = (line, hub, now)
  }

  /// Whether somebody can be asked.
  var state: State { known.withLock { $0.state } }
  /// How many questions wait, as far as it was heard.
  var waiting: Int { known.withLock { $0.waiting.count } }
  /// What was over last, the latest first.
  var ended: [Ended] { known.withLock { $0.ended } }

  /// Looks after it from now on, for as long as the process lives.
  func start() { queue.async { [self] in attend() } }

  private func attend() {
    guard hub.isAttended else {
      enter(.away)
      return again(in: Self.pause)
    }
    do throws(ReviewProblem) {
      try follow(.attend)
      if case .looking = state { try follow(.follow) }
      again(in: Self.pause)
    } catch {
      enter(.silent(error.text))
      again(in: Self.rest)
    }
  }

  private func again(in time: DispatchTimeInterval) {
    queue.asyncAfter(deadline: .now() + time) { [self] in attend() }
  }

  private func follow(_ request: ControlRequest) throws(ReviewProblem) {
    known.withLock { $0.waiting = [:] }
    try line.follow(request, { [hub] in hub.isAttended }) { take($0) }
  }

  /// Whatever is heard, pages ask for the whole again.
  private func take(_ reply: ControlReply) {
    switch reply {
    case .listed: return enter(.asked)
    case .refused(let why): return enter(.looking(why))
    case .question(let question):
      known.withLock { $0.waiting[question.id] = question.title }
    case .closed(let closed): close(closed)
    default: return
    }
    hub.send(.pending, data: "{\"waiting\":\(waiting)}")
  }

  private func close(_ closed: ClosedStatus) {
    let time = now()
    known.withLock { known in
      let place = known.waiting.removeValue(forKey: closed.id)
      known.ended.insert(
        Ended(id: closed.id, place: place, sentence: closed.sentence, time: time), at: 0)
      known.ended = Array(known.ended.prefix(Self.endedLimit))
    }
  }

  private func enter(_ state: State) {
    let isNew = known.withLock { known in
      defer { known.state = state }
      return known.state != state
    }
    if isNew { hub.send(.pending, data: "{\"waiting\":\(waiting)}") }
  }
}

extension PendingStatus {
  /// What it is about, in a line.
  var title: String {
    guard let first = places.first else { return id }
    let more = places.count > 1 ? " and \(places.count - 1) more" : ""
    return "\(first.traffic)://\(first.host):\(first.port)\(more)"
  }
}

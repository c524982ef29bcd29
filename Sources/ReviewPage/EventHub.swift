import EventLoop
import Synchronization

/// Those who listen to what changes, each with a stream of server-sent events.
///
/// - Source: HTML standard §9.2.
final class EventHub: Sendable {
  /// What changes. The page asks for itself again when it hears one.
  enum Event: String, Hashable, Sendable, CaseIterable {
    /// Records were written.
    case log
    /// The gate is another one, or enforces something else.
    case gate
    /// The log was verified.
    case verified
    /// What waits for a person's answer, or whether somebody can be asked.
    case pending
    /// Nothing: a page whose script runs says that it does.
    case beat
  }

  /// How often pages are asked for a sign of life, and for how long one is believed to live without.
  static let pause = Duration.seconds(10), patience = Duration.seconds(35)

  /// Streams open at once: half of the connections, so that pages are answered while all are taken.
  static let maximumListeners = 16

  private struct Listener {
    var stream: MessageStream
    var session: Secret
    var isPerson: Bool
    var seen: MonotonicTime
  }

  private let streams = Mutex<(all: [UInt64: Listener], last: UInt64)>(([:], 0))

  /// Whether anybody listens.
  var isHeard: Bool { streams.withLock { !$0.all.isEmpty } }

  /// Whether somebody is among them who can be asked, and has lately shown a sign of life: a stream stays open while
  /// its browser, or what carries it, hangs.
  var isAttended: Bool { isAttended(at: .now()) }

  func isAttended(at now: MonotonicTime) -> Bool {
    streams.withLock { $0.all.values.contains { $0.isPerson && now - $0.seen < Self.patience } }
  }

  /// A page of this session lives.
  func sign(of session: Secret, at now: MonotonicTime = .now()) {
    streams.withLock { streams in
      for number in streams.all.keys where streams.all[number]?.session == session {
        streams.all[number]?.seen = now
      }
    }
  }

  /// Adds a listener; `open` begins its stream, and tells when it ends.
  ///
  /// - Parameters:
  ///   - session: Whose it is; it ends with that.
  ///   - isPerson: Whether it is a page in front of somebody, and not only something that listens.
  /// - Returns: Whether there was room.
  func add(
    of session: Secret, isPerson: Bool = false,
    _ open: (_ onEnd: @escaping @Sendable () -> Void) -> MessageStream
  ) -> Bool {
    let number = streams.withLock { streams -> UInt64? in
      guard streams.all.count < Self.maximumListeners else { return nil }
      streams.last += 1
      return streams.last
    }
    guard let number else { return false }
    let stream = open { [weak self] in self?.remove(number) }
    let listener = Listener(stream: stream, session: session, isPerson: isPerson, seen: .now())
    streams.withLock { $0.all[number] = listener }
    // It may have ended before it was there to be removed.
    if !stream.isOpen { remove(number) }
    return true
  }

  /// Ends the streams of all but these sessions.
  func keep(_ sessions: Set<Secret>) {
    for listener in streams.withLock({ Array($0.all.values) }) where !sessions.contains(listener.session) {
      listener.stream.end()
    }
  }

  /// Tells everybody.
  ///
  /// - Parameter data: One line.
  func send(_ event: Event, data: String) {
    broadcast("event: \(event.rawValue)\ndata: \(data)\n\n")
  }

  /// Asks for a sign of life, and keeps connections alive that something on the way would forget.
  func beat() { send(.beat, data: "{}") }

  private func broadcast(_ text: String) {
    let bytes = Array(text.utf8)
    for listener in streams.withLock({ Array($0.all.values) }) { listener.stream.push(bytes) }
  }

  private func remove(_ number: UInt64) {
    streams.withLock { $0.all[number] = nil }
  }
}

import Logging
import Synchronization

/// Says once that an upstream is down, and once that it is back, however many loops
/// find that out.
final class UpstreamEpisodes: Sendable {
  private let words: Logger
  private let down = Mutex<Set<Upstream>>([])

  init(_ words: Logger) {
    self.words = words
  }

  /// Takes what one loop has found. May be called on any of them.
  @Sendable func note(_ notice: UpstreamNotice) {
    switch notice {
    case .down(let upstream, let cause):
      guard down.withLock({ $0.insert(upstream).inserted }) else { return }
      words.warning("resolver \(upstream): \(cause). It is asked last until it answers.")
    case .up(let upstream):
      guard down.withLock({ $0.remove(upstream) }) != nil else { return }
      words.notice("resolver \(upstream) answers again")
    }
  }
}

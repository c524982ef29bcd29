import EventLoop
import Synchronization

/// A count that several loops add to.
final class Tally: Sendable {
  private let count = Atomic<Int>(0)

  var value: Int { count.load(ordering: .acquiring) }

  func add(_ more: Int) {
    count.add(more, ordering: .acquiringAndReleasing)
  }
}

/// What a listener has taken, and whether it pauses.
final class ListenerGauge: Sendable {
  private let count = Atomic<UInt64>(0)
  private let paused = Atomic<Bool>(false)

  var accepted: UInt64 { count.load(ordering: .relaxed) }
  var isPaused: Bool { paused.load(ordering: .relaxed) }

  func countAccepted() {
    count.add(1, ordering: .relaxed)
  }

  func note(_ notice: ListenerNotice) {
    if case .paused = notice {
      paused.store(true, ordering: .relaxed)
    } else {
      paused.store(false, ordering: .relaxed)
    }
  }
}

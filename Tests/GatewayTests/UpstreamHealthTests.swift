import Addressing
import EventLoop
import Testing

@testable import Gateway

@Suite("What is known of an upstream")
struct UpstreamHealthTests {
  static let start = MonotonicTime(nanoseconds: 5_000_000_000)

  /// What was noticed, in words.
  final class Notices {
    var words: [String] = []

    func note(_ notice: UpstreamNotice) {
      switch notice {
      case .down(let upstream, let cause): words.append("\(upstream) down: \(cause)")
      case .up(let upstream): words.append("\(upstream) up")
      }
    }
  }

  @Test("an episode is told once at its begin, with the cause, and once at its end")
  func episodes() throws {
    let notices = Notices()
    let board = UpstreamBoard(notice: notices.note)
    let upstream = try Upstream("tls://10.0.0.2#dns.test")
    for _ in 0..<5 {
      board.note(upstream) { $0.broke(because: "it is refused", isOnlyWay: true, at: Self.start) }
    }
    board.note(upstream) { $0.wasSilent(at: Self.start) }
    #expect(notices.words == ["tls://10.0.0.2:853#dns.test down: it is refused"])
    board.note(upstream) { $0.answered(after: .milliseconds(3)) }
    board.note(upstream) { $0.answered(after: .milliseconds(3)) }
    #expect(notices.words.dropFirst() == ["tls://10.0.0.2:853#dns.test up"])
    #expect(board.health[upstream]?.cause == nil)
  }

  @Test("the time to the next probe doubles from 1 s to 30 s, and begins anew after an answer")
  func backoff() {
    var health = UpstreamHealth(), now = Self.start
    let isProbed = health.takesProbe(at: now)
    #expect(!isProbed)
    for _ in 0..<2 {
      health.wasSilent(at: now)
      health.wasSilent(at: now)
      for seconds in [1, 2, 4, 8, 16, 30, 30] as [Int64] {
        let early = health.takesProbe(at: now + .milliseconds(seconds * 1000 - 1))
        #expect(!early)
        now = now + .seconds(seconds)
        let first = health.takesProbe(at: now), second = health.takesProbe(at: now)
        #expect(first)
        #expect(!second, "one question, not all of them")
        health.wasSilent(at: now)
      }
      health.answered(after: .milliseconds(1))
      #expect(!health.isDown)
    }
  }

  @Test("counts and times")
  func counts() {
    var health = UpstreamHealth()
    for _ in 0..<3 { health.sent() }
    #expect(health.smoothedTime == nil)
    health.answered(after: .milliseconds(8))
    #expect(health.smoothedTime == .milliseconds(8))
    health.answered(after: .milliseconds(16))
    #expect(health.smoothedTime == .milliseconds(10))
    health.refused()
    health.wasSilent(at: Self.start)
    #expect((health.queries, health.timeouts, health.failures) == (3, 1, 1))
    #expect(health.cause == "it does not answer")
  }

  @Test("of several that are down, each is probed in its turn, one question each")
  func several() throws {
    let board = UpstreamBoard()
    let upstreams = try ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map { try Upstream($0) }
    for upstream in upstreams.prefix(2) {
      for _ in 0..<2 { board.note(upstream) { $0.wasSilent(at: Self.start) } }
    }
    let later = Self.start + .seconds(1)
    let order: (MonotonicTime) -> [Upstream] = { board.line(of: upstreams, at: $0).line }
    #expect(order(Self.start) == [upstreams[2], upstreams[0], upstreams[1]])
    #expect(order(later) == [upstreams[0], upstreams[2], upstreams[1]])
    #expect(order(later) == [upstreams[1], upstreams[2], upstreams[0]])
    #expect(order(later) == [upstreams[2], upstreams[0], upstreams[1]])
  }
}

import Control
import Testing

@testable import Webhook

/// What a webhook is told, and when it is no way to ask anybody: without a socket and without a clock.
@Suite("Delivery of questions to a webhook")
struct DeliveryTests {
  private static func question(_ id: String, digest: String = "00") -> PendingStatus {
    PendingStatus(
      id: id, agent: "a1", places: [.init(host: "x.test", port: 443, traffic: "https")], since: "s",
      last: "l",
      count: 1, waiting: 1, generation: 1, digest: digest, offers: ["once"])
  }

  private static func closed(_ id: String) -> ClosedStatus {
    ClosedStatus(id: id, outcome: "allowed", sentence: "allowed (once)")
  }

  /// A queue whose receiver has answered.
  private func attached(_ bounds: DeliveryQueue.Bounds = .init()) throws -> DeliveryQueue {
    var queue = DeliveryQueue(bounds)
    #expect(queue.finish(try delivery(&queue), .taken, at: 0, jitter: 0.5) == [.attached])
    return queue
  }

  private func delivery(_ queue: inout DeliveryQueue, at now: UInt64 = 0) throws -> DeliveryQueue.Delivery {
    guard case .send(let delivery) = queue.next(at: now) else { throw Nothing() }
    return delivery
  }

  private struct Nothing: Error {}

  @Test("nobody can be asked before the receiver has answered, and no question is told before")
  func hello() throws {
    var queue = DeliveryQueue()
    queue.ask(Self.question("a"))
    #expect(!queue.isAttached)
    let hello = try delivery(&queue)
    #expect(hello.content == .hello)
    #expect(queue.finish(hello, .failed("down", pause: 0), at: 0, jitter: 0.5) == [])
    #expect(queue.next(at: 499) == .wait(until: 500) && !queue.isAttached)
    #expect(queue.finish(try delivery(&queue, at: 500), .taken, at: 500, jitter: 0.5) == [.attached])
    #expect(try delivery(&queue, at: 500).key == "a")
  }

  @Test("each try of a message has one key, and what is told is not told again")
  func keys() throws {
    var queue = try attached()
    queue.ask(Self.question("a"))
    let first = try delivery(&queue)
    #expect(queue.finish(first, .failed("500", pause: 0), at: 0, jitter: 0.5) == [])
    #expect(try delivery(&queue, at: 500) == first)
    #expect(queue.finish(first, .taken, at: 500, jitter: 0.5) == [])
    queue.ask(Self.question("a"))
    #expect(queue.next(at: 500) == .wait(until: nil))
    queue.ask(Self.question("a", digest: "01"))
    #expect(try delivery(&queue, at: 500).key == "a-01", "a list that has grown is told")
    queue.close(Self.closed("a"))
    let end = try delivery(&queue, at: 500)
    #expect(end.key == "a-closed" && end.content == .closed(Self.closed("a")))
    #expect(queue.finish(end, .taken, at: 500, jitter: 0.5) == [] && queue.count == 0)
  }

  @Test("whoever was not told of a question is not told of its end; whoever may have been is")
  func ends() throws {
    var queue = try attached()
    queue.ask(Self.question("a"))
    queue.close(Self.closed("a"))
    #expect(queue.count == 0 && queue.next(at: 0) == .wait(until: nil))
    queue.ask(Self.question("b"))
    let sent = try delivery(&queue)
    queue.close(Self.closed("b"))
    _ = queue.finish(sent, .taken, at: 0, jitter: 0.5)
    #expect(try delivery(&queue).content == .closed(Self.closed("b")), "it was on its way")
    queue.close(Self.closed("nobody"))
    #expect(queue.count == 1)
  }

  @Test("pauses double up to 30 s, with a half more or less, and a receiver's wish counts up to five minutes")
  func pauses() throws {
    for (jitter, factor) in [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (7.0, 1.5)] {
      var queue = DeliveryQueue(), now: UInt64 = 0
      for pause in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] as [UInt64] {
        _ = queue.finish(try delivery(&queue, at: now), .failed("x", pause: 0), at: now, jitter: jitter)
        #expect(queue.next(at: now) == .wait(until: now + UInt64(Double(pause) * factor)))
        now += UInt64(Double(pause) * factor)
      }
    }
    var queue = DeliveryQueue()
    _ = queue.finish(try delivery(&queue), .failed("x", pause: 60_000), at: 0, jitter: 0.5)
    #expect(queue.next(at: 0) == .wait(until: 60_000))
    _ = queue.finish(
      try delivery(&queue, at: 60_000), .failed("x", pause: 9_000_000), at: 60_000, jitter: 0.5)
    #expect(queue.next(at: 60_000) == .wait(until: 360_000))
  }

  @Test("after three failures in a row nobody can be asked by it, until it answers")
  func detached() throws {
    var queue = try attached(), now: UInt64 = 0
    queue.ask(Self.question("a"))
    for failure in 1...3 {
      let notes = queue.finish(try delivery(&queue, at: now), .failed("503", pause: 0), at: now, jitter: 0)
      #expect(notes == (failure == 3 ? [.detached("503")] : []) && queue.isAttached == (failure < 3))
      now += 20_000
    }
    let hello = try delivery(&queue, at: now)
    #expect(hello.content == .hello)
    #expect(queue.finish(hello, .taken, at: now, jitter: 0) == [.attached] && queue.isAttached)
    #expect(try delivery(&queue, at: now).key == "a", "what waited meanwhile is told")
    // A success in between begins the count anew.
    var other = try attached()
    other.ask(Self.question("a"))
    for _ in 1...2 {
      _ = other.finish(try delivery(&other, at: 99_999), .failed("x", pause: 0), at: 0, jitter: 0)
    }
    _ = other.finish(try delivery(&other, at: 99_999), .taken, at: 0, jitter: 0)
    other.ask(Self.question("b"))
    for _ in 1...2 {
      _ = other.finish(try delivery(&other, at: 99_999), .failed("x", pause: 0), at: 0, jitter: 0)
    }
    #expect(other.isAttached)
  }

  @Test(
    "a message is given up after eight tries, or when it is refused for good; its end is told all the same")
  func givenUp() throws {
    var bounds = DeliveryQueue.Bounds()
    bounds.failures = 100
    var queue = try attached(bounds), now: UInt64 = 0
    queue.ask(Self.question("a"))
    for attempt in 1...8 {
      let notes = queue.finish(try delivery(&queue, at: now), .failed("500", pause: 0), at: now, jitter: 0)
      #expect(notes == (attempt == 8 ? [.gaveUp("a", "500")] : []))
      now += 60_000
    }
    #expect(queue.dropped == 1 && queue.next(at: now) == .wait(until: nil))
    queue.ask(Self.question("b"))
    #expect(
      queue.finish(try delivery(&queue, at: now), .refused("422"), at: now, jitter: 0) == [
        .gaveUp("b", "422")
      ])
    queue.close(Self.closed("b"))
    #expect(try delivery(&queue, at: now + 60_000).key == "b-closed")
  }

  @Test("no flood of questions is remembered without a bound")
  func bounded() throws {
    var queue = try attached()
    for number in 0..<1000 { queue.ask(Self.question("q\(number)")) }
    #expect(queue.count == 256 && queue.dropped == 744)
    for number in 0..<1000 { queue.close(Self.closed("q\(number)")) }
    #expect(queue.count == 0)
  }
}

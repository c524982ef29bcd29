import Dispatch
import Glibc
import Synchronization
import Testing

@testable import EventLoop

extension EventLoopTests {
  /// What carries the control socket and the program's own pages.
  @Suite struct ConversationTests {
    /// Lines, of which each is handed to the test; an empty one is refused.
    final class Lines: Dialogue {
      let asked: Waiter<(String, Answer)>

      init(_ asked: Waiter<(String, Answer)>) {
        self.asked = asked
      }

      func take(_ input: ArraySlice<UInt8>, resumingAt seen: Int, answer: Answer) throws(Refusal) -> Int? {
        guard let end = input.dropFirst(seen).firstIndex(of: 10) else { return nil }
        guard end > input.startIndex else { throw Refusal(Array("empty\n".utf8)) }
        asked.give((String(decoding: input[..<end], as: UTF8.self), answer))
        return end + 1 - input.startIndex
      }
    }

    /// A room with short times, and who is in it.
    struct Bench {
      let rig: Rig
      let room: ConversationRoom
      let asked = Waiter<(String, Answer)>()

      init(connections: Int = 8, idle: Duration = .seconds(60), silentMakeRoom: Bool = false) throws {
        rig = try Rig(.nestedEpoll)
        room = ConversationRoom(
          on: rig.loop,
          .init(
            connections: connections, idle: idle, patience: .seconds(60), silentMakeRoom: silentMakeRoom))
      }

      func enter(_ transport: Transport = .unix) throws -> (peer: Peer, admitted: Bool) {
        let (peer, inner) = try connectedPair(transport)
        var admitted = true
        rig.run { room.admit($0.adopt(inner), Lines(asked)) { admitted = false } }
        return (peer, admitted)
      }

      /// A peer whose request is answered with a stream.
      func listen(
        _ transport: Transport = .unix, limit: Int = MessageStream.defaultLimit,
        ended: Waiter<Void> = Waiter()
      ) throws -> (peer: Peer, stream: MessageStream) {
        let peer = try enter(transport).peer
        try peer.send(Array("follow\n".utf8))
        let answer = try asked.wait("a request").1
        return (peer, answer.stream(Array("head\n".utf8), limit: limit, onEnd: { ended.give(()) }))
      }
    }

    @Test("requests are answered one after the other, a late second answer to one is none to the next")
    func order() throws {
      let bench = try Bench()
      let peer = try bench.enter().peer
      try peer.send(Array("one\ntwo\n".utf8))
      let (first, one) = try bench.asked.wait("the first request")
      #expect(first == "one")
      #expect(bench.asked.pending.isEmpty, "the second is not looked at yet")
      one.send(Array("1\n".utf8))
      let (second, two) = try bench.asked.wait("the second request")
      #expect(second == "two")
      one.send(Array("stray\n".utf8))
      two.send(Array("2\n".utf8), thenClose: true)
      #expect(try peer.receive(exactly: 4) == Array("1\n2\n".utf8))
      #expect(try peer.receive().isEmpty)
    }

    @Test("where the silent make room, the oldest of them does, and nobody who has asked")
    func silent() throws {
      let bench = try Bench(connections: 3, silentMakeRoom: true)
      let speaker = try bench.enter().peer
      try speaker.send(Array("one\n".utf8))
      let one = try bench.asked.wait("a request").1
      let oldest = try bench.enter().peer, later = try bench.enter().peer
      let (newcomer, admitted) = try bench.enter()
      #expect(admitted)
      #expect(try oldest.receive().isEmpty, "its end")
      try newcomer.send(Array("new\n".utf8))
      let new = try bench.asked.wait("the newcomer's").1
      try later.send(Array("late\n".utf8))
      let late = try bench.asked.wait("the other's").1
      #expect(try bench.enter().admitted == false, "all three have asked")
      for (answer, peer) in [(one, speaker), (new, newcomer), (late, later)] {
        answer.send(Array("ok\n".utf8))
        #expect(try peer.receive(exactly: 3) == Array("ok\n".utf8))
      }
    }

    @Test("what is no request gets a refusal and the end, and what follows is not looked at")
    func refusal() throws {
      let bench = try Bench()
      let peer = try bench.enter().peer
      try peer.send(Array("\nmore\n".utf8))
      #expect(try peer.receive(exactly: 6) == Array("empty\n".utf8))
      #expect(try peer.receive().isEmpty)
      #expect(bench.asked.pending.isEmpty)
    }

    @Test("a full room closes who comes, and has room again when somebody leaves")
    func crowd() throws {
      let bench = try Bench(connections: 1)
      var first: Peer? = try bench.enter().peer
      let (second, admitted) = try bench.enter()
      #expect(!admitted)
      #expect(try second.receive().isEmpty)
      _ = first
      first = nil
      try eventually("there is room") { try bench.enter().admitted }
    }

    @Test("a peer that says nothing is closed", arguments: Transport.allCases)
    func silence(_ transport: Transport) throws {
      let peer = try Bench(idle: .milliseconds(50)).enter(transport).peer
      #expect(try peer.receive().isEmpty)
    }

    @Test("messages are pushed in their order until the stream is ended", arguments: Transport.allCases)
    func stream(_ transport: Transport) throws {
      let ended = Waiter<Void>()
      let bench = try Bench(idle: .milliseconds(400))
      let (peer, stream) = try bench.listen(transport, ended: ended)
      #expect(try peer.receive(exactly: 5) == Array("head\n".utf8))
      // Longer than a silent peer may be: who listens is silent.
      poll(nil, 0, 1200)
      for number in 0..<1000 { #expect(stream.push(Array("\(number)\n".utf8))) }
      stream.end()
      #expect(!stream.push(Array("late\n".utf8)))
      let expected = (0..<1000).map { "\($0)\n" }.joined()
      #expect(try peer.receive(exactly: expected.utf8.count) == Array(expected.utf8))
      #expect(try peer.receive().isEmpty)
      try ended.wait("the end")
      #expect(ended.pending.isEmpty, "it ends once")
    }

    @Test(
      "a peer that does not read is cut off, with no more kept for it than the limit",
      arguments: Transport.allCases)
    func slowReader(_ transport: Transport) throws {
      let ended = Waiter<Void>()
      let bench = try Bench()
      let (slow, stream) = try bench.listen(transport, limit: 100_000, ended: ended)
      let (quick, other) = try bench.listen(transport)
      let message = [UInt8](repeating: 65, count: 1000)
      var taken = 0
      while stream.push(message) {
        taken += 1
        try #require(taken < 1_000_000)
      }
      try ended.wait("the end")
      #expect(!stream.isOpen)
      // What the kernel took arrives; nobody else is held up.
      #expect(other.push(Array("still here\n".utf8)))
      #expect(try quick.receive(exactly: 16) == Array("head\nstill here\n".utf8))
      var received = 0
      while true {
        guard let count = try? slow.receive().count, count > 0 else { break }
        received += count
      }
      #expect(received <= 5 + taken * message.count)
    }

    @Test("a peer that takes nothing for too long is cut off also below the limit")
    func stalledReader() throws {
      let ended = Waiter<Void>()
      let bench = try Bench(idle: .milliseconds(200))
      let (peer, stream) = try bench.listen(.unix, limit: 64 << 20, ended: ended)
      stream.push([UInt8](repeating: 65, count: 16 << 20))
      try ended.wait("the end")
      #expect(!stream.isOpen)
      extendLifetime(peer)
    }

    @Test("a peer that leaves, or says something, ends its stream", arguments: [true, false])
    func departure(_ leaves: Bool) throws {
      let ended = Waiter<Void>()
      let bench = try Bench()
      var (peer, stream): (Peer?, MessageStream) = try bench.listen(ended: ended)
      if leaves { peer = nil } else { try peer?.send(Array("x".utf8)) }
      try ended.wait("the end")
      #expect(!stream.push([10]))
    }

    @Test("a stream for a peer that has gone ends at once")
    func gone() throws {
      let bench = try Bench()
      let ended = Waiter<Void>()
      var peer: Peer? = try bench.enter().peer
      try peer?.send(Array("one\n".utf8))
      let answer = try bench.asked.wait("a request").1
      answer.send(Array("1\n".utf8), thenClose: true)
      peer = nil
      let stream = answer.stream([], onEnd: { ended.give(()) })
      try ended.wait("the end")
      #expect(!stream.isOpen)
    }
  }
}

import Addressing
import Dispatch
import Glibc
import SystemPackage
import Testing

@testable import EventLoop

extension EventLoopTests {
  /// One loop at a time accepts for a listener.
  @Suite struct PortsTests {
    /// A listener on two loops that keeps its connections and tells which loop took each.
    private final class Pair {
      let rigs: [Rig]
      let listener: Listener
      let endpoint: Endpoint
      let taken = Waiter<Int>()
      let notices = Waiter<ListenerNotice>()
      private var peers: [Peer] = []

      init(_ backEnd: PollerBackEnd) throws {
        rigs = [try Rig(backEnd), try Rig(backEnd)]
        listener = try Listener.bind(.anyPort(loopback4))
        endpoint = try #require(listener.boundEndpoint)
        let first = rigs[0].loop, taken = taken, notices = notices
        // One after the other, so that the first loop has the turn.
        listener.start(
          on: rigs.map(\.loop), accept: { taken.give($0.eventLoop === first ? 0 : 1) },
          notice: { notices.give($0) })
        rigs[0].run { _ in }
      }

      /// The number of the loop that took a new connection, which stays.
      func connect() throws -> Int {
        peers.append(try dial(endpoint))
        return try taken.wait("connection")
      }

      deinit {
        listener.close()
      }
    }

    @Test("connections that stay are spread over the loops", arguments: PollerBackEnd.allCases)
    func spread(_ backEnd: PollerBackEnd) throws {
      let pair = try Pair(backEnd)
      var counts = [0, 0]
      for _ in 0..<60 { counts[try pair.connect()] += 1 }
      #expect(counts.allSatisfy { $0 >= 15 }, "\(counts)")
    }

    @Test("a burst is taken whole, by one loop or by two", arguments: PollerBackEnd.allCases, [1, 2])
    func burst(_ backEnd: PollerBackEnd, loops: Int) throws {
      let rigs = try (0..<loops).map { _ in try Rig(backEnd) }
      let listener = try Listener.bind(.anyPort(loopback4))
      let endpoint = try #require(listener.boundEndpoint)
      let taken = Waiter<Void>()
      listener.start(on: rigs.map(\.loop), accept: { _ in taken.give(()) })
      let peers = try rigs[0].run { _ in try (0..<300).map { _ in try dial(endpoint) } }
      for _ in peers { try taken.wait("connection") }
      listener.close()
    }

    @Test("when the loop that accepts ends, the other one accepts", arguments: PollerBackEnd.allCases)
    func holderEnds(_ backEnd: PollerBackEnd) throws {
      let pair = try Pair(backEnd)
      let holder = try pair.connect()
      pair.rigs[holder].run { $0.shutdown() }
      for _ in 0..<3 { #expect(try pair.connect() == 1 - holder) }
    }

    @Test("also when it ends while it could not accept", arguments: PollerBackEnd.allCases)
    func pausedHolderEnds(_ backEnd: PollerBackEnd) throws {
      let pair = try Pair(backEnd)
      let holder = try pair.connect()
      pair.rigs[holder].run { $0.descriptorCeiling = 0 }
      _ = try dial(pair.endpoint)
      #expect(try pair.notices.wait("notice") == .paused(.tooManyOpenFiles))
      pair.rigs[holder].run { $0.shutdown() }
      #expect(try pair.connect() == 1 - holder)
    }

    @Test("a turn that is passed to a loop that has ended comes back", arguments: PollerBackEnd.allCases)
    func receiverHasEnded(_ backEnd: PollerBackEnd) throws {
      let pair = try Pair(backEnd)
      let holder = try pair.connect()
      pair.rigs[1 - holder].run { $0.shutdown() }
      for _ in 0..<40 { #expect(try pair.connect() == holder) }
    }

    @Test("a listener can be closed while its turn is passed", arguments: PollerBackEnd.allCases)
    func closedInBetween(_ backEnd: PollerBackEnd) throws {
      for round in 0..<20 {
        let pair = try Pair(backEnd)
        for _ in 0..<(5 + round) { _ = try pair.connect() }
        pair.listener.close()
        try eventually("the port is closed") { (try? dial(pair.endpoint)) == nil }
      }
    }
  }

  @Suite struct SubmitTests {
    /// How `work` is put on a loop.
    enum Way: CaseIterable { case submit, sync }

    @Test(
      "work from another thread is not kept waiting by a loop that waits for events itself",
      arguments: Way.allCases)
    func whileLingering(_ way: Way) throws {
      let rig = try Rig(.nestedEpoll)
      let (peer, inner) = try connectedPair(.unix)
      rig.run { echoOnce($0.adopt(inner)) }
      let delays = try (0..<101).map { _ in
        try peer.send([1])
        _ = try peer.receive(exactly: 1)
        let done = Waiter<MonotonicTime>(), start = MonotonicTime.now()
        switch way {
        case .submit: rig.loop.submit { done.give(.now()) }
        case .sync: rig.loop.sync { done.give(.now()) }
        }
        return try done.wait("work") - start
      }
      let median = delays.sorted()[50]
      #expect(median < .milliseconds(5), "\(median)")
    }

    @Test("a timer is on time while a loop waits for events itself")
    func timerWhileLingering() throws {
      let rig = try Rig(.nestedEpoll)
      let (peer, inner) = try connectedPair(.unix)
      let due = Waiter<Duration>()
      rig.run { loop in
        let channel = loop.adopt(inner)
        channel.delegate = ChannelTests.Events { channel in
          _ = channel.read(into: loop.scratch)
          let start = MonotonicTime.now()
          loop.schedule(after: EpollPoller.lingering / 4) { due.give(.now() - start) }
        }
        _ = channel.read(into: loop.scratch)
      }
      let delays = try (0..<101).map { _ in
        try peer.send([1])
        return try due.wait("timer")
      }
      let median = delays.sorted()[50]
      #expect(delays.allSatisfy { $0 >= EpollPoller.lingering / 4 })
      #expect(median < EpollPoller.lingering / 4 + .milliseconds(5), "\(median)")
    }
  }
}

import Addressing
import Dispatch
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import EventLoop

extension EventLoopTests {
  @Suite struct TimerTests {
    @Test("timers run in order of time, cancelled ones never", arguments: PollerBackEnd.allCases)
    func order(_ backEnd: PollerBackEnd) throws {
      let rig = try Rig(backEnd)
      let ran = Waiter<Int>()
      let start = MonotonicTime.now()
      rig.run { loop in
        for delay in [90, 30, 60, 10] { _ = loop.schedule(after: .milliseconds(delay)) { ran.give(delay) } }
        let cancelled = loop.schedule(after: .milliseconds(20)) { ran.give(20) }
        loop.cancel(cancelled)
        loop.cancel(cancelled)
      }
      for expected in [10, 30, 60, 90] { #expect(try ran.wait("timer") == expected) }
      let elapsed = MonotonicTime.now() - start
      #expect(elapsed >= .milliseconds(90) && elapsed < .milliseconds(300), "\(elapsed)")
    }

    @Test("the heap agrees with a sorted list through random insertions and removals")
    func heapAgainstTwin() {
      var random = ByteStream(seed: 5)
      var heap = TimerHeap()
      var twin: [(due: UInt64, id: TimerID)] = []
      var popped: UInt64?
      for _ in 0..<20_000 {
        switch random.next() % 4 {
        case 0, 1:
          let due = random.next() % 1000
          twin.append((due, heap.insert(MonotonicTime(nanoseconds: due)) { popped = due }))
        case 2 where !twin.isEmpty:
          let gone = twin.remove(at: Int(random.next() % UInt64(twin.count)))
          heap.remove(gone.id)
          heap.remove(gone.id)
        default:
          let earliest = twin.map(\.due).min()
          #expect(heap.earliest?.nanoseconds == earliest)
          popped = nil
          heap.popDue(at: MonotonicTime(nanoseconds: 500))?()
          #expect(popped == (earliest.map { $0 <= 500 } == true ? earliest : nil))
          // Among equals either may go first; the twin lets go of the one that is no longer in the heap.
          if let popped, let index = twin.firstIndex(where: { $0.due == popped && !heap.contains($0.id) }) {
            twin.remove(at: index)
          }
        }
        #expect(heap.count == twin.count)
      }
    }

    @Test(
      "hooks run behind submitted work, timers and events, and the clock stands still in a turn",
      arguments: PollerBackEnd.allCases)
    func turnEnd(_ backEnd: PollerBackEnd) throws {
      let rig = try Rig(backEnd)
      let log = Waiter<String>()
      let (peer, inner) = try connectedPair(.unix)
      rig.run { loop in
        loop.onTurnEnd { if log.pending.last.map({ $0 != "end" }) == true { log.give("end") } }
        let channel = loop.adopt(inner)
        channel.delegate = ChannelTests.Events { channel in
          if case .bytes = channel.read(into: loop.scratch) { log.give("event") }
        }
        _ = channel.read(into: loop.scratch)
      }
      rig.loop.submit { [loop = rig.loop] in
        let first = loop.now
        while MonotonicTime.now() == first {}
        log.give(loop.now == first ? "work" : "clock moved")
      }
      try eventually("work and hook") { log.pending.count == 2 }
      rig.run { _ = $0.schedule(after: .zero) { log.give("timer") } }
      try eventually("timer and hook") { log.pending.count == 4 }
      try peer.send([1])
      try eventually("event and hook") { log.pending.count >= 6 }
      #expect(log.pending.prefix(6) == ["work", "end", "timer", "end", "event", "end"])
    }

    @Test("a loop that is shut down gives every descriptor back and calls nobody")
    func shutdown() async {
      await #expect(processExitsWith: .success) {
        for backEnd in PollerBackEnd.allCases { try EventLoopTests.TimerTests.shutdown(backEnd) }
      }
    }

    static func shutdown(_ backEnd: PollerBackEnd) throws {
      _ = try Rig(backEnd)
      try eventually("settled") { true }
      let before = openDescriptors()
      for _ in 0..<20 {
        let rig = try Rig(backEnd)
        let (peer, inner) = try connectedPair(.tcp)
        let listener = try Listener.bind(.anyPort(loopback4))
        listener.start(on: [rig.loop], accept: { _ in })
        rig.run { loop in
          _ = loop.adopt(inner).read(into: loop.scratch)
          _ = loop.schedule(after: .milliseconds(1)) { Issue.record("a timer ran after shutdown") }
          loop.shutdown()
        }
        #expect(try peer.receive().isEmpty)
      }
      try eventually("descriptors are back") { openDescriptors() <= before + dispatchDescriptors }
    }
  }

  @Suite struct DatagramTests {
    @Test("a socket that cannot be bound is closed once, and not what another thread has opened since")
    func unbound() throws {
      let rig = try Rig(.nestedEpoll), isOver = Atomic(false), lost = Atomic(0), other = DispatchGroup()
      DispatchQueue.global().async(group: other) {
        while !isOver.load(ordering: .relaxed) {
          let own = open("/dev/null", O_RDONLY | O_CLOEXEC)
          for _ in 0..<20 { sched_yield() }
          if close(own) != 0 { lost.add(1, ordering: .relaxed) }
        }
      }
      rig.run { loop in
        for _ in 0..<20_000 {
          // Of TEST-NET-3 (RFC 5737), which no host has.
          #expect(throws: Errno.self) { try DatagramSocket(loop: loop, bind: .v4(0xcb00_7101), port: nil) }
        }
      }
      isOver.store(true, ordering: .relaxed)
      other.wait()
      #expect(lost.load(ordering: .relaxed) == 0)
    }

    @Test(
      "datagrams pass, and an ICMP error neither spins nor deafens the socket",
      arguments: PollerBackEnd.allCases, [loopback4, loopback6])
    func closedPort(_ backEnd: PollerBackEnd, _ address: IPAddress) throws {
      let rig = try Rig(backEnd)
      let heard = Waiter<[UInt8]>(), turns = Waiter<Void>()
      let (closed, server, client) = try rig.run { loop in
        let gone = try DatagramSocket(loop: loop, bind: address, port: nil)
        let closed = try #require(gone.localEndpoint)
        gone.close()
        let server = try DatagramSocket(loop: loop, bind: address, port: nil)
        server.onReceive = { [unowned server] bytes, from in server.send(bytes + [0xff], to: from) }
        let client = try DatagramSocket(loop: loop, family: address.isV4 ? .v4 : .v6)
        client.onReceive = { bytes, from in
          #expect(from == server.localEndpoint)
          heard.give(bytes)
        }
        loop.onTurnEnd { turns.give(()) }
        return (closed, server, client)
      }
      for round in UInt8(0)..<20 {
        rig.run { _ in
          client.send([0], to: closed)
          client.send([round], to: server.localEndpoint ?? closed)
        }
        #expect(try heard.wait("answer") == [round, 0xff])
      }
      let pause = Waiter<Void>()
      rig.run { _ = $0.schedule(after: .milliseconds(100)) { pause.give(()) } }
      try pause.wait("timer")
      #expect(turns.pending.count <= 100, "\(turns.pending.count) turns")
      rig.run { _ in
        client.close()
        server.close()
        #expect(!client.send([1], to: closed))
      }
    }
  }

  @Suite struct BudgetTests {
    @Test("threads that spend from one budget get exactly its limit together")
    func shared() {
      let budget = ByteBudget(limit: 1_000_000)
      let granted = Waiter<Int>()
      DispatchQueue.concurrentPerform(iterations: 8) { thread in
        var total = 0
        for _ in 0..<10_000 { total += budget.take(upTo: 7 + thread * 13) }
        granted.give(total)
      }
      #expect(granted.pending.reduce(0, +) == 1_000_000)
      #expect(budget.spent == 1_000_000 && budget.remaining == 0)
    }

    @Test("spending is all or nothing, and no limit only counts")
    func allOrNothing() {
      let budget = ByteBudget(limit: 10)
      #expect(budget.spend(7) && !budget.spend(4) && budget.spend(3) && budget.spend(0) && !budget.spend(1))
      let counter = ByteBudget(limit: nil)
      #expect(counter.spend(1 << 40) && counter.remaining == nil && counter.spent == 1 << 40)
    }
  }

  @Suite struct HostProcessTests {
    @Test("the host's own addresses hold loopback")
    func ownAddresses() {
      #expect(localAddresses().contains(loopback4))
    }

    @Test("a watched signal comes as an event")
    func signals() throws {
      let seen = Waiter<Int32>()
      let watch = SignalWatch.on([SIGUSR2], queue: DispatchQueue(label: "signals")) { seen.give($0) }
      // Dispatch begins to watch some time after the source is made.
      try eventually("the signal is seen") {
        kill(getpid(), SIGUSR2)
        return !seen.pending.isEmpty
      }
      #expect(try seen.wait("signal") == SIGUSR2)
      withExtendedLifetime(watch) {}
    }

    @Test("the descriptor limit is raised to the hard one")
    func descriptorLimit() {
      let limit = raiseDescriptorLimit()
      #expect(limit.soft == limit.hard && limit.soft > 0)
    }
  }
}

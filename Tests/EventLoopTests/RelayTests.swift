import CLinux
import Dispatch
import Glibc
import SystemPackage
import Testing

@testable import EventLoop

extension EventLoopTests {
  @Suite struct RelayTests {
    static let everyWay = PollerBackEnd.allCases.flatMap { end in Transport.allCases.map { (end, $0) } }

    @Test("bytes pass both ways and both ends together end the relay", arguments: everyWay)
    func bothWays(_ backEnd: PollerBackEnd, _ transport: Transport) throws {
      let relay = try RelayRig(backEnd, transport)
      try relay.client.send(Array("ping".utf8))
      #expect(try relay.upstream.receive(exactly: 4) == Array("ping".utf8))
      try relay.upstream.send(Array("pong!".utf8))
      #expect(try relay.client.receive(exactly: 5) == Array("pong!".utf8))
      relay.client.endWriting()
      #expect(try relay.upstream.receive().isEmpty)
      relay.upstream.endWriting()
      #expect(try relay.client.receive().isEmpty)
      #expect(try relay.ended.wait("end") == .finished)
      #expect(relay.counts == [4, 5])
      #expect(relay.rig.run { $0.openChannels } == 0)
    }

    @Test(
      "the end of one direction leaves the other open for as long as it likes", arguments: everyWay,
      [true, false])
    func halfClose(_ way: (PollerBackEnd, Transport), clientFirst: Bool) throws {
      let relay = try RelayRig(way.0, way.1)
      let (first, second) = clientFirst ? (relay.client, relay.upstream) : (relay.upstream, relay.client)
      try first.send([1, 2, 3])
      first.endWriting()
      #expect(try second.receiveAll() == [1, 2, 3])
      for round in UInt8(0)..<20 {
        try second.send([round])
        #expect(try first.receive(exactly: 1) == [round])
      }
      #expect(relay.ended.pending.isEmpty)
      second.endWriting()
      #expect(try first.receive().isEmpty)
      #expect(try relay.ended.wait("end") == .finished)
    }

    @Test("an end that comes with the last bytes is not lost", arguments: everyWay)
    func endBehindBytes(_ backEnd: PollerBackEnd, _ transport: Transport) throws {
      for size in [1, 1000, 300_000, 3_000_000] {
        let relay = try RelayRig(backEnd, transport)
        let bytes = [UInt8](repeating: 9, count: size)
        let received = Waiter<Int>()
        DispatchQueue.global().async { [upstream = relay.upstream] in
          received.give((try? upstream.receiveAll().count) ?? -1)
          upstream.endWriting()
        }
        try relay.client.send(bytes)
        relay.client.endWriting()
        #expect(try received.wait("whole stream") == size)
        #expect(try relay.client.receive().isEmpty)
        #expect(try relay.ended.wait("end") == .finished)
      }
    }

    @Test("early bytes go first and are counted", arguments: PollerBackEnd.allCases)
    func early(_ backEnd: PollerBackEnd) throws {
      let relay = try RelayRig(backEnd, early: ([1, 2], [3]))
      try relay.client.send([9])
      #expect(try relay.upstream.receive(exactly: 3) == [1, 2, 9])
      #expect(try relay.client.receive(exactly: 1) == [3])
      #expect(relay.counts == [3, 1])
      relay.cut()
      #expect(try relay.ended.wait("end") == .cut)
    }

    @Test("a slow reader pushes back on the sender instead of filling memory", arguments: everyWay)
    func backPressure(_ backEnd: PollerBackEnd, _ transport: Transport) throws {
      let relay = try RelayRig(backEnd, transport, socketBuffers: 100_000)
      let sent = relay.client.sendUntilStuck()
      // Two pairs of buffers that the kernel doubles, and one pipe or one buffer of the loop.
      #expect(sent > 0 && sent < 4 * 200_000 + Pipe.capacity, "\(sent) bytes went in")
      relay.client.endWriting()
      #expect(try relay.upstream.receiveAll().count == sent)
      relay.upstream.endWriting()
      #expect(try relay.ended.wait("end") == .finished)
      #expect(relay.counts[0] == UInt64(sent))
    }

    @Test("tens of MiB both ways at once arrive byte for byte", arguments: everyWay)
    func bulk(_ backEnd: PollerBackEnd, _ transport: Transport) throws {
      try Self.carry(24 << 20, both: RelayRig(backEnd, transport))
    }

    @Test("where no pipe is to be had, bulk is copied")
    func withoutPipes() async {
      await #expect(processExitsWith: .success) {
        for backEnd in PollerBackEnd.allCases { try EventLoopTests.RelayTests.withoutPipes(backEnd) }
      }
    }

    static func withoutPipes(_ backEnd: PollerBackEnd) throws {
      let relay = try RelayRig(backEnd)
      // Both sources of each side exist before the limit falls.
      try relay.client.send([1])
      _ = try relay.upstream.receive(exactly: 1)
      let pool = PipePool()
      try withSpareDescriptors(0) { #expect(pool.take() == nil) }
      #expect(pool.take() == nil, "the kernel is not asked again at once")
      let held = relay.rig.run { loop in (0..<64).compactMap { _ in loop.pipes.take() } }
      #expect(held.count <= 32)
      #expect(relay.rig.run { $0.pipes.take() } == nil)
      try carry(8 << 20, both: relay, before: 1)
      relay.rig.run { loop in held.forEach { loop.pipes.give($0) } }
    }

    private static func carry(_ size: Int, both relay: RelayRig, before: UInt64 = 0) throws {
      let results = Waiter<String?>()
      for (peer, sends, reads) in [(relay.client, 11, 22), (relay.upstream, 22, 11)] {
        DispatchQueue.global().async { results.give(sendRandomly(peer, seed: sends, size)) }
        DispatchQueue.global().async { results.give(compare(peer, seed: reads, size)) }
      }
      for _ in 0..<4 { #expect(try results.wait("end of a stream") == nil) }
      #expect(try relay.ended.wait("end") == .finished)
      #expect(relay.counts == [UInt64(size) + before, UInt64(size)])
    }

    @Test(
      "a budget lets exactly its bytes through and cuts on the next one", arguments: everyWay,
      [0, 1, 1000, 262_145, 9_000_001])
    func budget(_ way: (PollerBackEnd, Transport), limit: Int) throws {
      let budget = ByteBudget(limit: UInt64(limit))
      let relay = try RelayRig(way.0, way.1, back: budget)
      DispatchQueue.global().async { [upstream = relay.upstream] in
        try? upstream.send([UInt8](repeating: 5, count: limit + 1_000_000))
      }
      #expect(relay.client.receiveUntilBroken().count == limit)
      #expect(try relay.ended.wait("end") == .overBudgetIn)
      #expect(relay.counts[1] == UInt64(limit))
      #expect(budget.spent == UInt64(limit))
    }

    @Test("a stream of exactly the budget finishes", arguments: PollerBackEnd.allCases, [1, 1000, 5_000_000])
    func withinBudget(_ backEnd: PollerBackEnd, limit: Int) throws {
      let relay = try RelayRig(backEnd, out: ByteBudget(limit: UInt64(limit)))
      DispatchQueue.global().async { [client = relay.client] in
        try? client.send([UInt8](repeating: 5, count: limit))
        client.endWriting()
      }
      #expect(try relay.upstream.receiveAll().count == limit)
      relay.upstream.endWriting()
      #expect(try relay.ended.wait("end") == .finished)
    }

    @Test("one budget holds for all the relays that share it", arguments: PollerBackEnd.allCases)
    func sharedBudget(_ backEnd: PollerBackEnd) throws {
      let budget = ByteBudget(limit: 1_000_000)
      let relays = try (0..<4).map { _ in try RelayRig(backEnd, out: budget) }
      for relay in relays {
        DispatchQueue.global().async { [client = relay.client] in
          try? client.send([UInt8](repeating: 5, count: 2_000_000))
        }
      }
      let totals = relays.map { $0.upstream.receiveUntilBroken().count }
      #expect(totals.reduce(0, +) == 1_000_000)
      for relay in relays { #expect(try relay.ended.wait("end") == .overBudgetOut) }
    }

    @Test("silence ends a relay, and any byte either way puts that off", arguments: PollerBackEnd.allCases)
    func idle(_ backEnd: PollerBackEnd) throws {
      let start = MonotonicTime.now()
      let relay = try RelayRig(backEnd, idle: .milliseconds(400))
      let busy = MonotonicTime.now() + .milliseconds(900)
      while MonotonicTime.now() < busy {
        try relay.upstream.send([1])
        _ = try relay.client.receive(exactly: 1)
      }
      #expect(relay.ended.pending.isEmpty)
      #expect(try relay.ended.wait("end") == .idle)
      let elapsed = MonotonicTime.now() - start
      #expect(elapsed >= .milliseconds(1300) && elapsed < .milliseconds(2500), "\(elapsed)")
    }

    @Test("the total deadline ends a busy relay", arguments: PollerBackEnd.allCases)
    func until(_ backEnd: PollerBackEnd) throws {
      let start = MonotonicTime.now()
      let relay = try RelayRig(backEnd, until: .milliseconds(300))
      while relay.ended.pending.isEmpty, MonotonicTime.now() - start < patience {
        guard (try? relay.upstream.send([1])) != nil, (try? relay.client.receive(exactly: 1)) != nil else {
          break
        }
      }
      #expect(try relay.ended.wait("end") == .timedOut)
      #expect(MonotonicTime.now() - start < .milliseconds(900))
    }

    @Test("a reset is passed on as a reset", arguments: PollerBackEnd.allCases, [true, false])
    func reset(_ backEnd: PollerBackEnd, fromClient: Bool) throws {
      let relay = try RelayRig(backEnd)
      let (first, second) = fromClient ? (relay.client, relay.upstream) : (relay.upstream, relay.client)
      try first.send([1])
      #expect(try second.receive(exactly: 1) == [1])
      var zero = linger(l_onoff: 1, l_linger: 0)
      setsockopt(first.fd, SOL_SOCKET, SO_LINGER, &zero, socklen_t(MemoryLayout<linger>.size))
      // dup2 closes the socket and leaves the number to the peer that owns it.
      let null = open("/dev/null", O_RDWR | O_CLOEXEC)
      dup2(null, first.fd)
      close(null)
      #expect(throws: Errno.connectionReset) { try second.receive() }
      #expect(
        try relay.ended.wait("end")
          == (fromClient ? .clientFailed(.connectionReset) : .upstreamFailed(.connectionReset)))
      #expect(relay.ended.pending.isEmpty)
    }

    @Test("a relay is told of its end once, however often it is cut", arguments: PollerBackEnd.allCases)
    func endsOnce(_ backEnd: PollerBackEnd) throws {
      let relay = try RelayRig(backEnd)
      relay.cut()
      relay.cut()
      #expect(try relay.ended.wait("end") == .cut)
      #expect(relay.ended.pending.isEmpty)
      #expect(relay.rig.run { $0.openChannels } == 0)
    }

    @Test("a bulk relay starves neither its neighbours nor submitted work", arguments: PollerBackEnd.allCases)
    func fairness(_ backEnd: PollerBackEnd) throws {
      let bulk = try RelayRig(backEnd)
      let stop = Waiter<Void>()
      DispatchQueue.global().async { [client = bulk.client] in
        while stop.pending.isEmpty { try? client.send([UInt8](repeating: 1, count: 1 << 20)) }
        client.endWriting()
      }
      DispatchQueue.global().async { [upstream = bulk.upstream] in
        while let bytes = try? upstream.receive(upTo: 1 << 20), !bytes.isEmpty {}
        upstream.endWriting()
      }
      try eventually("bulk flows") { bulk.counts[0] > 8 << 20 }
      let (small, inner) = try connectedPair(.tcp)
      let (far, outer) = try connectedPair(.tcp)
      bulk.rig.run { loop in
        Relay(
          client: loop.adopt(inner), upstream: loop.adopt(outer), options: RelayOptions(idle: .seconds(60)),
          onEnd: { _ in }
        ).start()
      }
      let start = MonotonicTime.now()
      for round in UInt8(0)..<50 {
        try small.send([round])
        #expect(try far.receive(exactly: 1) == [round])
        let ran = Waiter<Void>()
        bulk.rig.loop.submit { ran.give(()) }
        try ran.wait("submitted work")
      }
      #expect(MonotonicTime.now() - start < .seconds(5))
      stop.give(())
      #expect(try bulk.ended.wait("end") == .finished)
    }
  }
}

/// Sends `size` bytes of the stream of `seed` in pieces of random length, then the end.
private func sendRandomly(_ peer: Peer, seed: Int, _ size: Int) -> String? {
  var lengths = ByteStream(seed: UInt64(seed)), sent = 0
  while sent < size {
    let shape = lengths.next()
    let length = min(size - sent, 1 + Int(shape % (shape & 0x100 == 0 ? 700_000 : 900)))
    do { try peer.send(piece(of: seed, at: sent, length)) } catch { return "send: \(error)" }
    sent += length
  }
  peer.endWriting()
  return nil
}

/// Reads to the end; what is wrong with the stream, or nil.
private func compare(_ peer: Peer, seed: Int, _ size: Int) -> String? {
  var received = 0
  while true {
    let bytes: [UInt8]
    do { bytes = try peer.receive(upTo: 1 << 20) } catch { return "receive: \(error)" }
    if bytes.isEmpty { return received == size ? nil : "\(received) of \(size) bytes" }
    if bytes != piece(of: seed, at: received, bytes.count) { return "other bytes behind \(received)" }
    received += bytes.count
  }
}

/// Random bytes; a prime number of them, so that no shift by a power of two goes unseen.
private let randomBytes: [UInt8] = {
  var stream = ByteStream(seed: 1)
  return stream.bytes(3_000_017)
}()

private func piece(of seed: Int, at offset: Int, _ length: Int) -> [UInt8] {
  var piece: [UInt8] = []
  while piece.count < length {
    let start = (seed * 1_000_003 + offset + piece.count) % randomBytes.count
    piece += randomBytes[start..<min(randomBytes.count, start + length - piece.count)]
  }
  return piece
}

import Addressing
import Dispatch
import Glibc
import SystemPackage
import Testing

@testable import EventLoop

extension EventLoopTests {
  @Suite struct ChannelTests {
    /// Calls closures; what a session does in the tests.
    final class Events: ChannelDelegate {
      var ready: (Channel) -> Void
      var late: (Channel) -> Void = { _ in }

      init(_ ready: @escaping (Channel) -> Void = { _ in }) {
        self.ready = ready
      }

      func channelIsReady(_ channel: Channel) { ready(channel) }
      func channelDeadlinePassed(_ channel: Channel) { late(channel) }
    }

    @Test(
      "a first read that finds bytes registers nothing; the one that finds none does",
      arguments: PollerBackEnd.allCases)
    func lazyRegistration(_ backEnd: PollerBackEnd) throws {
      let rig = try Rig(backEnd)
      let (peer, inner) = try connectedPair(.tcp)
      try peer.send([1, 2, 3])
      let heard = Waiter<[UInt8]>()
      rig.run { loop in
        let channel = loop.adopt(inner)
        #expect(channel.read(into: loop.scratch) == .bytes(3))
        #expect(
          "ok".utf8.withContiguousStorageIfAvailable { channel.write(UnsafeRawBufferPointer($0)) }
            == .bytes(2))
        #expect(!channel.isRegistered)
        channel.delegate = Events { channel in
          if case .bytes(let count) = channel.read(into: loop.scratch) {
            heard.give(Array(loop.scratch.prefix(count)))
          }
        }
        #expect(channel.read(into: loop.scratch) == .wouldBlock)
        #expect(channel.isRegistered)
      }
      try peer.send([4])
      #expect(try heard.wait("bytes") == [4])
      #expect(try peer.receive(exactly: 2) == Array("ok".utf8))
    }

    @Test(
      "an event fetched before its channel was closed finds nobody, though slot and number are in use again",
      arguments: PollerBackEnd.allCases)
    func staleEvents(_ backEnd: PollerBackEnd) throws {
      let rig = try Rig(backEnd)
      let pairs = try (0..<2).map { _ in try connectedPair(.unix) }
      let (newPeer, newFD) = try connectedPair(.unix)
      let replaced = Waiter<Bool>(), strayed = Waiter<Void>()
      rig.run { loop in
        let channels = pairs.map { loop.adopt($0.1) }
        for (index, channel) in channels.enumerated() {
          channel.delegate = Events { _ in
            let other = channels[1 - index]
            if other.isClosed { return }
            let slot = other.slot
            other.close()
            let new = loop.adopt(newFD)
            new.delegate = Events { _ in strayed.give(()) }
            replaced.give(new.slot == slot)
          }
          _ = channel.read(into: loop.scratch)
        }
        // Both become ready while the loop's queue is held, so both events are in one batch.
        try? pairs[0].0.send([1])
        try? pairs[1].0.send([1])
      }
      #expect(try replaced.wait("first event"))
      rig.run { _ in }
      rig.run { _ in }
      #expect(strayed.pending.isEmpty)
      try newPeer.send([1])
      rig.run { #expect($0.openChannels == 2) }
    }

    @Test(
      "a connection is made, knows both ends, and carries bytes", arguments: PollerBackEnd.allCases,
      [loopback4, loopback6])
    func connects(_ backEnd: PollerBackEnd, _ address: IPAddress) throws {
      let rig = try Rig(backEnd)
      let listener = try Listener.bind(.anyPort(address))
      let endpoint = try #require(listener.boundEndpoint)
      let connected = Waiter<[Endpoint?]>(), heard = Waiter<Int>()
      listener.start(
        on: [rig.loop],
        accept: { channel in
          #expect(channel.remoteEndpoint?.address == address)
          #expect(channel.localEndpoint == endpoint)
          "hello".utf8.withContiguousStorageIfAvailable { _ = channel.write(UnsafeRawBufferPointer($0)) }
        })
      try rig.run { loop in
        var isConnected = false
        try loop.connect(to: endpoint).delegate = Events { channel in
          guard channel.finishConnecting() == .connected else { return }
          if !isConnected { connected.give([channel.remoteEndpoint, channel.localEndpoint]) }
          isConnected = true
          if case .bytes(let count) = channel.read(into: loop.scratch) { heard.give(count) }
        }
      }
      let ends = try connected.wait("connection")
      #expect(ends[0] == endpoint)
      #expect(ends[1]?.address == address)
      #expect(try heard.wait("greeting") == 5)
      listener.close()
    }

    @Test("a refused connection says so", arguments: PollerBackEnd.allCases)
    func refused(_ backEnd: PollerBackEnd) throws {
      let rig = try Rig(backEnd)
      let closed = try #require(try Listener.bind(.anyPort(loopback4)).boundEndpoint)
      let progress = Waiter<ConnectProgress>()
      try rig.run { loop in
        try loop.connect(to: closed).delegate = Events { progress.give($0.finishConnecting()) }
      }
      #expect(try progress.wait("answer") == .failed(.connectionRefused))
    }

    @Test(
      "a deadline passes once, at most 250 ms late, and not at all when moved or closed",
      arguments: PollerBackEnd.allCases)
    func deadlines(_ backEnd: PollerBackEnd) throws {
      let rig = try Rig(backEnd)
      let passed = Waiter<Int>()
      let start = MonotonicTime.now()
      var pairs: [(Peer, Int32)] = []
      for _ in 0..<4 { pairs.append(try connectedPair(.unix)) }
      rig.run { loop in
        for (index, pair) in pairs.enumerated() {
          let channel = loop.adopt(pair.1)
          let events = Events()
          events.late = { _ in passed.give(index) }
          channel.delegate = events
          channel.deadline = start + .milliseconds(200 + 150 * Int64(index))
          if index == 1 { channel.deadline = nil }
          if index == 2 { channel.close() }
        }
      }
      #expect(try passed.wait("deadline") == 0)
      let first = MonotonicTime.now() - start
      #expect(first >= .milliseconds(200) && first < .milliseconds(450), "\(first)")
      #expect(try passed.wait("deadline") == 3)
      let last = MonotonicTime.now() - start
      #expect(last >= .milliseconds(650) && last < .milliseconds(900), "\(last)")
      #expect(passed.pending.isEmpty)
    }

    @Test("a closed channel answers everything and does nothing", arguments: PollerBackEnd.allCases)
    func closed(_ backEnd: PollerBackEnd) throws {
      let rig = try Rig(backEnd)
      let (peer, inner) = try connectedPair(.tcp)
      rig.run { loop in
        let channel = loop.adopt(inner)
        channel.close()
        channel.close()
        channel.reset()
        channel.shutdownWrite()
        channel.deadline = .now()
        #expect(channel.deadline == nil)
        #expect(channel.read(into: loop.scratch) == .failed(.badFileDescriptor))
        #expect(channel.finishConnecting() == .failed(.badFileDescriptor))
        #expect(channel.localEndpoint == nil)
        #expect(loop.openChannels == 0)
      }
      #expect(try peer.receive().isEmpty)
    }

    @Test("urgent data neither stalls the stream nor loses a byte of it", arguments: PollerBackEnd.allCases)
    func urgentData(_ backEnd: PollerBackEnd) throws {
      let relay = try RelayRig(backEnd)
      for round in UInt8(0)..<50 {
        try relay.client.send([round, 1])
        var urgent: UInt8 = 0xff
        #expect(Glibc.send(relay.client.fd, &urgent, 1, Int32(MSG_OOB)) == 1)
        try relay.client.send([2, 3])
        #expect(try relay.upstream.receive(exactly: 4) == [round, 1, 2, 3])
      }
    }

    @Test("the parts of an idle tunnel stay as small as promised")
    func sizes() {
      #expect(instanceSize(Channel.self) <= 96)
      #expect(instanceSize(Relay.self) <= 160)
    }
  }
}

/// In bytes. Class metadata on 64-bit Linux: kind, superclass, two 32-bit words, then the size.
private func instanceSize(_ type: AnyClass) -> Int {
  Int(unsafeBitCast(type, to: UnsafeRawPointer.self).load(fromByteOffset: 24, as: UInt32.self))
}

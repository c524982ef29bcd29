import Addressing
import Dispatch
import Glibc
import Synchronization
import Testing

@testable import EventLoop

/// Answers what comes with the same bytes, or does what a test says.
///
/// `@unchecked Sendable`: touched on the loop's queue alone; `count` is atomic.
private final class EchoPort: DatagramPortDelegate, @unchecked Sendable {
  let count = Atomic(0)
  let cut = Atomic(0)
  private(set) var port: DatagramPort?
  var onReceive: ((DatagramPort, UnsafeRawBufferPointer, DatagramArrival) -> Void)?

  init(_ endpoint: Endpoint, on loop: EventLoop, _ batch: DatagramBatch = DatagramBatch()) throws {
    port = try DatagramPort(loop: loop, bound: BoundDatagramSocket(endpoint), batch: batch, delegate: self)
  }

  /// One that is not bound: the kernel draws its port.
  init(family: DatagramSocket.Family, on loop: EventLoop, _ batch: DatagramBatch) throws {
    port = try DatagramPort(loop: loop, family: family, batch: batch, delegate: self)
  }

  func port(_ port: DatagramPort, received message: UnsafeRawBufferPointer, _ arrival: DatagramArrival) {
    count.wrappingAdd(1, ordering: .relaxed)
    if arrival.isCut { cut.wrappingAdd(1, ordering: .relaxed) }
    if let onReceive { return onReceive(port, message, arrival) }
    port.stage(arrival.peer) { buffer in
      buffer.copyMemory(from: message)
      return message.count
    }
  }
}

/// A blocking UDP socket on the test's side; gives up after 5 s.
private final class UDPPeer {
  let fd: Int32

  init(_ endpoint: Endpoint) throws {
    let address = SocketAddress(endpoint)
    fd = socket(address.family, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var limit = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    // Connected: the kernel drops what comes from another address than was asked.
    try #require(address.withPointer { connect(fd, $0, $1) } == 0, "errno \(errno)")
  }

  deinit { close(fd) }

  func send(_ bytes: [UInt8]) { _ = Glibc.send(fd, bytes, bytes.count, 0) }

  func receive() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = recv(fd, &buffer, buffer.count, 0)
    return count < 0 ? nil : Array(buffer.prefix(count))
  }
}

extension EventLoopTests {
  @Suite struct DatagramPortTests {
    private static func endpoint(_ address: String) throws -> Endpoint {
      let type = address.contains(":") ? AF_INET6 : AF_INET
      let fd = socket(type, Int32(SOCK_DGRAM.rawValue), 0)
      defer { close(fd) }
      let ip = try #require(IPAddress(address))
      let bound = SocketAddress(ip, port: 0)
      try #require(bound.withPointer { bind(fd, $0, $1) } == 0)
      var name = SocketAddress()
      try #require(name.withMutablePointer { getsockname(fd, $0, $1) } == 0)
      return Endpoint(ip, try #require(name.endpoint).port)
    }

    @Test(
      "more datagrams than one batch holds, and more than one turn takes, are all answered, each to who sent it",
      arguments: PollerBackEnd.allCases, ["127.0.0.1", "::1"])
    func batches(_ backEnd: PollerBackEnd, _ address: String) throws {
      let endpoint = try Self.endpoint(address), rig = try Rig(backEnd)
      let echo = try rig.run { try EchoPort(endpoint, on: $0) }
      defer { rig.run { _ in echo.port?.close() } }
      let peers = try (0..<10).map { _ in try UDPPeer(endpoint) }
      // Held back, so that all are there at once: 400 are more than the 8 × 32 of a turn.
      rig.loop.queue.suspend()
      for number in 0..<40 {
        for (index, peer) in peers.enumerated() { peer.send([UInt8(index), UInt8(number)]) }
      }
      rig.loop.queue.resume()
      for (index, peer) in peers.enumerated() {
        for number in 0..<40 { #expect(peer.receive() == [UInt8(index), UInt8(number)]) }
      }
      #expect(echo.count.load(ordering: .relaxed) == 400)
      #expect(rig.run { _ in echo.port?.lost } == 0)
    }

    @Test(
      "a socket on all addresses answers from the one that was asked",
      arguments: [("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.0.0.77"), ("::", "::1")])
    func wildcard(_ bound: String, _ asked: String) throws {
      let port = try Self.endpoint(bound).port, rig = try Rig(.nestedEpoll)
      let echo = try rig.run { try EchoPort(Endpoint(try #require(IPAddress(bound)), port), on: $0) }
      defer { rig.run { _ in echo.port?.close() } }
      let peer = try UDPPeer(Endpoint(try #require(IPAddress(asked)), port))
      for number in 0..<3 {
        peer.send([UInt8(number)])
        #expect(peer.receive() == [UInt8(number)])
      }
    }

    @Test("an empty datagram is one, the longest is whole, and one that is longer is cut and says so")
    func lengths() throws {
      let endpoint = try Self.endpoint("127.0.0.1"), rig = try Rig(.nestedEpoll)
      let echo = try rig.run { try EchoPort(endpoint, on: $0) }
      defer { rig.run { _ in echo.port?.close() } }
      let peer = try UDPPeer(endpoint)
      peer.send([])
      try eventually("it comes") { echo.count.load(ordering: .relaxed) == 1 }
      for (sent, got, cut) in [(2048, 2048, 0), (2049, 2048, 1), (60_000, 2048, 2), (1, 1, 2)] {
        peer.send([UInt8](repeating: 7, count: sent))
        #expect(peer.receive()?.count == got)
        #expect(echo.cut.load(ordering: .relaxed) == cut)
      }
    }

    @Test("a port that is closed in its own callback sends what it staged, and takes nothing more")
    func closedInside() throws {
      let endpoint = try Self.endpoint("127.0.0.1"), rig = try Rig(.nestedEpoll)
      let echo = try rig.run { try EchoPort(endpoint, on: $0) }
      rig.run { _ in
        echo.onReceive = { port, message, arrival in
          port.stage(arrival.peer) { buffer in
            buffer.copyMemory(from: message)
            return message.count
          }
          port.close()
          port.stage(arrival.peer) { _ in
            Issue.record("a closed port writes nothing")
            return 1
          }
        }
      }
      let peer = try UDPPeer(endpoint)
      rig.loop.queue.suspend()
      for number in 0..<5 { peer.send([UInt8(number)]) }
      rig.loop.queue.resume()
      #expect(peer.receive() == [0])
      rig.run { _ in }
      #expect(echo.count.load(ordering: .relaxed) == 1)
    }

    @Test("two ports of one batch, by turns: each datagram leaves by its own")
    func shared() throws {
      let rig = try Rig(.nestedEpoll), batch = DatagramBatch()
      let ends = [try Self.endpoint("127.0.0.1"), try Self.endpoint("127.0.0.1")]
      let echoes = try rig.run { loop in try ends.map { try EchoPort($0, on: loop, batch) } }
      defer { rig.run { _ in echoes.forEach { $0.port?.close() } } }
      let peers = try ends.map { try UDPPeer($0) }
      // Each answers twice: by itself and by the other, to whom the kernel does not pass it on.
      rig.run { _ in
        for (index, echo) in echoes.enumerated() {
          echo.onReceive = { port, message, arrival in
            for sender in [echoes[1 - index].port, port] as [DatagramPort?] {
              sender?.stage(arrival.peer) { buffer in
                buffer.copyMemory(from: message)
                return message.count
              }
            }
          }
        }
      }
      for number in 0..<50 { for peer in peers { peer.send([UInt8(number)]) } }
      for number in 0..<50 { for peer in peers { #expect(peer.receive() == [UInt8(number)]) } }
    }

    @Test("what nobody takes is lost, wakes nobody, and keeps no other datagram")
    func unreachable() throws {
      let rig = try Rig(.nestedEpoll), batch = DatagramBatch()
      let nobody = try Self.endpoint("127.0.0.1"), endpoint = try Self.endpoint("127.0.0.1")
      let sender = try rig.run { try EchoPort(family: .v4, on: $0, batch) }
      let echo = try rig.run { try EchoPort(endpoint, on: $0) }
      defer { rig.run { _ in [sender, echo].forEach { $0.port?.close() } } }
      rig.run { _ in sender.onReceive = { _, _, _ in } }
      for _ in 0..<20 {
        rig.run { _ in
          sender.port?.stage(to: nobody) { _ in 4 }
          // sendto(2) refuses a broadcast address with EACCES before anything leaves.
          sender.port?.stage(to: Endpoint(.v4(0xffff_ffff), .domain)) { _ in 4 }
          sender.port?.stage(to: endpoint) { _ in 4 }
          sender.port?.stage(to: endpoint) { _ in 0 }
          batch.flush()
        }
      }
      try eventually("the others come and are answered") { sender.count.load(ordering: .relaxed) == 20 }
      #expect(rig.run { _ in sender.port?.lost } == 20)
      let turns = Atomic(0)
      rig.run { loop in loop.onTurnEnd { turns.wrappingAdd(1, ordering: .relaxed) } }
      poll(nil, 0, 100)
      #expect(turns.load(ordering: .relaxed) < 5, "an error that stays would spin")
    }

    @Test("bound twice is an error that says so; what was bound and never served is closed")
    func bound() throws {
      let endpoint = try Self.endpoint("127.0.0.1")
      do {
        let first = try BoundDatagramSocket(endpoint)
        #expect(throws: ListenError.self) { try BoundDatagramSocket(first.endpoint) }
      }
      _ = try BoundDatagramSocket(endpoint)
    }
  }

  @Suite struct RandomPoolTests {
    @Test("10^5 words, drawn by four threads at once: none twice, each bit as often set as not")
    func words() {
      let pool = RandomPool(), all = Mutex<[UInt64]>([])
      DispatchQueue.concurrentPerform(iterations: 4) { _ in
        let drawn = (0..<25_000).map { _ in pool.next() }
        all.withLock { $0 += drawn }
      }
      let words = all.withLock { $0 }
      #expect(Set(words).count == 100_000)
      for bit in 0..<64 {
        let set = words.count { $0 >> bit & 1 == 1 }
        // Six standard deviations of 158.
        #expect((49_050...50_950).contains(set), "bit \(bit): \(set)")
      }
    }
  }
}

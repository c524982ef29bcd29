import Addressing
import EventLoop
import Glibc
import Testing

@testable import Gateway

@Suite("The dialer on real sockets")
struct DialerDriverTests {
  /// What became of a dial, and what it left open.
  struct Outcome: Sendable, Equatable {
    var endpoint: Endpoint?
    var failure: DialFailure?
    var openChannels: Int
  }

  static let here = IPAddress.v4(0x7f00_0001), silent = IPAddress.v4(0x7f00_0002)

  static func dial(
    _ addresses: [IPAddress], _ port: Port, timeout: Duration = .seconds(10), _ rig: LoopRig<EventLoop>
  ) async -> Outcome {
    await rig.call { loop, done in
      Dialer.dial(addresses, port: port, on: loop, timeout: timeout) { result in
        switch result {
        case .success((let channel, let endpoint)):
          #expect(channel.remoteEndpoint == endpoint)
          #expect(channel.delegate == nil)
          done(Outcome(endpoint: endpoint, failure: nil, openChannels: loop.openChannels))
          channel.close()
        case .failure(let failure):
          done(Outcome(endpoint: nil, failure: failure, openChannels: loop.openChannels))
        }
      }
    }
  }

  @Test("One address that listens")
  func one() async throws {
    let listener = try Listening(Self.here)
    let rig = try LoopRig { $0 }
    defer { rig.stop(); listener.stop() }
    let outcome = await Self.dial([Self.here], listener.port, rig)
    #expect(outcome == Outcome(endpoint: Endpoint(Self.here, listener.port), failure: nil, openChannels: 1))
  }

  @Test("Nobody listens: refused, at once and with nothing left open")
  func refused() async throws {
    let listener = try Listening(Self.here)
    listener.stop()
    let rig = try LoopRig { $0 }
    defer { rig.stop() }
    let outcome = await Self.dial([Self.here, Self.silent], listener.port, rig)
    #expect(outcome == Outcome(endpoint: nil, failure: .refused, openChannels: 0))
  }

  @Test("The first family refuses, the second is dialled at once")
  func secondFamily() async throws {
    let listener = try Listening(Self.here)
    let rig = try LoopRig { $0 }
    defer { rig.stop(); listener.stop() }
    let outcome = await Self.dial([Self.here, .v6(high: 0, low: 1)], listener.port, rig)
    #expect(outcome == Outcome(endpoint: Endpoint(Self.here, listener.port), failure: nil, openChannels: 1))
  }

  @Test("RFC 8305: the first is silent, the second starts after 250 ms and wins, the first is closed")
  func stagger() async throws {
    let listener = try Listening(Self.here)
    let full = try Listening(Self.silent, port: listener.port)
    try full.fill()
    let rig = try LoopRig { $0 }
    defer { rig.stop(); listener.stop(); full.stop() }
    let start = MonotonicTime.now()
    let outcome = await Self.dial([Self.silent, Self.here], listener.port, rig)
    #expect(outcome == Outcome(endpoint: Endpoint(Self.here, listener.port), failure: nil, openChannels: 1))
    #expect(MonotonicTime.now() - start >= .milliseconds(249))
  }

  @Test("Nobody answers: timed out, and nothing left open")
  func timeout() async throws {
    let full = try Listening(Self.silent)
    try full.fill()
    let rig = try LoopRig { $0 }
    defer { rig.stop(); full.stop() }
    let outcome = await Self.dial([Self.silent], full.port, timeout: .milliseconds(100), rig)
    #expect(outcome == Outcome(endpoint: nil, failure: .timedOut, openChannels: 0))
  }

  @Test("A cancelled dial tells nobody and leaves nothing open")
  func cancelled() async throws {
    let full = try Listening(Self.silent)
    try full.fill()
    let rig = try LoopRig { $0 }
    defer { rig.stop(); full.stop() }
    let port = full.port
    let open: [Int] = await rig.call { loop, done in
      let dial = Dialer.dial([Self.silent, Self.here], port: port, on: loop) { _ in Issue.record("told") }
      let before = loop.openChannels
      dial.cancel()
      done([before, loop.openChannels])
    }
    #expect(open == [1, 0])
  }

  @Test("No address is unreachable, told before dial returns")
  func none() async throws {
    let rig = try LoopRig { $0 }
    defer { rig.stop() }
    let outcome = await Self.dial([], .https, rig)
    #expect(outcome == Outcome(endpoint: nil, failure: .unreachable, openChannels: 0))
  }
}

/// A listening socket that accepts nobody: the kernel completes as many
/// connections as its backlog holds, and drops the SYN of the next.
final class Listening {
  private let fd: Int32
  private var fillers: [Int32] = []
  let port: Port
  private let address: IPAddress

  init(_ address: IPAddress, port: Port? = nil) throws {
    guard case .v4(let value) = address else { throw LoopbackSocket.Failed(code: EAFNOSUPPORT) }
    self.address = address
    fd = try LoopbackSocket.bound(SOCK_STREAM, address: value, port: port?.number ?? 0)
    listen(fd, 1)
    self.port = try #require(Port(LoopbackSocket.port(of: fd)))
  }

  /// Fills the backlog: connects until one connection stays out.
  func fill() throws {
    guard case .v4(let value) = address else { return }
    for _ in 0..<8 {
      let filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
      fillers.append(filler)
      _ = LoopbackSocket.connect(filler, to: value, port.number)
      var state = pollfd(fd: filler, events: Int16(POLLOUT), revents: 0)
      if poll(&state, 1, 50) == 0 { return }
    }
    throw LoopbackSocket.Failed(code: EAGAIN)
  }

  func stop() {
    fillers.forEach { close($0) }
    close(fd)
  }
}

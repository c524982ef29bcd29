import EventLoop
import Glibc
import Synchronization
import Testing

@testable import Gateway

extension GateTests {
  /// What clients do while their name is looked up.
  @Suite struct Waiting {
    static let policy = Tunnels.policy(
      Tunnels.rule("raw", "raw.test", more: ", limits: { connections: 1 }"),
      Tunnels.rule("web", "web.test", "http", more: ", limits: { connections: 1 }"))

    static let requests = [
      "CONNECT raw.test:$PORT HTTP/1.1\r\n\r\n",
      "CONNECT raw.test:$PORT HTTP/1.1\r\n\r\nsent ahead",
      "GET http://web.test:$PORT/ HTTP/1.1\r\nHost: web.test:$PORT\r\n\r\n",
    ]
    static let torn = [
      "POST http://web.test:$PORT/ HTTP/1.1\r\nHost: web.test:$PORT\r\nContent-Length: 9\r\n\r\nhalf"
    ]

    /// A client that has sent this and waits for the resolver.
    static func waits(_ request: String, at rig: GateRig) throws -> ClientSocket {
      let before = rig.resolver.seen.count
      let client = try rig.client()
      client.send(request.replacing("$PORT", with: "\(rig.origin.port)"))
      try eventually("the name is asked for") { rig.resolver.seen.count > before && rig.flows == 1 }
      return client
    }

    @Test(
      "DOS-04: a client that breaks off while its name is looked up is let go at once",
      arguments: requests + torn)
    func brokenOff(_ request: String) throws {
      let zone = ["raw.test": ["silence"], "web.test": ["silence"]]
      let rig = try GateRig(Self.policy, zone: zone, origin: OriginStub.echoes)
      defer { rig.stop() }
      for _ in 0..<2 {
        try Self.waits(request, at: rig).reset()
        try eventually("it is let go", within: .seconds(1)) { rig.flows == 0 && rig.gate.admission.open == 0 }
        poll(nil, 0, 50)  // what was asked before has reached the resolver then
      }
      #expect(try rig.closes() == ["client-reset", "client-reset"])
      #expect(try rig.decisions() == ["allow rule", "allow rule"], "the rule's one connection is given back")
      #expect(rig.origin.connections == 0)
    }

    @Test("DOS-04: a client that has shut its sending side still gets its answer", arguments: requests)
    func halfClosed(_ request: String) throws {
      let latch = Latch()
      let rig = try GateRig(
        Self.policy,
        origin: { connection, _ in
          connection.sendOnce(Array("HTTP/1.1 200 OK\r\n\r\nhi".utf8))
          connection.end()
        }, beforeAnswer: { latch.wait() })
      defer { rig.stop() }
      let client = try rig.client()
      client.send(request.replacing("$PORT", with: "\(rig.origin.port)"))
      client.shutdownWrite()
      try eventually("the request is taken") { rig.flows == 1 }
      poll(nil, 0, 100)
      #expect(rig.flows == 1, "an end alone is no reason to give up")
      latch.open()
      #expect(try client.readToEnd().hasPrefix("HTTP/1.1 200"))
    }
  }
}

/// Holds a thread back until it is opened; ten seconds at most.
final class Latch: Sendable {
  private let isOpen = Atomic(false)

  func open() { isOpen.store(true, ordering: .relaxed) }
  func wait() {
    for _ in 0..<5000 where !isOpen.load(ordering: .relaxed) { poll(nil, 0, 2) }
  }
}

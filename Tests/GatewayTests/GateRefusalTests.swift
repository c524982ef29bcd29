import Addressing
import Audit
import Dispatch
import EventLoop
import Glibc
import Policy
import Testing

@testable import Gateway

extension GateTests {
  /// Refusals at the edge: a gate that is full, a client that goes on talking.
  @Suite struct Refusals {
    @Test("A denial that came later reaches a client that had gone on sending")
    func lateDenial() throws {
      let rule =
        "version: 1\nrules:\n  - { id: r, action: allow, to: [private.test], protocol: tcp, ports: [443] }\n"
      let isSent = DispatchSemaphore(value: 0)
      let rig = try GateRig(rule, zone: ["private.test": ["10.0.0.5"]], beforeAnswer: { isSent.wait() })
      defer { rig.stop() }
      let client = try rig.client()
      client.send("CONNECT private.test:443 HTTP/1.1\r\n\r\n")
      try eventually("it is judged") { rig.flows == 1 }
      client.send("early")
      isSent.signal()
      let seen = client.whateverComes()
      #expect(!seen.wasReset && String(decoding: seen.bytes, as: UTF8.self).contains("private-address"))
    }

    @Test("AUD-06: a client that went away during the lookup is recorded, dialled for in vain, and let go")
    func goneEarly() throws {
      let isGone = DispatchSemaphore(value: 0)
      let rules = ["http", "tcp", "https"].map { kind in
        "  - { id: \(kind), action: allow, to: [\(kind).test], protocol: \(kind), ports: [$ORIGIN], allow-loopback: true }\n"
      }
      let rig = try GateRig(
        "version: 1\nrules:\n" + rules.joined(), origin: OriginStub.silent, beforeAnswer: { isGone.wait() })
      defer { rig.stop() }
      for (number, host) in ["http.test", "tcp.test", "https.test"].enumerated() {
        let client = try rig.client()
        let port = rig.origin.port
        client.send(number == 0 ? rig.get(host) : "CONNECT \(host):\(port) HTTP/1.1\r\n\r\n")
        try eventually("it is judged") { rig.flows == 1 }
        client.reset()
        isGone.signal()
        try rig.awaitRest()
      }
      #expect(try rig.awaitCloses(3) == ["client-reset", "client-reset", "client-reset"])
    }

    @Test("A gate that is full answers 503 and keeps no descriptor for it")
    func overload() throws {
      let rig = try GateRig(
        "version: 1\nrules:\n  - { id: r, action: allow, to: [a.test] }\n")
      defer { rig.stop() }
      let loop = try EventLoop(label: "full"),
        snapshot = try Bench.snapshot("  - { id: r, action: allow, to: [a.test] }")
      let shard = Shard(
        loop: loop, number: 0, of: 1, log: rig.gate.log, resolver: rig.gate.shards[0].resolver,
        commons: ShardCommons(pool: nil, approvals: ApprovalDesk(generation: 1)),
        admission: Admittance(capacity: 0), snapshot: snapshot)
      var pair: [Int32] = [-1, -1]
      #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
      let client = ClientSocket(adopting: pair[0])
      client.send("CONNECT a.test:443 HTTP/1.1\r\n\r\n")
      let entrance = Entrance(try #require(ListenAddress("127.0.0.1:3128")))
      let open = loop.sync {
        ClientConnection(loop.adopt(pair[1]), through: entrance, shard: shard).start()
        return loop.openChannels
      }
      #expect(open == 0)
      let answer = client.whateverComes()
      #expect(!answer.wasReset && String(decoding: answer.bytes, as: UTF8.self).hasPrefix("HTTP/1.1 503 "))
      #expect(try rig.decisions() == ["deny overload"])
      loop.sync { loop.shutdown() }
    }

    @Test("A client may name the gate in Host by any address it has, where it listens on all of them")
    func ownNames() throws {
      let everywhere = Entrance(try #require(ListenAddress("0.0.0.0:3128")))
      let local = try Bench.endpoint("10.1.2.3:3128"), here = try Bench.endpoint("127.0.0.1:3128")
      #expect(everywhere.authorities(at: local).map(\.description).contains("10.1.2.3:3128"))
      #expect(everywhere.authorities(at: here).map(\.description).contains("localhost:3128"))
      let one = Entrance(try #require(ListenAddress("127.0.0.1:3128")))
      #expect(one.authorities(at: nil).map(\.description) == ["127.0.0.1:3128", "localhost:3128"])
      #expect(Entrance(try #require(ListenAddress("unix:/run/p"))).authorities(at: nil).isEmpty)
    }
  }
}

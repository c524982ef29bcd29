import Addressing
import Audit
import EventLoop
import Glibc
import Policy
import Synchronization
import Testing

@testable import Gateway

extension GateTests {
  /// What a client is told before it is known what it wants, and what is recorded of it.
  @Suite struct Clients {
    static let token = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  // of "test"
    static let policy = """
      version: 1
      agents: { own: { listen: unix:$DIR/own }, tok: { token_sha256: "\(token)" } }
      rules:
        - { id: web, action: allow, to: [web.test], protocol: http, ports: [$ORIGIN], allow-loopback: true }
        - { id: raw, action: allow, to: [raw.test], protocol: tcp, ports: [$ORIGIN], allow-loopback: true }

      """

    static func basic(_ token: String) -> String {
      token == "test"
        ? "Proxy-Authorization: Basic eDp0ZXN0\r\n" : "Proxy-Authorization: Basic eDp3cm9uZw==\r\n"
    }

    static func hosts(_ records: [LogRecord]) -> [String] {
      records.filter { $0.event == "decision" }.map {
        "\($0.agent ?? "-") \($0.reason ?? "-") \($0.destination?.description ?? "-")"
      }
    }

    @Test("A refusal that comes before the decision still says where to, and who asked")
    func destinations() throws {
      let rig = try GateRig(Self.policy)
      defer { rig.stop() }
      let origin = rig.origin.port
      #expect(try rig.ask("CONNECT evil.test:443 HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 407 "))
      #expect(try rig.ask(rig.get("web.test", "/", Self.basic("wrong"))).hasPrefix("HTTP/1.1 407 "))
      let upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\n"
      #expect(try rig.ask(rig.get("web.test", "/", Self.basic("test") + upgrade)).hasPrefix("HTTP/1.1 403 "))
      #expect(
        try rig.ask("CONNECT raw.test:\(origin) HTTP/1.1\r\nHost: third.test\r\n\(Self.basic("test"))\r\n")
          .hasPrefix("HTTP/1.1 400 "))
      #expect(
        Self.hosts(try rig.records()) == [
          "default unknown-agent https://evil.test:443", "default unknown-agent http://web.test:\(origin)",
          "tok upgrade http://web.test:\(origin)", "tok host-mismatch https://raw.test:\(origin)",
        ])
      #expect(rig.origin.connections == 0)
    }

    @Test("A refusal of HEAD has no body, whatever it is refused for")
    func head() throws {
      let rig = try GateRig(Self.policy)
      defer { rig.stop() }
      for fields in ["", Self.basic("test") + "Connection: Upgrade\r\nUpgrade: h2c\r\n"] {
        let answer = try rig.ask(rig.get("web.test", "/", fields).replacing("GET ", with: "HEAD "))
        #expect(answer.hasSuffix("\r\n\r\n") && answer.contains("Content-Length: "), "\(answer)")
      }
    }

    @Test("A SOCKS client without the token it needs is an unknown agent, told once")
    func socksWithoutToken() throws {
      let rig = try GateRig(Self.policy)
      defer { rig.stop() }
      let client = try rig.client()
      client.send([5, 1, 0])
      #expect(try client.bytesToEnd() == [5, 0xff])
      #expect(try rig.decisions() == ["deny unknown-agent"])
    }

    @Test("AUD-09: no byte of a SOCKS password is written, however it is sent")
    func socksPassword() throws {
      let rig = try GateRig(Self.policy)
      defer { rig.stop() }
      let tries: [[UInt8]] = [
        [1, 9] + Array("u s3cr3t ".utf8) + [0], Array("abc s3cr3t d\n".utf8),
        [9] + Array(" s3cr3t s3cr3t\n".utf8),
        [1, 1, 117, 14] + Array("a s3cr3t b c d".utf8) + [5, 1, 0, 9] + Array(" s3cr3t\n".utf8),
      ]
      for credentials in tries {
        let client = try rig.client()
        client.send([5, 1, 2] + credentials)
        _ = try client.bytesToEnd()
      }
      let log = try rig.records().map(\.line.text)
      #expect(try rig.decisions().count + rig.records().count { $0.event == "rollup" } > 0)
      #expect(!log.contains { $0.contains("s3cr3t") }, "\(log)")
    }

    @Test("OPS-04: a connection whose listener is gone is nobody's")
    func orphan() throws {
      let shared =
        "rules:\n  - { id: web, action: allow, to: [web.test], protocol: http, ports: [$ORIGIN], allow-loopback: true }\n"
      let rig = try GateRig("version: 1\nagents: { own: { listen: unix:$DIR/own } }\n" + shared)
      defer { rig.stop() }
      let client = try ClientSocket(unix: rig.directory + "/own")
      client.send(rig.get("web.test"))
      _ = try client.read(until: "hello")
      try rig.reload("version: 1\n" + shared)
      client.send(rig.get("web.test"))
      let answer = client.whateverComes().bytes
      #expect(!answer.starts(with: "HTTP/1.1 200".utf8))
      #expect(rig.origin.connections == 1, "the request after the reload went nowhere")
      let other = try rig.client()
      other.send(rig.get("web.test"))
      #expect(try other.read(until: "hello").hasPrefix("HTTP/1.1 200"), "the shared listener goes on")
    }

    @Test("POL-31: a connection stays the agent's it came by, whoever gets the listener later")
    func swapped() throws {
      let rules =
        "rules:\n  - { id: web, action: allow, agents: [b], to: [web.test], protocol: http, ports: [$ORIGIN], allow-loopback: true }\n"
      let agents = { (a: String, b: String) in
        "version: 1\nagents: { a: { listen: unix:$DIR/\(a) }, b: { listen: unix:$DIR/\(b) } }\n" + rules
      }
      let rig = try GateRig(agents("one", "two"))
      defer { rig.stop() }
      let kept = try ClientSocket(unix: rig.directory + "/one")
      kept.send("GET http://web.test")
      try eventually("the connection is taken") { rig.flows == 1 }
      try rig.reload(agents("two", "one"))
      kept.send(String(rig.get("web.test").dropFirst("GET http://web.test".count)))
      #expect(String(decoding: kept.whateverComes().bytes, as: UTF8.self).hasPrefix("HTTP/1.1 407 "))
      #expect(rig.origin.connections == 0)
      let fresh = try ClientSocket(unix: rig.directory + "/one")
      fresh.send(rig.get("web.test"))
      #expect(try fresh.read(until: "hello").hasPrefix("HTTP/1.1 200"), "who comes now is b")
    }

    @Test("A connection on which nothing is asked does not hold the end of the gate")
    func idleDrain() throws {
      let rig = try GateRig(
        "version: 1\nrules:\n  - { id: web, action: allow, to: [web.test], protocol: http, ports: [$ORIGIN], allow-loopback: true }\n"
      )
      defer { rig.finish() }
      let kept = try rig.client()
      kept.send(rig.get("web.test"))
      _ = try kept.read(until: "hello")
      let began = ContinuousClock.now
      rig.drain(within: .seconds(20))
      #expect(ContinuousClock.now - began < .seconds(5))
      #expect(kept.whateverComes().bytes.isEmpty)
    }

    @Test(
      "A listener that a reload adds is its agent's from the first connection on, and one that it drops is closed"
    )
    func newListener() throws {
      let rules =
        "rules:\n  - { id: web, action: allow, agents: [late], to: [web.test], protocol: http, ports: [$ORIGIN], allow-loopback: true }\n"
      let with =
        "version: 1\nagents: { late: { listen: unix:$DIR/late }, tok: { token_sha256: \"\(Self.token)\" } }\n"
        + rules
      let rig = try GateRig(with.replacing("listen: unix:$DIR/late", with: "listen: unix:$DIR/early"))
      defer { rig.stop() }
      #expect(access(rig.directory + "/late", F_OK) != 0)
      try rig.reload(with)
      let client = try ClientSocket(unix: rig.directory + "/late")
      client.send(rig.get("web.test", "/", "Connection: close\r\n"))
      #expect(try client.readToEnd().hasPrefix("HTTP/1.1 200 "))
      #expect(try rig.records().filter { $0.event == "decision" }.map { $0.agent } == ["late"])
      #expect(access(rig.directory + "/early", F_OK) != 0)
    }

    @Test("OPS-03: a policy that does not load, or a listener that cannot be had, changes nothing")
    func badReload() throws {
      let rig = try GateRig(
        Self.policy.replacing(", tok: { token_sha256: \"\(Self.token)\" }", with: ""),
        origin: OriginStub.echoes)
      defer { rig.stop() }
      let tunnel = try rig.tunnel(to: "raw.test")
      for bad in [
        "version: 1\nrules:\n  - { id: }\n",
        "version: 1\nagents: { o: { listen: \"127.0.0.1:$ORIGIN\" } }\nrules: []\n", "",
      ] {
        #expect(throws: GaveUp.self) { try rig.reload(bad) }
        tunnel.send("ping")
        #expect(try tunnel.readExactly(4) == Array("ping".utf8))
        #expect(try rig.ask("CONNECT evil.test:443 HTTP/1.1\r\n\r\n").contains("\"policy_generation\":1"))
      }
      #expect(try rig.records().count { $0.event == "policy" } == 4, "loaded once, refused three times")
    }

    @Test("An agent that is gone, or whose token changed, loses what stands")
    func agentGone() throws {
      let rig = try GateRig(Self.policy, origin: OriginStub.echoes)
      defer { rig.stop() }
      for policy in [
        Self.policy.replacing(Self.token, with: String(repeating: "ab", count: 32)),
        Self.policy.replacing(", tok: { token_sha256: \"\(Self.token)\" }", with: ""),
      ] {
        try rig.reload(Self.policy)
        let client = try rig.client()
        client.send("CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\(Self.basic("test"))\r\n")
        _ = try client.read(until: "\r\n\r\n")
        client.send("ping")
        #expect(try client.readExactly(4) == Array("ping".utf8))
        try rig.reload(policy)
        #expect(client.whateverComes().bytes == [])
      }
      #expect(try rig.awaitCloses(2) == ["revoked", "revoked"])
    }

    @Test("A rule that goes while its upstream is dialled takes the dial with it")
    func revokedDial() throws {
      let stuck = try Listening(.v4(0x7f00_0003))
      try stuck.fill()
      defer { stuck.stop() }
      let rule =
        "  - { id: s, action: allow, to: [stuck.test], protocol: tcp, ports: [\(stuck.port)], allow-loopback: true }\n"
      let rig = try GateRig("version: 1\nrules:\n" + rule, zone: ["stuck.test": ["127.0.0.3"]])
      defer { rig.stop() }
      let client = try rig.client()
      client.send("CONNECT stuck.test:\(stuck.port) HTTP/1.1\r\n\r\n")
      try eventually("the dial is under way") { rig.channels == 2 }
      try rig.reload("version: 1\nrules:\n" + rule.replacing("id: s", with: "id: t"))
      #expect(try client.readToEnd().contains("\"reason\":\"revoked\""))
      client.close()
      try eventually("the dial is given up", within: .seconds(2)) { rig.channels == 0 }
      #expect(try rig.awaitCloses(1) == ["revoked"])
    }

    @Test("A flow that ends because the gate stops says so")
    func shutdownReason() throws {
      let rig = try GateRig(
        "version: 1\nrules:\n  - { id: raw, action: allow, to: [raw.test], protocol: tcp, ports: [$ORIGIN], allow-loopback: true }\n  - { id: web, action: allow, to: [web.test], protocol: http, ports: [$ORIGIN], allow-loopback: true }\n",
        origin: OriginStub.silent)
      let tunnel = try rig.tunnel(to: "raw.test")
      let exchange = try rig.client()
      exchange.send(rig.get("web.test"))
      try eventually("both stand") { rig.origin.connections == 2 && rig.flows == 2 }
      rig.drain(within: .milliseconds(50))
      #expect(tunnel.whateverComes().bytes == [])
      #expect(try rig.closes() == ["shutdown", "shutdown"])
      #expect(try rig.records().last?.event == "checkpoint" || rig.records().last?.event == "stop")
      rig.finish()
    }
  }
}

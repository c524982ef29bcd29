import Addressing
import Audit
import Control
import Dispatch
import EventLoop
import Glibc
import Policy
import Synchronization
import Testing
import Wire

@testable import Gateway

extension GateTests {
  /// Connections and questions that the kernel redirects, in a network namespace with nothing but `lo`.
  @Suite(.enabled(if: maySandbox, "needs root and nft(8)")) struct Redirected {
    static let policy = """
      version: 1
      agents: { box: { token_sha256: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } }
      rules:
        - { id: raw, action: allow, agents: [box], to: [raw.test], protocol: tcp, ports: [$ORIGIN], allow-loopback: true }
        - { id: tls, action: allow, to: [tls.test], ports: [$ORIGIN], allow-loopback: true }
        - { id: web, action: allow, to: [web.test], protocol: http, ports: [$ORIGIN], allow-loopback: true,
            http: [{ methods: [GET], path: "/open/**" }] }
        - { id: net, action: allow, to: [127.7.0.0/16], protocol: tcp, ports: [$ORIGIN], allow-loopback: true }
        - { id: seen, action: allow, to: [seen.test], ports: [9] }
      """
    static let table = """
      ip route add local default dev lo
      ip -6 route add local default dev lo
      nft -f - <<'END'
      table inet capture {
        chain out {
          type nat hook output priority -105;
          ip daddr 127.0.0.1 tcp dport { 15001, 15353 } accept
          ip6 daddr ::1 tcp dport { 15001, 15353 } accept
          meta l4proto { tcp, udp } th dport 53 redirect to :15353
          meta l4proto tcp redirect to :15001
        }
      }
      END
      """

    static func listeners(_ ports: (UInt16, [String]), _ mode: CaptureSettings.Mode) throws
      -> [CaptureSettings]
    {
      let port = try #require(Port(ports.0)), agent = try #require(AgentName("box"))
      return try ports.1.map { CaptureSettings(Endpoint(try Bench.address($0), port), mode, agent: agent) }
    }

    let sandbox: Sandbox
    let rig: GateRig

    init() throws { (sandbox, rig) = try Self.make() }

    static func make(
      _ policy: String = policy, greeting: String = "",
      origin: @escaping OriginStub.Script = OriginStub.answers("hello")
    ) throws -> (Sandbox, GateRig) {
      let sandbox = try Sandbox()
      try sandbox.run(table)
      let local = ["127.0.0.1", "::1"]
      let captured = GateRig.Captured(
        sandbox: sandbox, connections: try listeners((15001, local), .redirect),
        names: try listeners((15353, local), .redirect))
      let rig = try GateRig(
        policy, names: GateRig.Names(answers: .synthetic), captured: captured, greeting: greeting,
        origin: origin)
      return (sandbox, rig)
    }

    /// The address that stands for a name, as the gate's DNS gives it.
    static func address(_ name: String, _ type: DNSRecordType = .a, in sandbox: Sandbox) throws -> String {
      let reply = try sandbox.datagrams("8.8.8.8").ask(name, NameQuery(type: type))
      guard case .address(let address)? = reply.answers.first?.data else {
        throw GaveUp(description: "\(name): \(reply)")
      }
      return "\(address)"
    }

    func connect(_ name: String, _ type: DNSRecordType = .a) throws -> ClientSocket {
      try sandbox.connect(try Self.address(name, type, in: sandbox), rig.origin.port)
    }

    /// The decisions about connections up to now, as `LAYER DESTINATION verdict reason`.
    static func decisions(_ rig: GateRig) throws -> [String] {
      try rig.records().filter { $0.event == "decision" && $0.layer != .dns }.map { record in
        let place = record.destination.map { "\($0)".replacing(":\(rig.origin.port)", with: "") } ?? "-"
        return
          "\(record.layer?.rawValue ?? "-") \(place) \(record.verdict?.rawValue ?? "-") \(record.reason ?? "-")"
      }
    }

    /// What a denied client sees: a reset, and not one byte.
    static func isReset(_ client: ClientSocket) -> Bool {
      let seen = client.whateverComes()
      return seen.bytes.isEmpty && seen.wasReset
    }

    @Test("questions to any resolver are answered from there, over UDP and TCP, IPv4 and IPv6")
    func questions() throws {
      defer { rig.stop() }
      for resolver in ["8.8.8.8", "127.0.0.11", "10.96.0.10", "2a0e::53", "::1"] {
        let reply = try sandbox.datagrams(resolver).ask("raw.test")
        #expect(reply.answers.count == 1, "\(resolver): \(reply)")
        let stream = try sandbox.connect(resolver, .domain)
        #expect(try stream.ask("raw.test").answers.count == 1, "\(resolver) over TCP")
        #expect("\(try stream.ask("evil.test"))" == "3 18")
        stream.close()
      }
      #expect(rig.resolver.seen.isEmpty)
    }

    @Test("an opaque connection by name is the rule's, whoever speaks first, over IPv4 and IPv6")
    func opaque() throws {
      rig.stop()
      let (sandbox, rig) = try Self.make(greeting: "220 welcome\r\n", origin: OriginStub.echoes)
      defer { rig.stop() }
      for type in [DNSRecordType.a, .aaaa] {
        let client = try sandbox.connect(try Self.address("raw.test", type, in: sandbox), rig.origin.port)
        #expect(try client.read(until: "\r\n") == "220 welcome\r\n")
        #expect(Tunnels.echoes(client, "PING"))
        client.close()
      }
      #expect(try rig.awaitCloses(2) == ["finished", "finished"])
      #expect(
        try Self.decisions(rig) == [String](repeating: "transparent tcp://raw.test allow rule", count: 2))
      let record = try #require(try rig.records().first { $0.layer == .transparent })
      #expect(record.agent == "box" && record.rule == "raw")
      try rig.awaitRest()
    }

    @Test("TLS: the hello must name what the address stood for, or it is reset and the origin hears nothing")
    func tls() throws {
      defer { rig.stop() }
      let hello = Hello.with(Hello.serverName("tls.test"))
      for (number, type) in [DNSRecordType.a, .aaaa].enumerated() {
        let client = try connect("tls.test", type)
        client.send(Array(hello[..<7]))
        poll(nil, 0, 20)
        client.send(Array(hello[7...]))
        try eventually("the hello is at the origin") {
          rig.origin.received == [[UInt8]](repeating: hello, count: number + 1)
        }
        client.close()
      }
      let before = rig.origin.connections
      for (name, said) in [("tls.test", "evil.test"), ("seen.test", "seen.test")] {
        let client = try connect(name)
        client.send(Hello.with(Hello.serverName(said)))
        #expect(Self.isReset(client), "\(name)")
      }
      let unnamed = try connect("tls.test")
      unnamed.send(Hello.with())
      #expect(Self.isReset(unnamed))
      #expect(rig.origin.connections == before)
      #expect(
        try Self.decisions(rig).dropFirst(2) == [
          "sni https://tls.test deny sni-mismatch", "transparent https://seen.test deny no-rule",
          "sni https://tls.test deny sni-missing",
        ])
    }

    @Test(
      "TLS to an address goes to the name in its hello, which the gate resolves; the address is not dialled")
    func serverName() throws {
      defer { rig.stop() }
      let hello = Hello.with(Hello.serverName("tls.test"))
      let client = try sandbox.connect("11.9.9.9", rig.origin.port)
      client.send(hello)
      try eventually("the hello is at the origin") { rig.origin.received == [hello] }
      client.close()
      let other = try sandbox.connect("11.9.9.9", rig.origin.port)
      other.send(Hello.with(Hello.serverName("evil.test")))
      #expect(Self.isReset(other) && rig.origin.connections == 1)
      #expect(
        try Self.decisions(rig) == [
          "transparent https://tls.test allow rule", "transparent https://evil.test deny no-rule",
        ])
    }

    @Test("plain HTTP: every request of a kept connection is decided, and a denial says why")
    func http() throws {
      defer { rig.stop() }
      let client = try connect("web.test")
      let host = "Host: web.test:\(rig.origin.port)\r\n"
      for path in ["/open/1", "/open/2?q"] {
        client.send("GET \(path) HTTP/1.1\r\n\(host)\r\n")
        #expect(try client.read(until: "hello").hasPrefix("HTTP/1.1 200 OK\r\n"))
      }
      client.send("GET /shut HTTP/1.1\r\n\(host)\r\n")
      let denial = try client.readToEnd()
      #expect(denial.hasPrefix("HTTP/1.1 403 Forbidden\r\nProxy-Status: exitgate; error=http_request_denied"))
      #expect(denial.contains("\"reason\":\"no-rule\"") && denial.contains("\"near_miss\":\"http\""))
      #expect(
        rig.origin.texts.map { $0.prefix { $0 != "\r\n" } } == [
          "GET /open/1 HTTP/1.1", "GET /open/2?q HTTP/1.1",
        ])
      #expect(rig.origin.texts.allSatisfy { $0.contains("\r\nHost: web.test:\(rig.origin.port)\r\n") })
      let other = try connect("web.test")
      other.send("GET /open/1 HTTP/1.1\r\nHost: evil.test\r\n\r\n")
      #expect(try other.readToEnd().hasPrefix("HTTP/1.1 400 "))
      #expect(rig.origin.connections == 2)
      #expect(
        try Self.decisions(rig) == [
          "transparent http://web.test allow rule", "transparent http://web.test allow rule",
          "transparent http://web.test deny no-rule", "transparent http://web.test deny host-mismatch",
        ])
      try rig.awaitRest()
    }

    @Test("an address that no rule speaks of is reset, after a second if its client is silent, and recorded")
    func denied() throws {
      defer { rig.stop() }
      for address in ["11.9.9.9", "2a0e::9"] {
        let start = MonotonicTime.now()
        #expect(Self.isReset(try sandbox.connect(address, .domainOverTLS)))
        let took = MonotonicTime.now() - start
        #expect(took > .milliseconds(900) && took < .milliseconds(2500), "\(took)")
      }
      let ssh = try sandbox.connect("11.9.9.9", .domainOverTLS)
      ssh.send("SSH-2.0-x\r\n")
      #expect(Self.isReset(ssh))
      try sandbox.connect("11.9.9.10", .domainOverTLS).close()
      // What came a second time to one place is counted, not recorded anew.
      try eventually("a scan is recorded") { try Self.decisions(rig).count == 3 }
      #expect(
        try Self.decisions(rig) == [
          "transparent tcp://11.9.9.9:853 deny no-rule", "transparent tcp://[2a0e::9]:853 deny no-rule",
          "transparent tcp://11.9.9.10:853 deny no-rule",
        ])
      #expect(rig.origin.connections == 0)
    }

    @Test("an address that a rule names is dialled as it is")
    func literal() throws {
      rig.stop()
      let (sandbox, rig) = try Self.make(origin: OriginStub.echoes)
      defer { rig.stop() }
      // The origin listens on 127.0.0.1 alone, so that this one is refused there, and the client told at once.
      let client = try sandbox.connect("127.7.0.1", rig.origin.port)
      #expect(Self.isReset(client))
      #expect(try rig.awaitCloses(1) == ["connection-refused"])
      #expect(try Self.decisions(rig) == ["transparent tcp://127.7.0.1 allow rule"])
      try rig.awaitRest()
    }

    @Test("who comes to the listener itself is refused and recorded, and so is an address without a name")
    func direct() throws {
      defer { rig.stop() }
      let port = try #require(Port(15001))
      for address in ["127.0.0.1", "::1"] {
        // Nothing is sent: the reset comes at once, and a send that meets it takes it from the read.
        #expect(Self.isReset(try sandbox.connect(address, port)))
      }
      let unnamed = try sandbox.connect("198.19.200.1", rig.origin.port)
      unnamed.send(Hello.with(Hello.serverName("tls.test")))
      #expect(Self.isReset(unnamed))
      let web = try sandbox.connect("198.19.200.1", rig.origin.port)
      web.send("GET /open/1 HTTP/1.1\r\nHost: web.test\r\n\r\n")
      #expect(try web.readToEnd().contains("\"reason\":\"synthetic-unnamed\""))
      #expect(
        try Self.decisions(rig) == [
          "transparent tcp://127.0.0.1:15001 deny self-address",
          "transparent tcp://[::1]:15001 deny self-address",
          "transparent https://198.19.200.1 deny synthetic-unnamed",
          "transparent http://198.19.200.1 deny synthetic-unnamed",
        ])
      #expect(rig.origin.connections == 0)
    }

    @Test("a reload ends a captured connection whose rule is gone, and status tells what is captured")
    func reload() throws {
      rig.stop()
      let (sandbox, rig) = try Self.make(origin: OriginStub.echoes)
      defer { rig.stop() }
      let client = try sandbox.connect(try Self.address("raw.test", in: sandbox), rig.origin.port)
      #expect(Tunnels.echoes(client, "PING"))
      let waiting = try sandbox.connect(try Self.address("tls.test", in: sandbox), rig.origin.port)
      try rig.reload("version: 1\nrules: []\n")
      #expect(Self.isReset(client))
      #expect(try rig.awaitCloses(1) == ["revoked"])
      waiting.send(Hello.with(Hello.serverName("tls.test")))
      #expect(Self.isReset(waiting), "who has not spoken yet is judged by the new policy")
      let status = Mutex<[String]>([])
      let done = DispatchSemaphore(value: 0)
      rig.gate.status { found in
        status.withLock {
          $0 = found.listeners.map { "\($0.address) \($0.agent?.text ?? "-") \($0.accepted)" }
        }
        done.signal()
      }
      done.wait()
      let listed = status.withLock { $0 }
      #expect(
        listed.contains("redirect:127.0.0.1:15001 box 2") && listed.contains("redirect:[::1]:15001 box 0"),
        "\(listed)")
    }

    @Test("audit mode lets pass what it would deny, says so, and goes to the name alone")
    func audit() throws {
      rig.stop()
      let rules = """
        version: 1
        agents: { box: { token_sha256: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } }
        mode: audit
        rules: [{ id: away, action: deny, to: [far.test], allow-loopback: true }]
        """
      let (sandbox, rig) = try Self.make(rules, greeting: "hi\n", origin: OriginStub.silent)
      defer { rig.stop() }
      let address = try Self.address("any.test", in: sandbox)
      let client = try sandbox.connect(address, rig.origin.port)
      let seen = client.whateverComes()
      #expect(seen.bytes == [] && rig.origin.connections == 0, "what it resolves to is on the floor")
      #expect(try Self.decisions(rig) == ["transparent tcp://any.test deny special-address"])
    }
  }
}

import Addressing
import Audit
import EventLoop
import Glibc
import Policy
import Synchronization
import Testing

@testable import Gateway

extension GateTests {
  /// Tunnels, reloads and the gate's own life, on real sockets.
  @Suite struct Tunnels {
    static func rule(_ id: String, _ host: String, _ traffic: String = "tcp", more: String = "") -> String {
      "  - { id: \(id), action: allow, to: [\(host)], protocol: \(traffic), ports: [$ORIGIN], allow-loopback: true\(more) }\n"
    }
    static func policy(_ rules: String..., head: String = "") -> String {
      "version: 1\n\(head)rules:\n" + rules.joined()
    }

    /// Everything through a tunnel and back.
    static func echoes(_ client: ClientSocket, _ text: String) -> Bool {
      client.send(text)
      return (try? client.readExactly(text.utf8.count)) == Array(text.utf8)
    }

    @Test("A reload under load keeps every tunnel whose rule stayed, and closes the others within a second")
    func reloadUnderLoad() throws {
      let rig = try GateRig(
        Self.policy(
          Self.rule("keep", "keep.test"), Self.rule("gone", "gone.test"), Self.rule("changed", "changed.test")
        ),
        origin: OriginStub.echoes)
      defer { rig.stop() }
      let kept = try (0..<40).map { _ in try rig.tunnel(to: "keep.test") }
      let gone = try (0..<20).map { try rig.tunnel(to: $0 % 2 == 0 ? "gone.test" : "changed.test") }
      let isOver = Atomic(false), rounds = Atomic(0), lost = Atomic(0), busy = Atomic(4)
      for part in 0..<4 {
        LoopbackSocket.inThread {
          while !isOver.load(ordering: .relaxed) {
            for client in kept[(part * 10)..<(part * 10 + 10)] where !Self.echoes(client, "are you there?") {
              lost.add(1, ordering: .relaxed)
              isOver.store(true, ordering: .relaxed)
            }
            rounds.add(1, ordering: .relaxed)
          }
          busy.subtract(1, ordering: .relaxed)
        }
      }
      try eventually("the load is on") { rounds.load(ordering: .relaxed) >= 4 }
      let start = MonotonicTime.now()
      try rig.reload(
        Self.policy(
          Self.rule("keep", "keep.test"),
          Self.rule("changed", "changed.test", more: ", limits: { connections: 99 }")))
      for client in gone { #expect(client.whateverComes().bytes == []) }
      let took = MonotonicTime.now() - start
      #expect(took < .seconds(1), "\(took)")
      let before = rounds.load(ordering: .relaxed)
      try eventually("the load goes on") { rounds.load(ordering: .relaxed) >= before + 8 }
      isOver.store(true, ordering: .relaxed)
      try eventually("the load is off") { busy.load(ordering: .relaxed) == 0 }
      #expect(lost.load(ordering: .relaxed) == 0)
      #expect(rig.flows == kept.count)
      #expect(try rig.closes() == [String](repeating: "revoked", count: gone.count))
      #expect(
        try rig.ask("CONNECT gone.test:\(rig.origin.port) HTTP/1.1\r\n\r\n").contains(
          "\"reason\":\"no-rule\""))
      kept.forEach { $0.close() }
      try rig.awaitRest()
    }

    @Test("HTTP-23, TLS-01: a denied tunnel leaves the origin silent, whatever was sent behind it")
    func silence() throws {
      let rig = try GateRig(
        Self.policy(Self.rule("tls", "tls.test", "https"), Self.rule("raw", "raw.test")),
        origin: OriginStub.echoes)
      defer { rig.stop() }
      let port = rig.origin.port
      let denied = try rig.ask("CONNECT evil.test:\(port) HTTP/1.1\r\n\r\n" + rig.get("raw.test"))
      #expect(denied.hasPrefix("HTTP/1.1 403 ") && denied.contains("\"reason\":\"no-rule\""))
      #expect(rig.resolver.seen.isEmpty && rig.origin.connections == 0, "neither a query nor a SYN")
      let hello = Hello.with(Hello.serverName("evil.test"))
      let client = try rig.client()
      client.send(Array("CONNECT tls.test:\(port) HTTP/1.1\r\n\r\n".utf8) + hello)
      _ = client.whateverComes()
      _ = try rig.awaitCloses(1)
      #expect(rig.origin.received.joined().isEmpty, "connected, and not a byte")
      let good = Hello.with(Hello.serverName("tls.test")) + Array("early".utf8)
      let control = try rig.client()
      control.send(Array("CONNECT tls.test:\(port) HTTP/1.1\r\n\r\n".utf8) + good)
      _ = try control.read(until: "\r\n\r\n")
      #expect(try control.readExactly(good.count) == good, "the control passes, once")
      #expect(try rig.decisions() == ["deny no-rule", "allow rule", "deny sni-mismatch", "allow rule"])
      control.close()
      #expect(try rig.awaitCloses(2) == ["sni-mismatch", "finished"])
      try rig.awaitRest()
    }

    @Test("AUD-07: every connection of the origin has an allow record before it, and one end")
    func records() throws {
      let rig = try GateRig(Self.policy(Self.rule("raw", "raw.test")), origin: OriginStub.echoes)
      for number in 0..<40 {
        let client = try rig.tunnel(to: "raw.test")
        #expect(Self.echoes(client, "n\(number)"))
        #expect(try rig.decisions().count == number + 1, "recorded before the origin could answer")
        if number % 2 == 0 { client.reset() } else { client.close() }
      }
      _ = try rig.awaitCloses(40)
      let records = try rig.records()
      let begun = records.filter { $0.event == "decision" }.compactMap(\.flow)
      let ended = records.filter { $0.event == "close" }.compactMap(\.flow)
      #expect(Set(begun).count == 40 && Set(begun) == Set(ended) && ended.count == 40)
      for flow in begun {
        let order = records.filter { $0.flow == flow }.compactMap(\.event)
        #expect(order == ["decision", "close"])
      }
      rig.drain(within: .zero)
      let verdict = try LogVerifier(path: rig.directory + "/log/audit.jsonl").verify()
      #expect(verdict.isIntact, "\(verdict)")
      rig.finish()
    }

    @Test("DOS-04: half-close is carried through both ways")
    func halfClose() throws {
      let rig = try GateRig(Self.policy(Self.rule("raw", "raw.test"))) { connection, all in
        if all.last == UInt8(ascii: "!") { connection.send("got \(all.count)"); connection.end() }
      }
      defer { rig.stop() }
      let client = try rig.tunnel(to: "raw.test")
      client.send("hello!")
      client.shutdownWrite()
      #expect(try client.readToEnd() == "got 6")
      #expect(try rig.awaitCloses(1) == ["finished"])
      try rig.awaitRest()
    }

    static let budgets: [(String, String)] = [
      ("bytes-out: 1KiB", "bytes-out-limit"), ("bytes-in: 1KiB", "bytes-in-limit"),
    ]
    @Test("A budget is the agent's over all its tunnels, and cuts in the middle", arguments: budgets)
    func budget(_ limit: String, _ reason: String) throws {
      let rig = try GateRig(
        Self.policy(Self.rule("raw", "raw.test", more: ", limits: { \(limit) }")), origin: OriginStub.echoes)
      defer { rig.stop() }
      let first = try rig.tunnel(to: "raw.test")
      #expect(Self.echoes(first, String(repeating: "a", count: 1000)))
      let second = try rig.tunnel(to: "raw.test")
      second.send(String(repeating: "b", count: 1000))
      #expect(second.whateverComes().bytes.count <= 24)
      #expect(try rig.awaitCloses(1) == [reason])
      #expect(
        rig.origin.received.joined().count { $0 == UInt8(ascii: "b") } <= (limit.contains("out") ? 24 : 1000))
      first.close()
      try rig.awaitRest()
    }

    @Test("DOS-04: a rule's connections are given back on every way out")
    func connectionLimit() throws {
      let limits = ", limits: { connections: 2 }"
      let rig = try GateRig(
        Self.policy(
          Self.rule("raw", "raw.test", more: limits), Self.rule("tls", "tls.test", "https", more: limits)),
        origin: OriginStub.echoes)
      defer { rig.stop() }
      for _ in 0..<3 {
        let two = try (0..<2).map { _ in try rig.tunnel(to: "raw.test") }
        let third = try rig.ask("CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\r\n")
        #expect(third.hasPrefix("HTTP/1.1 503 ") && third.contains("\"reason\":\"connection-limit\""))
        two.forEach { $0.close() }
        try rig.awaitRest()
      }
      for bytes in [Hello.with(Hello.serverName("evil.test")), Array("SSH-2.0-x\r\n".utf8), []] {
        for _ in 0..<3 {
          let client = try rig.tunnel(to: "tls.test")
          client.send(bytes)
          if bytes.isEmpty { client.close() } else { _ = client.whateverComes() }
          try rig.awaitRest()
        }
      }
      rig.origin.stop()
      for _ in 0..<3 {
        #expect(
          try rig.ask("CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\r\n").contains("connection-refused"))
      }
      try rig.awaitRest()
    }

    @Test("SOCKS5 takes the same walk: a name, an address, early data, a denial")
    func socks() throws {
      let rig = try GateRig(
        Self.policy(Self.rule("raw", "raw.test"), Self.rule("net", "127.0.0.1/32")), origin: OriginStub.echoes
      )
      defer { rig.stop() }
      let port = Hello.number(Int(rig.origin.port.number))
      let name: [UInt8] = [5, 1, 0, 3, 8] + Array("raw.test".utf8) + port
      for request in [name, [5, 1, 0, 1, 127, 0, 0, 1] + port] {
        let client = try rig.client()
        client.send([5, 1, 0] + request + Array("early".utf8))
        #expect(try client.readExactly(17) == [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0] + Array("early".utf8))
        client.close()
      }
      let denied = try rig.client()
      denied.send([5, 1, 0, 5, 1, 0, 3, 9] + Array("evil.test".utf8) + port)
      #expect(try denied.bytesToEnd() == [5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0])
      #expect(try rig.decisions() == ["allow rule", "allow rule", "deny no-rule"])
      #expect(try rig.records().filter { $0.event == "decision" }.allSatisfy { $0.layer == .socks })
      try rig.awaitRest()
    }

    @Test(
      "HTTP-14: a WebSocket passes where a rule covers it, with what both sides send early, and ends with its rule"
    )
    func webSocket() throws {
      let policy = Self.policy(Self.rule("web", "web.test", "http"))
      let rig = try GateRig(policy) { connection, all in
        let text = String(decoding: all, as: UTF8.self)
        guard text.contains("\r\n\r\n") else { return }
        connection.sendOnce(
          Array(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nback".utf8))
        if text.hasSuffix("ping") { connection.send("pong") }
      }
      defer { rig.stop() }
      let client = try rig.client()
      let fields =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"
      client.send(rig.get("web.test", "/ws", fields) + "early")
      _ = try client.read(until: "back")
      client.send("ping")
      #expect(try client.readExactly(4) == Array("pong".utf8))
      #expect(rig.origin.texts.first?.hasSuffix("\r\n\r\nearlyping") == true)
      try rig.reload(policy.replacing("id: web", with: "id: other"))
      #expect(client.whateverComes().bytes == [])
      #expect(try rig.awaitCloses(1) == ["revoked"])
      try rig.awaitRest()
    }

    @Test(
      "Audit mode lets pass and says what it would do; enforce mode then ends what it would not have let stand"
    )
    func auditMode() throws {
      let rules = Self.policy(Self.rule("tls", "tls.test", "https"))
      let rig = try GateRig(
        rules.replacing("version: 1", with: "version: 1\nmode: audit"), origin: OriginStub.echoes)
      defer { rig.stop() }
      let good = try rig.tunnel(to: "tls.test"), bad = try rig.tunnel(to: "tls.test")
      let hello = Hello.with(Hello.serverName("tls.test"))
      good.send(hello)
      #expect(try good.readExactly(hello.count) == hello)
      #expect(Self.echoes(bad, "SSH-2.0-x\r\n"))
      #expect(
        try rig.records().filter { $0.event == "decision" && $0.wouldDeny }.map { $0.reason } == ["not-tls"])
      try rig.reload(rules)
      #expect(bad.whateverComes().bytes == [])
      #expect(Self.echoes(good, "still here"))
      good.close()
      #expect(try rig.awaitCloses(2) == ["revoked", "finished"])
    }

    @Test("DOS-05: a reader that does not read holds the writer up, and the gate keeps little")
    func backPressure() throws {
      let deaf = try Listening(.v4(0x7f00_0004))
      let rule =
        "  - { id: web, action: allow, to: [web.test], protocol: http, ports: [\(deaf.port)], allow-loopback: true }\n"
      let rig = try GateRig("version: 1\nrules:\n" + rule, zone: ["web.test": ["127.0.0.4"]])
      defer { rig.stop() }
      let client = try rig.client()
      client.send(
        "POST http://web.test:\(deaf.port)/ HTTP/1.1\r\nHost: web.test:\(deaf.port)\r\nContent-Length: 1000000000\r\n\r\n"
      )
      try eventually("the upstream stands") { try rig.decisions() == ["allow rule"] }
      let before = try Self.residentBytes()
      _ = fcntl(client.fd, F_SETFL, O_NONBLOCK)
      let block = [UInt8](repeating: 120, count: 1 << 20)
      var sent = 0, idle = 0
      while idle < 50, sent < 400 << 20 {
        let count = send(client.fd, block, block.count, Int32(MSG_NOSIGNAL))
        if count > 0 { (sent, idle) = (sent + count, 0) } else { idle += 1; poll(nil, 0, 2) }
      }
      #expect(sent < 64 << 20, "the client is held up after \(sent) bytes")
      #expect(try Self.residentBytes() - before < 32 << 20)
      deaf.stop()
      #expect(try rig.awaitCloses(1) == ["bad-upstream"])
      client.close()
      try rig.awaitRest()
    }

    /// What this process has in memory, in bytes.
    static func residentBytes() throws -> Int {
      let fd = open("/proc/self/statm", O_RDONLY)
      defer { close(fd) }
      var bytes = [UInt8](repeating: 0, count: 256)
      let count = Glibc.read(fd, &bytes, bytes.count)
      let fields = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
      return (try #require(Int(fields[1]))) * 4096
    }

    /// The sockets of this process that have `port` at either end and are connected.
    static func sockets(at port: Port) -> Int {
      (3..<4096).count { fd in
        var name = sockaddr_in(), length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &name) { pointer in
          pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(Int32(fd), $0, &length) }
        }
        guard result == 0, name.sin_family == sa_family_t(AF_INET) else { return false }
        return UInt16(bigEndian: name.sin_port) == port.number
          || LoopbackSocket.port(of: Int32(fd)) == port.number
      }
    }

    @Test("DOS-04: two thousand connections, one after the other, leave nothing behind")
    func sequential() throws {
      let rig = try GateRig(
        Self.policy(Self.rule("raw", "raw.test"), Self.rule("web", "web.test", "http")),
        origin: OriginStub.answers("hi"))
      defer { rig.stop() }
      for number in 0..<2000 {
        switch number % 4 {
        case 0: _ = try rig.ask(rig.get("web.test", "/", "Connection: close\r\n"))
        case 1: try rig.tunnel(to: "raw.test").close()
        case 2: _ = try rig.ask("CONNECT evil.test:443 HTTP/1.1\r\n\r\n")
        default: _ = try rig.ask("GARBAGE\r\n\r\n")
        }
      }
      try rig.awaitRest()
      try eventually("every socket is closed") {
        Self.sockets(at: rig.port) + Self.sockets(at: rig.origin.port) == 0
      }
      _ = try rig.awaitCloses(1000)
      #expect(try rig.closes().count == 1000)
    }

    @Test("DOS-04: five hundred connections at a time leave nothing behind")
    func concurrent() throws {
      let rig = try GateRig(Self.policy(Self.rule("raw", "raw.test")), origin: OriginStub.echoes)
      defer { rig.stop() }
      let clients = try (0..<500).map { _ in try rig.client() }
      for client in clients { client.send("CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\r\n") }
      for client in clients { _ = try client.read(until: "\r\n\r\n") }
      #expect(rig.flows == 500 && rig.gate.admission.open == 500 && rig.channels == 1000)
      for client in clients { #expect(Self.echoes(client, "ping")) }
      for (number, client) in clients.enumerated() {
        if number % 2 == 0 { client.close() } else { client.reset() }
      }
      try rig.awaitRest()
      #expect(try rig.awaitCloses(500).count == 500)
      try eventually("every socket is closed") {
        Self.sockets(at: rig.port) + Self.sockets(at: rig.origin.port) == 0
      }
    }

    @Test("SIGTERM's drain takes nobody new, waits for what stands, and records the stop last")
    func drain() throws {
      let rig = try GateRig(Self.policy(Self.rule("raw", "raw.test")), origin: OriginStub.echoes)
      let client = try rig.tunnel(to: "raw.test")
      let isDone = Atomic(false)
      LoopbackSocket.inThread {
        rig.drain(within: .seconds(10))
        isDone.store(true, ordering: .releasing)
      }
      try eventually("nobody is taken any more") { !LoopbackSocket.isListening(rig.port) }
      #expect(Self.echoes(client, "still here") && !isDone.load(ordering: .acquiring))
      client.close()
      try eventually("it ends with the last one", within: .seconds(5)) { isDone.load(ordering: .acquiring) }
      #expect(try rig.closes() == ["finished"])
      #expect(try rig.records().contains { $0.event == "stop" })
      rig.finish()
    }

    @Test(
      "AUD-05: when the log takes no more, new requests are refused and standing tunnels go on, until it does again"
    )
    func logFails() throws {
      let rig = try GateRig(Self.policy(Self.rule("raw", "raw.test")), origin: OriginStub.echoes)
      defer { rig.stop() }
      let standing = try rig.tunnel(to: "raw.test")
      let place = rig.directory + "/log", away = rig.directory + "/away"
      #expect(rename(place, away) == 0)
      let request = "CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\r\n"
      try eventually("it is refused") {
        let client = try rig.client()
        client.send(request)
        return try client.read(until: "\r\n\r\n").contains("audit-unavailable")
      }
      let before = rig.origin.connections
      #expect(try rig.ask(request).hasPrefix("HTTP/1.1 503 "))
      #expect(rig.origin.connections == before && Self.echoes(standing, "still here"))
      #expect(rename(away, place) == 0)
      try eventually("it is allowed again") {
        let client = try rig.client()
        client.send(request)
        return try client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200")
      }
      #expect(try rig.records().contains { $0.event == "collapsed" })
    }
  }
}

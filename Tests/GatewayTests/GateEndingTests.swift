import Addressing
import Audit
import EventLoop
import Glibc
import Policy
import Synchronization
import Testing

@testable import Gateway

extension GateTests {
  /// How exchanges end: whole, cut, or given up, and never in between.
  @Suite struct Endings {
    static func web(_ more: String = "", listen: String = "") -> String {
      "version: 1\n\(listen)rules:\n  - { id: web, action: allow, to: [web.test], protocol: http, ports: [$ORIGIN], allow-loopback: true\(more) }\n"
    }

    @Test("A response over the budget is cut, not half sent, and the log says why")
    func budgetIn() throws {
      let rig = try GateRig(
        Self.web(", limits: { bytes-in: 1KiB }"),
        origin: OriginStub.answers(String(repeating: "#", count: 2000)))
      defer { rig.stop() }
      let client = try rig.client()
      client.send(rig.get("web.test"))
      let seen = client.whateverComes()
      #expect(!seen.bytes.contains(UInt8(ascii: "#")), "a part of what is over the budget")
      #expect(try rig.awaitCloses(1) == ["bytes-in-limit"])
      try rig.awaitRest()
    }

    @Test("A client that goes away in the middle of a response is recorded and let go")
    func clientGone() throws {
      let rig = try GateRig(Self.web(", limits: { connections: 1 }")) { connection, _ in
        connection.sendOnce(Array("HTTP/1.1 200 OK\r\n\r\n".utf8) + [UInt8](repeating: 120, count: 32 << 20))
      }
      defer { rig.stop() }
      for _ in 0..<2 {
        let client = try rig.client()
        client.send(rig.get("web.test"))
        _ = try client.readExactly(100_000)
        client.reset()
        try rig.awaitRest()
      }
      #expect(try rig.awaitCloses(2) == ["client-reset", "client-reset"])
      #expect(
        try rig.decisions() == ["allow rule", "allow rule"], "the rule's one connection was given back")
    }

    @Test("HTTP-26: a body that the upstream tears is never passed on as a whole one")
    func tornBody() throws {
      let rig = try GateRig(Self.web()) { connection, all in
        if all.suffix(4).elementsEqual("TEAR".utf8) {
          connection.end(withReset: true)
        } else {
          connection.sendOnce(Array("HTTP/1.1 200 OK\r\n\r\npart".utf8))
        }
      }
      defer { rig.stop() }
      let client = try rig.client()
      client.send(
        "POST http://web.test:\(rig.origin.port)/ HTTP/1.1\r\nHost: web.test:\(rig.origin.port)\r\nContent-Length: 8\r\n\r\n"
      )
      _ = try client.read(until: "part\r\n")
      client.send("TEAR")
      let rest = client.whateverComes()
      #expect(rest.bytes == [] && rest.wasReset, "\(String(decoding: rest.bytes, as: UTF8.self))")
      #expect(try rig.awaitCloses(1) == ["upstream-reset"])
    }

    /// Sizes around what a Unix socket holds for a peer that does not read yet:
    /// with some of them the response ends while its last part is stuck.
    static let sizes = Array(stride(from: 100_000, through: 400_000, by: 20_000))

    /// Answers `/N` with N times `x`.
    static let ofLength: OriginStub.Script = { connection, all in
      let text = String(decoding: all, as: UTF8.self)
      guard text.contains("\r\n\r\n"), let size = Int(text.dropFirst(5).prefix { $0.isNumber }) else {
        return
      }
      connection.sendOnce(
        Array("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n".utf8)
          + [UInt8](repeating: 120, count: size))
    }

    static let agent = "agents: { a: { listen: unix:$DIR/proxy } }\n"

    @Test("HTTP-04: a response that its client is slow to take stays ahead of the next one")
    func slowPipeline() throws {
      let rig = try GateRig(Self.web(listen: Self.agent), shared: [], origin: Self.ofLength)
      defer { rig.stop() }
      for size in Self.sizes {
        let before = rig.origin.connections
        let client = try ClientSocket(unix: rig.directory + "/proxy")
        client.send(rig.get("web.test", "/\(size)") + rig.get("web.test", "/3", "Connection: close\r\n"))
        try eventually("the origin was asked") { rig.origin.connections > before }
        let bytes = try client.bytesToEnd()
        let mark = Array("\r\n\r\n".utf8)
        let end = try #require((0..<1000).first { bytes[$0..<($0 + 4)].elementsEqual(mark) }) + 4
        let first = bytes.dropFirst(end).prefix(size)
        #expect(first.count == size && first.allSatisfy { $0 == 120 }, "the first response of \(size) bytes")
        let second = bytes.dropFirst(end + size)
        #expect(second.starts(with: "HTTP/1.1 200 OK\r\n".utf8) && second.suffix(3).elementsEqual("xxx".utf8))
      }
      #expect(try rig.awaitCloses(2 * Self.sizes.count).allSatisfy { $0 == "finished" })
    }

    @Test("HTTP-04: a stream of requests is answered in order, however it is cut")
    func stream() throws {
      let count = 300
      let rig = try GateRig(Self.web()) { connection, all in
        let text = String(decoding: all, as: UTF8.self)
        guard text.contains("\r\n\r\n") else { return }
        let path = text.dropFirst(4).prefix { $0 != " " }
        connection.sendOnce(
          Array("HTTP/1.1 200 OK\r\nContent-Length: \(path.utf8.count)\r\n\r\n\(path)".utf8))
      }
      defer { rig.stop() }
      let requests = (0..<count).map { rig.get("web.test", "/\(100 + $0)") }.joined().utf8.map { $0 }
      let client = try rig.client()
      LoopbackSocket.inThread {
        for start in stride(from: 0, to: requests.count, by: 37) {
          client.send(Array(requests[start..<min(start + 37, requests.count)]))
        }
      }
      for number in 0..<count {
        let head = try client.read(until: "\r\n\r\n")
        try #require(head.hasPrefix("HTTP/1.1 200"), "request \(number): \(head)")
        #expect(try client.readExactly(4) == Array("/\(100 + number)".utf8))
      }
      client.close()
      #expect(rig.origin.connections == count)
    }

    @Test("The last part of a response reaches a client that is slow to take it")
    func slowLast() throws {
      let rig = try GateRig(Self.web(listen: Self.agent), shared: [], origin: Self.ofLength)
      defer { rig.stop() }
      for (number, size) in Self.sizes.enumerated() {
        let client = try ClientSocket(unix: rig.directory + "/proxy")
        client.send(rig.get("web.test", "/\(size)", "Connection: close\r\n"))
        // Where it does not end by itself, the client is the one to go on.
        try? eventually("the exchange is over", within: .milliseconds(100)) {
          try rig.closes().count > number
        }
        let bytes = try client.bytesToEnd()
        #expect(bytes.count { $0 == 120 } >= size, "of \(size) bytes")
        client.close()
      }
      try rig.awaitRest()
    }

    @Test("A large body arrives whole, byte by byte what was sent")
    func large() throws {
      let size = 6 << 20
      let rig = try GateRig(Self.web()) { connection, all in
        if all.count == connection.latest.count {
          connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
          let chunk = (0..<65536).map { UInt8(truncatingIfNeeded: $0 &* 31) }
          for _ in 0..<(size / 65536) {
            connection.send(Array("10000\r\n".utf8) + chunk + Array("\r\n".utf8))
          }
          connection.send("0\r\n\r\n")
        }
      }
      defer { rig.stop() }
      let client = try rig.client()
      client.send(
        "GET http://web.test:\(rig.origin.port)/ HTTP/1.0\r\nHost: web.test:\(rig.origin.port)\r\n\r\n")
      let answer = try client.bytesToEnd()
      let body = answer.suffix(size)
      #expect(answer.count > size && answer.count < size + 400)
      let start = body.startIndex
      #expect(
        body.indices.allSatisfy { body[$0] == UInt8(truncatingIfNeeded: (($0 - start) & 0xffff) &* 31) })
      #expect(try rig.awaitCloses(1) == ["finished"])
    }

    @Test("A response may last as long as its rule says and no longer")
    func duration() throws {
      let rig = try GateRig(Self.web(", limits: { duration: 1s }")) { connection, _ in
        connection.sendOnce(Array("HTTP/1.1 200 OK\r\n\r\nbegun".utf8))
      }
      defer { rig.stop() }
      let client = try rig.client()
      client.send(rig.get("web.test"))
      _ = try client.read(until: "begun\r\n")
      #expect(client.whateverComes().bytes == [])
      #expect(try rig.awaitCloses(1) == ["duration-limit"])
    }
  }
}

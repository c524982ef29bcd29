import Addressing
import EventLoop
import Glibc
import Policy
import Testing
import Wire

@testable import Gateway

extension GateTests {
  /// Questions over TCP, on real sockets.
  @Suite struct NameStreams {
    @Test("RFC 7766 §8: two messages in one segment, and one that comes byte by byte")
    func framing() throws {
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      let stream = try rig.stream()
      let first = ClientSocket.framed(NameQuery(id: 1).bytes("a.web.test"))
      let second = ClientSocket.framed(NameQuery(id: 2).bytes("evil.test"))
      stream.send(first + second)
      #expect(Set([try stream.reply().id, try stream.reply().id]) == [1, 2])
      for byte in first + second {
        stream.send([byte])
        poll(nil, 0, 1)
      }
      #expect(try stream.reply().id == 1)
      #expect("\(try stream.reply())" == "3 15")
    }

    static let ends: [(bytes: [UInt8], because: String)] = [
      ([0, 0], "a message of no length"), ([0, 3, 1, 2, 3], "one shorter than a header"),
      (ClientSocket.framed(NameQuery(flags: 0x8100).bytes("www.web.test")), "QR=1: it speaks no DNS"),
    ]

    @Test("what gets no answer over UDP ends a connection, behind the answers before it", arguments: ends)
    func garbage(_ bytes: [UInt8], _ because: String) throws {
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      let stream = try rig.stream()
      _ = try stream.ask("www.web.test")
      stream.send(ClientSocket.framed(NameQuery(id: 7).bytes("www.web.test")) + bytes)
      #expect(try stream.reply().id == 7, "\(because)")
      #expect(stream.whateverComes().bytes.isEmpty, "\(because)")
      try rig.awaitRest()
      #expect(try rig.names { $0.openConnections } == 0)
    }

    @Test("DNS-28: a thousand questions at once are all answered, each with its id and its own answer")
    func pipelined() throws {
      let rig = try Names.rig { seen in
        let name = try #require(seen.query.question.name.hostname)
        let number = try #require(UInt32(name.text.prefix { $0 != "." }.dropFirst()))
        return try DNSReply.answering(seen, "\(name) 60 A 11.12.\(number / 256).\(number % 256)")
      }
      defer { rig.stop() }
      let stream = try rig.stream()
      LoopbackSocket.inThread {
        for number in 0..<1000 {
          let name = number % 10 == 9 ? "n\(number).evil.test" : "n\(number).web.test"
          stream.send(message: NameQuery(id: UInt16(number)).bytes(name))
        }
      }
      var seen: Set<UInt16> = []
      for _ in 0..<1000 {
        let reply = try stream.reply(), id = reply.id
        seen.insert(id)
        let expected = id % 10 == 9 ? "3 15" : "0 n\(id).web.test/A=11.12.\(id / 256).\(id % 256)"
        #expect("\(reply)" == expected)
      }
      #expect(seen.count == 1000)
    }

    @Test("a client that has shut its sending side still gets all its answers, then the end")
    func halfClosed() throws {
      let latch = Latch()
      let rig = try Names.rig { seen in
        latch.wait()
        return try Names.public10(seen)
      }
      defer { rig.stop() }
      let stream = try rig.stream()
      stream.send(
        ClientSocket.framed(NameQuery(id: 1).bytes("www.web.test"))
          + ClientSocket.framed(NameQuery(id: 2).bytes("evil.test")))
      stream.shutdownWrite()
      #expect(try stream.reply().id == 2)
      latch.open()
      #expect(try stream.reply().answers.count == 1)
      #expect(try stream.read().isEmpty)
      try eventually("it is let go") { try rig.names { $0.openConnections } == 0 }
    }

    @Test("a client that is gone when its answer comes takes nothing with it")
    func gone() throws {
      let latch = Latch()
      let rig = try Names.rig { seen in
        latch.wait()
        return try Names.public10(seen)
      }
      defer { rig.stop() }
      let stream = try rig.stream(), other = try rig.stream()
      for client in [stream, other] { client.send(message: NameQuery().bytes("www.web.test")) }
      try eventually("both wait") { try rig.names { $0.service.counters.queries } == 2 }
      stream.reset()
      try eventually("it is let go") { try rig.names { $0.openConnections } == 1 }
      latch.open()
      #expect(try other.reply().answers.count == 1)
      #expect(try rig.questions().count == 1)
    }

    @Test("DNS-28: more than 128 connections of one agent: the idle one goes; another agent's stay")
    func connections() throws {
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      let other = try rig.stream(rig.other)
      _ = try other.ask("evil.test")
      let streams = try Self.open(140, at: rig)
      #expect(try rig.names { $0.openConnections } == 129)
      #expect(try rig.names { $0.displaced } == 12)
      for stream in streams.prefix(12) { #expect(try stream.read().isEmpty) }
      #expect(
        try "\(try streams[12].ask("evil.test"))" == "3 15" && "\(try other.ask("evil.test"))" == "3 15")
    }

    private static func open(_ count: Int, at rig: GateRig, _ port: Port? = nil) throws -> [ClientSocket] {
      try (0..<count).map { _ in
        let stream = try rig.stream(port)
        _ = try stream.ask("evil.test")
        return stream
      }
    }

    @Test(
      "DNS-28: two agents that take all they can get leave a part for a third, and nothing of each other's")
    func fairConnections() throws {
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      let first = try Self.open(128, at: rig), second = try Self.open(100, at: rig, rig.other)
      #expect(try rig.names { $0.openConnections } == 128 + 64)
      #expect(
        try "\(try first[0].ask("evil.test"))" == "3 15" && "\(try second[99].ask("evil.test"))" == "3 15")
    }

    @Test("an agent above its rate waits, and loses nothing")
    func rate() throws {
      let rig = try Names.rig(rate: 10, Names.public10)
      defer { rig.stop() }
      let stream = try rig.stream(), start = MonotonicTime.now()
      for number in 0..<30 { stream.send(message: NameQuery(id: UInt16(number)).bytes("www.web.test")) }
      var ids: [UInt16] = []
      for _ in 0..<30 { ids.append(try stream.reply().id) }
      #expect(Set(ids).count == 30)
      let span = MonotonicTime.now() - start
      #expect(span >= .milliseconds(850), "20 at once, then one each 100 ms: \(span)")
      #expect("\(try rig.stream(rig.other).ask("evil.test"))" == "3 15")
    }

    @Test(
      "RFC 7766 §6.2.3: idle or half said, a connection ends after ten seconds; a question under way has its own time"
    )
    func idle() throws {
      let rig = try Names.rig { seen in
        seen.query.question.name.hostname?.text == "slow.web.test" ? [] : try Names.public10(seen)
      }
      defer { rig.stop() }
      let idle = try rig.stream(), begun = try rig.stream(), dripping = try rig.stream(),
        asking = try rig.stream()
      let start = MonotonicTime.now()
      begun.send([0])
      // A connection that says nothing is not even taken from the kernel yet (TCP_DEFER_ACCEPT).
      _ = try idle.ask("evil.test")
      _ = try asking.ask("evil.test")
      asking.send(message: NameQuery(id: 9).bytes("slow.web.test"))
      LoopbackSocket.inThread {
        for byte in ClientSocket.framed(NameQuery().bytes("www.web.test")) {
          dripping.send([byte])
          poll(nil, 0, 600)
        }
      }
      let late = try asking.reply()
      #expect("\(late)" == "2 22" && (3...6).contains((MonotonicTime.now() - start).components.seconds))
      for stream in [idle, begun, dripping] {
        try eventually("it ends", within: .seconds(14)) {
          var byte: UInt8 = 0
          return recv(stream.fd, &byte, 1, Int32(MSG_DONTWAIT)) == 0
        }
      }
      let span = MonotonicTime.now() - start
      #expect(span >= .seconds(9) && span < .seconds(14), "\(span)")
    }
  }
}

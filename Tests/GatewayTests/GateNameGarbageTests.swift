import Addressing
import EventLoop
import Glibc
import Policy
import Synchronization
import Testing
import Wire

@testable import Gateway

extension GateTests {
  /// Messages that chance made, towards the gate and back from upstreams.
  @Suite struct NameGarbage {
    /// A message with some bytes changed, cut off, put in or doubled.
    static func mutated(_ bytes: [UInt8], _ random: inout SeededStory) -> [UInt8] {
      var bytes = bytes
      for _ in 0...Int(random.next() % 4) {
        guard !bytes.isEmpty else { return bytes }
        let place = Int(random.next() % UInt64(bytes.count))
        switch random.next() % 8 {
        case 0: bytes.removeSubrange(place...)
        case 1: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
        case 2: bytes += bytes[place...]
        case 3: bytes[place] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff][Int(random.next() % 8)]
        default: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        }
      }
      return bytes
    }

    static let queries = [
      NameQuery().bytes("www.web.test"), NameQuery(type: .init(rawValue: 16), edns: nil).bytes("mail.test"),
      NameQuery(options: [0, 10, 0, 2, 1, 2]).bytes("x.evil.test"),
      NameQuery(type: .aaaa, edns: 4096).bytes("a.b.c.web.test.svc.cluster.local"),
    ]

    @Test(
      "DNS-15: 20,000 mutated messages over UDP do no harm, and what is answered has the id of a question")
    func datagrams() throws {
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      let client = try rig.datagrams()
      var random = SeededStory(seed: 15)
      for number in 0..<20_000 {
        client.send(Self.mutated(Self.queries[number % 4], &random))
        if number % 100 == 99 {
          let sent = UInt64(number + 1)
          try eventually("all came") { try rig.names { $0.service.counters.queries } == sent }
          while let answer = client.receive(within: 1) {
            #expect(answer.count >= 12 && answer[2] & 0x80 != 0)
          }
        }
      }
      while client.receive(within: 50) != nil {}
      #expect("\(try client.ask("good.web.test"))" == "0 good.web.test/A=11.11.0.10")
      try eventually("nothing is left waiting") { try rig.names { $0.service.forwarder.count } == 0 }
    }

    @Test("DNS-28: 300 connections that send what chance made are closed or go on, and are given back")
    func streams() throws {
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      var random = SeededStory(seed: 28)
      for number in 0..<300 {
        let stream = try rig.stream()
        for _ in 0..<8 { stream.send(Self.mutated(ClientSocket.framed(Self.queries[number % 4]), &random)) }
        if number % 3 == 0 { stream.reset() } else { stream.shutdownWrite() }
        _ = stream.whateverComes()
      }
      try rig.awaitRest()
      #expect(try rig.names { $0.openConnections } == 0)
      #expect(try rig.stream().ask("good.web.test").answers.count == 1)
    }

    @Test(
      "DNS-13, DNS-18: 3000 mutated answers of upstreams end in an answer or SERVFAIL, never in an address of theirs"
    )
    func answers() throws {
      let random = Mutex(SeededStory(seed: 13))
      let rig = try Names.rig { seen in
        if seen.query.question.name.hostname?.text == "good.web.test" { return try Names.public10(seen) }
        let name = try #require(seen.query.question.name.hostname)
        let reply = DNSReply(
          answers: [
            try DNSReply.record("\(name) 60 CNAME a.cdn.test"),
            try DNSReply.record("a.cdn.test 60 A 11.11.0.10"),
          ],
          authorities: [try DNSReply.record("other.test 60 A 11.66.0.66")],
          additionals: [try DNSReply.record("\(name) 60 A 11.66.0.66")])
        let good = reply.bytes(to: seen.query)
        // Behind the question, whose change would only be passed over.
        let head = 12 + seen.query.question.encoded.count
        let tail = random.withLock { Self.mutated(Array(good[head...]), &$0) }
        return [.init(bytes: Array(good[..<head]) + tail)]
      }
      defer { rig.stop() }
      let client = try rig.datagrams()
      for batch in 0..<30 {
        for number in 0..<100 {
          client.send(NameQuery(id: UInt16(number)).bytes("n\(batch)x\(number).web.test"))
        }
        for _ in 0..<100 {
          let reply = try client.reply()
          #expect([0, 2, 3].contains(reply.code))
          #expect(!reply.answers.contains { $0.data == .address(.v4(0x0b42_0042)) })
          #expect(reply.answers.first.map { "\($0.owner)".hasPrefix("n\(batch)x\(reply.id).") } ?? true)
        }
      }
      #expect("\(try client.ask("good.web.test"))" == "0 good.web.test/A=11.11.0.10")
    }
  }
}

import Addressing
import EventLoop
import Glibc
import Policy
import Synchronization
import Testing
import Wire

@testable import Gateway

extension GateTests {
  /// Questions over UDP, on real sockets.
  @Suite struct Names {
    /// So that the proxy could tell `ci`, too.
    static let token = String(repeating: "a", count: 64)
    static let policy = """
      version: 1
      agents: { ci: { token_sha256: \(token), dns: 127.0.0.1:$OTHER } }
      rules:
        - { id: web, action: allow, to: ["**.web.test"], limits: { dns-labels: none } }
        - { id: ci, action: allow, agents: [ci], to: [ci.test] }
        - { id: inside, action: allow, agents: [ci], to: [in.web.test], allow-private: true }
        - { id: evil, action: deny, to: ["**.evil.test"] }
        - { id: mail, action: allow, to: [mail.test], protocol: dns, types: [TXT] }
      """

    static func names(rate: Int = 0, _ script: ResolverStub.Script? = nil) -> GateRig.Names {
      GateRig.Names(listeners: ["127.0.0.1:$DNS"], rate: rate, upstream: script)
    }

    static func rig(rate: Int = 0, _ script: ResolverStub.Script? = nil) throws -> GateRig {
      try GateRig(policy, names: names(rate: rate, script))
    }

    static func public10(_ seen: ResolverStub.Seen) throws -> [ResolverStub.Answer] {
      let name = try #require(seen.query.question.name.hostname)
      return try DNSReply.answering(seen, "\(name) 60 A 11.11.0.10")
    }

    @Test("a question is answered in the client's case, recorded once, and from memory the next time")
    func simple() throws {
      let rig = try Self.rig(Self.public10)
      defer { rig.stop() }
      let client = try rig.datagrams()
      for (id, spelling) in [(1, "www.web.test"), (2, "wWw.WEB.test"), (0xffff, "WWW.web.TEST")]
        as [(UInt16, String)]
      {
        let reply = try client.ask(spelling, NameQuery(id: id))
        #expect(reply.id == id && reply.name == spelling)
        #expect("\(reply)" == "0 \(spelling)/A=11.11.0.10", "the owner is the question's name")
      }
      #expect(rig.resolver.seen.count == 1)
      #expect(try rig.questions() == ["www.web.test A allow rule"])
      #expect(try rig.names { $0.service.counters.hits } == 2)
    }

    @Test("DNS-01, DNS-07: a denied name reaches no upstream, whatever the type, and has its record")
    func denied() throws {
      let rig = try Self.rig(Self.public10)
      defer { rig.stop() }
      let client = try rig.datagrams()
      for type in ["A", "AAAA", "TXT", "MX", "HTTPS", "ANY", "CNAME", "SRV"] {
        let number = try #require(RecordTypes.number(of: type))
        let query = NameQuery(type: DNSRecordType(rawValue: number))
        #expect("\(try client.ask("leak.evil.test", query))" == "3 15", "\(type)")
        #expect("\(try client.ask("leak.none.test", query))" == "3 18", "\(type)")
      }
      #expect(rig.resolver.seen.isEmpty)
      #expect(try rig.questions().count == 16)
      #expect(try rig.questions().contains("leak.evil.test TXT deny deny-rule"))
    }

    @Test("DNS-10, DNS-12: nothing of the client's goes upstream but the name, in a case of the gate's own")
    func upwards() throws {
      let rig = try Self.rig(Self.public10)
      defer { rig.stop() }
      let client = try rig.datagrams()
      // A cookie, a client subnet and an experimental option (RFC 7873, RFC 7871, RFC 6891 §9).
      let options: [UInt8] =
        [0, 10, 0, 8] + Array("SECRETS!".utf8) + [0, 8, 0, 4, 1, 32, 9, 9, 0xfd, 0xe9, 0, 2, 7, 7]
      for number in 0..<20 {
        let query = NameQuery(id: 0x5353, flags: 0x0130, edns: 4096, options: options)
        #expect("\(try client.ask("A\(number).WEB.test", query))".hasPrefix("0 "))
      }
      let seen = rig.resolver.seen
      #expect(seen.count == 20)
      for one in seen {
        let own = DNSQuery(id: one.query.id, question: one.query.question)
        #expect(one.bytes == own.encoded, "id, RD, the question and EDNS with 1232, not a byte more")
      }
      #expect(Set(seen.map(\.query.id)).count > 15 && Set(seen.map(\.sourcePort)).count > 15)
      let spellings = Set(seen.map { $0.query.question.name.description.drop { $0 != "." } })
      #expect(spellings.count > 15, "0x20: \(spellings)")
    }

    @Test("fifty who ask the same at once are one question upstream; each gets its own id back")
    func coalescing() throws {
      let latch = Latch()
      let rig = try Self.rig { seen in
        latch.wait()
        return try Self.public10(seen)
      }
      defer { rig.stop() }
      let clients = try (0..<50).map { _ in try rig.datagrams() }
      for (number, client) in clients.enumerated() {
        client.send(NameQuery(id: UInt16(number)).bytes(number % 2 == 0 ? "www.web.test" : "WWW.WEB.TEST"))
      }
      try eventually("all wait") { try rig.names { $0.service.counters.queries } == 50 }
      latch.open()
      for (number, client) in clients.enumerated() {
        let reply = try client.reply()
        #expect(reply.id == UInt16(number) && reply.answers.count == 1)
        #expect(reply.name == (number % 2 == 0 ? "www.web.test" : "WWW.WEB.TEST"))
      }
      #expect(rig.resolver.seen.count == 1)
      #expect(try rig.questions() == ["www.web.test A allow rule"])
    }

    @Test("times to live count down, and are held between 5 and 3600 s")
    func lifetimes() throws {
      let rig = try Self.rig { seen in
        let name = try #require(seen.query.question.name.hostname)
        let ttl = name.text.hasPrefix("long") ? "4294967295" : name.text.hasPrefix("huge") ? "999999" : "60"
        return try DNSReply.answering(seen, "\(name) \(ttl) A 11.11.0.10")
      }
      defer { rig.stop() }
      let client = try rig.datagrams()
      let first = try #require(try client.ask("www.web.test").lifetime)
      #expect((59...60).contains(first))
      #expect((4...5).contains(try #require(try client.ask("long.web.test").lifetime)), "RFC 2181 §8: 0")
      #expect((3599...3600).contains(try #require(try client.ask("huge.web.test").lifetime)))
      poll(nil, 0, 1100)
      let later = try #require(try client.ask("www.web.test").lifetime)
      #expect(later < first && later >= first - 3)
    }

    @Test("DNS-15: what a client cannot take over UDP is TC=1 and nothing else; over TCP it is whole")
    func truncated() throws {
      let rig = try Self.rig { seen in
        let name = try #require(seen.query.question.name.hostname)
        let records = try (0..<60).map { try DNSReply.record("\(name) 60 A 11.11.1.\($0)") }
        return [.init(bytes: DNSReply(answers: records).bytes(to: seen.query))]
      }
      defer { rig.stop() }
      let client = try rig.datagrams()
      for (size, fits) in [(nil, false), (512, false), (100, false), (1232, true), (65_535, true)]
        as [(UInt16?, Bool)]
      {
        client.send(NameQuery(edns: size).bytes("www.web.test"))
        let bytes = try #require(client.receive()), reply = try NameReply(bytes)
        #expect(reply.isTruncated != fits && reply.answers.count == (fits ? 60 : 0), "\(size ?? 0)")
        #expect(bytes.count <= (fits ? 1232 : 512))
      }
      let stream = try rig.stream()
      #expect(try stream.ask("www.web.test", NameQuery(edns: nil)).answers.count == 60)
    }

    @Test("DNS-03: an upstream's TC=1 is asked again over TCP")
    func upstreamTruncates() throws {
      let rig = try Self.rig { seen in
        guard seen.isStream else { return [.init(bytes: DNSReply(flags: 0x8380).bytes(to: seen.query))] }
        return try Self.public10(seen)
      }
      defer { rig.stop() }
      #expect("\(try rig.datagrams().ask("www.web.test"))" == "0 www.web.test/A=11.11.0.10")
      #expect(rig.resolver.seen.map(\.isStream) == [false, true])
    }

    @Test("DNS-17: from another port, with another id, type or name: not believed")
    func forged() throws {
      let rig = try Self.rig { seen in
        let evil = DNSReply(answers: [try DNSReply.record("www.web.test 60 A 11.66.0.66")])
        let other = DNSQuestion(DNSName(try Hostname("other.web.test")), .a)
        let type = DNSQuestion(seen.query.question.name, .aaaa)
        return [
          .init(bytes: evil.bytes(to: seen.query), isForged: true),
          .init(bytes: evil.bytes(id: seen.query.id &+ 1, question: seen.query.question)),
          .init(bytes: evil.bytes(id: seen.query.id, question: other)),
          .init(bytes: evil.bytes(id: seen.query.id, question: type)),
          .init(bytes: []), .init(bytes: [0xff]),
        ] + (try Self.public10(seen))
      }
      defer { rig.stop() }
      #expect("\(try rig.datagrams().ask("www.web.test"))" == "0 www.web.test/A=11.11.0.10")
      #expect(try rig.names { $0.service.forwarder.statistics.mismatches } >= 5)
    }

    @Test("DNS-17: who guesses the id often enough only moves the question to TCP")
    func guessed() throws {
      let rig = try Self.rig { seen in
        if seen.isStream { return try Self.public10(seen) }
        let evil = DNSReply(answers: [try DNSReply.record("www.web.test 60 A 11.66.0.66")])
        return (1...20).map {
          .init(bytes: evil.bytes(id: seen.query.id &+ $0, question: seen.query.question))
        }
      }
      defer { rig.stop() }
      #expect("\(try rig.datagrams().ask("www.web.test"))" == "0 www.web.test/A=11.11.0.10")
      #expect(rig.resolver.seen.map(\.isStream) == [false, true])
    }

    @Test("an answer in another case is asked for again over TCP (0x20)")
    func otherCase() throws {
      let rig = try Self.rig { seen in
        let folded = DNSQuestion(DNSName(try #require(seen.query.question.name.hostname)), .a)
        let reply = DNSReply(answers: [
          try DNSReply.record("a-long-name-with-letters.web.test 60 A 11.11.0.10")
        ])
        return [.init(bytes: reply.bytes(id: seen.query.id, question: folded))]
      }
      defer { rig.stop() }
      #expect(try rig.datagrams().ask("a-long-name-with-letters.web.test").answers.count == 1)
      #expect(rig.resolver.seen.map(\.isStream) == [false, true])
    }

    @Test("two agents ask one name at the same time, by one question upstream, and get what is theirs")
    func twoAgents() throws {
      let latch = Latch()
      let rig = try Self.rig { seen in
        latch.wait()
        let name = try #require(seen.query.question.name.hostname)
        return try DNSReply.answering(seen, "\(name) 60 A 10.0.0.5")
      }
      defer { rig.stop() }
      let all = try rig.datagrams(), ci = try rig.datagrams(rig.other)
      for _ in 0..<2 {
        all.send(NameQuery().bytes("in.web.test"))
        ci.send(NameQuery().bytes("in.web.test"))
        latch.open()
        #expect("\(try all.reply())" == "0 17", "private addresses are opened to ci alone")
        #expect("\(try ci.reply())" == "0 in.web.test/A=10.0.0.5")
      }
      #expect(rig.resolver.seen.count == 1)
      #expect("\(try all.ask("ci.test"))" == "3 18")
      #expect("\(try ci.ask("ci.test"))" == "0 17")
      #expect("\(try all.ask("ci.test"))" == "3 18", "what ci was answered is not for others")
    }

    @Test("RD=0 is answered from the policy and from memory alone")
    func notRecursive() throws {
      let rig = try Self.rig(Self.public10)
      defer { rig.stop() }
      let client = try rig.datagrams(), query = NameQuery(flags: 0)
      #expect("\(try client.ask("www.web.test", query))" == "5 20")
      #expect("\(try client.ask("evil.test", query))" == "3 15")
      #expect(rig.resolver.seen.isEmpty)
      _ = try client.ask("www.web.test")
      #expect("\(try client.ask("www.web.test", query))" == "0 www.web.test/A=11.11.0.10")
    }

    @Test("records of a type that a rule names are whole; others are empty, and nobody is asked for them")
    func types() throws {
      let rig = try Self.rig { seen in
        try DNSReply.answering(seen, "mail.test 60 TYPE16 026869")
      }
      defer { rig.stop() }
      let client = try rig.datagrams()
      #expect(
        "\(try client.ask("mail.test", NameQuery(type: .init(rawValue: 16))))" == "0 mail.test/TXT=3 bytes")
      #expect("\(try client.ask("mail.test", NameQuery(type: .init(rawValue: 15))))" == "0 18")
      #expect("\(try client.ask("mail.test", NameQuery(type: .init(rawValue: 65))))" == "0")
      #expect(
        try client.ask("mail.test", NameQuery(type: .init(rawValue: 255))).answers.map(\.type) == [.hinfo])
      #expect("\(try client.ask("mail.test", NameQuery(type: .init(rawValue: 252))))" == "5 18")
      #expect(rig.resolver.seen.count == 1)
    }
  }
}

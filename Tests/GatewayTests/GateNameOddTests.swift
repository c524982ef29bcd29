import Addressing
import Audit
import EventLoop
import Glibc
import Policy
import Testing
import Wire

import class Foundation.FileManager

@testable import Gateway

extension GateTests {
  /// What is no question, too many questions, and a log that cannot be written.
  @Suite struct OddNames {
    /// Message, and the code of its answer; nil: none.
    struct Odd: Sendable, CustomTestStringConvertible {
      var bytes: [UInt8], code: UInt8?, because: String
      var testDescription: String { because }

      init(_ bytes: [UInt8], _ code: UInt8?, _ because: String) {
        (self.bytes, self.code, self.because) = (bytes, code, because)
      }
    }

    static let messages: [Odd] = {
      let query = NameQuery().bytes("www.web.test"), plain = NameQuery(edns: nil).bytes("www.web.test")
      func changed(_ at: Int, _ value: UInt8, in bytes: [UInt8] = query) -> [UInt8] {
        var bytes = bytes
        bytes[at] = value
        return bytes
      }
      return [
        Odd([], nil, "nothing"), Odd([0, 1, 2], nil, "no header"),
        Odd(Array(query.prefix(11)), nil, "a byte short of one"),
        Odd(changed(2, 0x80), nil, "DNS-16: QR=1 is never answered"),
        Odd(changed(2, 0x28), 4, "UPDATE: NOTIMP"), Odd(changed(2, 0x10), 4, "STATUS"),
        Odd(changed(5, 0), 1, "no question"), Odd(changed(5, 2), 1, "DNS-11: two"),
        Odd(changed(7, 1), 1, "an answer"), Odd(changed(9, 1), 1, "an authority"),
        Odd(Array(query.prefix(12)), 1, "no name"), Odd(Array(plain.dropLast()), 1, "half a class"),
        Odd(plain + [0], 1, "a byte too many"), Odd(changed(12, 0x40), 1, "a label type nobody uses"),
        Odd(changed(12, 0xc0), 1, "DNS-13: a pointer"),
        Odd(changed(plain.count - 1, 3, in: plain), 5, "class CH: REFUSED"),
        Odd(changed(plain.count - 1, 255, in: plain), 5, "class ANY"),
        Odd(
          NameQuery(options: [0, 12, 0xff, 0xff]).bytes("www.web.test"), 1, "an option longer than its record"
        ),
        Odd(
          NameQuery(options: [0, 12, 0x0b, 0xb8] + [UInt8](repeating: 0, count: 3000)).bytes("www.web.test"),
          1, "more than 2048 bytes are cut"
        ),
      ]
    }()

    @Test("DNS-15, DNS-16: messages that are no question", arguments: messages)
    func odd(_ c: Odd) throws {
      let (bytes, code, because) = (c.bytes, c.code, c.because)
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      let client = try rig.datagrams()
      client.send(bytes)
      let answer = client.receive(within: code == nil ? 100 : 10_000)
      #expect(answer.map { $0[3] & 0xf } == code, "\(because)")
      if let answer { #expect(answer.count == 12 && Array(answer.prefix(2)) == Array(bytes.prefix(2))) }
      #expect("\(try client.ask("www.web.test"))" == "0 www.web.test/A=11.11.0.10", "and it goes on")
      #expect(rig.resolver.seen.count == 1)
    }

    @Test("more than 2048 bytes over TCP are a question like any other")
    func large() throws {
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      let options: [UInt8] = [0, 12, 0xea, 0x60] + [UInt8](repeating: 0, count: 60_000)
      #expect(try rig.stream().ask("www.web.test", NameQuery(options: options)).answers.count == 1)
    }

    @Test("EDNS version 1 is BADVERS (RFC 6891 §6.1.3)")
    func version() throws {
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      let client = try rig.datagrams()
      var query = NameQuery().bytes("www.web.test")
      query[query.count - 5] = 1
      client.send(query)
      #expect(try client.reply().code == 16)
      #expect(rig.resolver.seen.isEmpty)
    }

    @Test("DNS-14: bytes that no host name has: NXDOMAIN, shown to nobody, escaped in the log")
    func bytesInLabels() throws {
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      let client = try rig.datagrams()
      for label in ["www.web.test", "a\u{0}b", "a\nb", "a b", "\u{1b}[2J"] {
        var query = NameQuery().bytes("x.web.test")
        query.replaceSubrange(12..<14, with: [UInt8(label.utf8.count)] + Array(label.utf8))
        client.send(query)
        #expect("\(try client.reply())" == "3 18")
      }
      #expect(rig.resolver.seen.isEmpty)
      #expect(try rig.questions() == Array(repeating: "- A deny malformed-request", count: 5))
    }

    @Test(
      "above the rate TC=1 sends a client to TCP, above twice the rate there is silence; others are served")
    func rate() throws {
      let rig = try Names.rig(rate: 5, Names.public10)
      defer { rig.stop() }
      let client = try rig.datagrams(), other = try rig.datagrams(rig.other)
      for number in 0..<40 { client.send(NameQuery(id: UInt16(number)).bytes("evil.test")) }
      var whole = 0, cut = 0
      while let bytes = client.receive(within: 200) {
        let reply = try NameReply(bytes)
        if reply.isTruncated { cut += 1 } else { whole += 1 }
      }
      #expect((10...13).contains(whole) && (10...13).contains(cut), "\(whole) \(cut)")
      #expect("\(try other.ask("evil.test"))" == "3 15")
      #expect(try rig.names { ($0.service.counters.limited, $0.service.counters.dropped) }.1 >= 14)
    }

    @Test("what is no question counts against the rate: it must not use up the log's room for those that are")
    func rateOfGarbage() throws {
      let rig = try Names.rig(rate: 5, Names.public10)
      defer { rig.stop() }
      let client = try rig.datagrams(), other = try rig.datagrams(rig.other)
      for _ in 0..<600 { client.send(Array(NameQuery().bytes("www.web.test").dropLast())) }
      try eventually("all came") { try rig.names { $0.service.counters.queries } == 600 }
      #expect(try rig.questions().count <= 13)
      let answer = try rig.stream().ask("www.web.test")
      #expect(answer.answers.count == 1)
      #expect(try rig.questions().last == "www.web.test A allow rule")
      #expect("\(try other.ask("www.web.test"))".hasPrefix("0 "))
    }

    @Test(
      "AUD: while the log cannot be written nothing is allowed, from memory neither; denials are still said")
    func unwritable() throws {
      let rig = try Names.rig(Names.public10)
      defer { rig.stop() }
      let client = try rig.datagrams()
      _ = try client.ask("old.web.test")
      for number in 0..<600 { _ = try client.ask("n\(number).evil.test") }
      let log = try Self.descriptor(of: rig.directory + "/log/audit.jsonl")
      let kept = dup(log), full = open("/dev/full", O_WRONLY)
      dup2(full, log)
      #expect(
        "\(try rig.datagrams(rig.other).ask("new.web.test"))" == "2 0", "the first that cannot be recorded")
      #expect("\(try client.ask("new.web.test"))" == "2 0")
      #expect("\(try client.ask("old.web.test"))" == "2 0")
      #expect(
        "\(try client.ask("new.web.test", NameQuery(type: .init(rawValue: 65))))" == "2 0", "only counted")
      #expect(try "\(try client.ask("evil.test"))" == "3 15" && "\(try client.ask("none.test"))" == "3 18")
      let asked = rig.resolver.seen.count
      #expect("\(try client.ask("newest.web.test"))" == "2 0")
      #expect(rig.resolver.seen.count == asked, "nobody is asked for what cannot be recorded")
      dup2(kept, log)
      try eventually("it is written again") { rig.gate.log.isAvailable }
      #expect("\(try client.ask("new.web.test"))" == "0 new.web.test/A=11.11.0.10")
      for fd in [kept, full] { close(fd) }
    }

    /// The descriptor of this process that leads to `path`.
    static func descriptor(of path: String) throws -> Int32 {
      let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
      for fd in names.compactMap(Int32.init) {
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(fd)")
        if target == path { return fd }
      }
      throw GaveUp(description: "nothing is open at \(path)")
    }

    @Test("DOS-06: silent upstreams cost one agent its part of the descriptors, and no other agent's")
    func sockets() throws {
      let rig = try Names.rig { seen in
        seen.query.question.name.hostname?.text == "good.web.test" ? try Names.public10(seen) : []
      }
      defer { rig.stop() }
      let part = rig.gate.nameSettings.resolver.lookupsInFlight * ResolverLimit.socketsPerLookup / 2
      let client = try rig.datagrams()
      for number in 0..<(part + 50) {
        client.send(NameQuery(id: UInt16(number)).bytes("n\(number).web.test"))
        // Each in a turn of its own, so each by a port of its own.
        try eventually("it came") { try rig.names { $0.service.counters.queries } == number + 1 }
      }
      #expect(try (part / 2...part).contains(rig.names { $0.service.forwarder.openSockets }))
      #expect("\(try client.reply())" == "2 0", "the first beyond it is told at once")
      #expect(try rig.datagrams(rig.other).ask("good.web.test").answers.count == 1)
      try eventually("all are given back") { try rig.names { $0.service.forwarder.openSockets } == 0 }
    }

    @Test("however many wait for one question, one more over TCP is answered")
    func crowd() throws {
      let latch = Latch()
      let rig = try Names.rig { seen in
        latch.wait()
        return try Names.public10(seen)
      }
      defer { rig.stop() }
      let client = try rig.datagrams()
      for number in 0..<256 { client.send(NameQuery(id: UInt16(number)).bytes("www.web.test")) }
      try eventually("all wait") { try rig.names { $0.service.counters.queries } == 256 }
      let stream = try rig.stream()
      #expect("\(try stream.ask("www.web.test"))" == "2 0")
      latch.open()
      for _ in 0..<256 { #expect(try client.reply().answers.count == 1) }
    }
  }
}

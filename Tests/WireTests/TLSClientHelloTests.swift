import Addressing
import Testing
import Wire

@Suite("ClientHello")
struct TLSClientHelloTests {
  static func parse(_ extensions: [[UInt8]], padding: Int = 0) throws -> ClientHello? {
    try ClientHello.parse(Hello.records(Hello.message(extensions, padding: padding))[...])
  }

  @Test("TLS-01: the server name is read, in any case; what follows the hello is left alone")
  func serverName() throws {
    #expect(try Self.parse([Hello.serverName("evil.test")])?.serverName?.text == "evil.test")
    #expect(try Self.parse([Hello.serverName("ALLOWED.Test")])?.serverName?.text == "allowed.test")
    let early = Hello.records(Hello.message([Hello.serverName("a.test")])) + [23, 3, 3, 0, 1, 9]
    #expect(try ClientHello.parse(early[...])?.serverName?.text == "a.test")
  }

  @Test("TLS-02: no server name is a value of its own, an address an error of its own")
  func missingName() throws {
    let hello = try #require(try Self.parse([]))
    #expect(hello.serverName == nil && hello.alpn.isEmpty && !hello.hasEncryptedClientHello)
    for address in ["11.66.0.66", "::1"] {
      #expect(throws: ClientHelloError.serverNameIsAddress) { try Self.parse([Hello.serverName(address)]) }
    }
  }

  static let splits: [(record: Int, segment: Int)] = [
    (1, 1), (1, 1000), (16000, 1), (7, 3), (100, 64), (16384, 16384),
  ]

  @Test("TLS-03: records and segments of any size give the same hello", arguments: splits)
  func split(_ record: Int, _ segment: Int) throws {
    let message = Hello.message([Hello.serverName("evil.test")], session: 32)
    let wire = Hello.records(message, size: record)
    var reader = ClientHelloReader(), start = 0
    while start < wire.count {
      #expect(try reader.read() == nil)
      reader.append(wire[start..<min(start + segment, wire.count)])
      start += segment
    }
    #expect(try reader.read() == ClientHello.parse(Hello.records(message)[...]))
    #expect(try reader.read()?.serverName?.text == "evil.test")
  }

  @Test("TLS-03: a post-quantum hello and one of almost 64 KiB are read; more is too large")
  func large() throws {
    #expect(try Self.parse([Hello.serverName("a.test")], padding: 1200)?.serverName?.text == "a.test")
    #expect(try Self.parse([Hello.serverName("a.test")], padding: 65000)?.serverName?.text == "a.test")
    let announced: [UInt8] = [22, 3, 1, 0, 4, 1, 1, 0, 0]
    #expect(throws: ClientHelloError.tooLarge) { try ClientHello.parse(announced[...]) }
    let wire = Hello.records(Hello.message([], padding: 3000))
    #expect(throws: ClientHelloError.tooLarge) { try ClientHello.parse(wire[...], limit: 2000) }
  }

  @Test("DOS-01: single bytes in single-byte records cost no more than their number, and are bounded")
  func singleBytes() throws {
    let wire = Hello.records(Hello.message([], padding: 60000), size: 1)
    var reader = ClientHelloReader()
    for byte in wire { reader.append([byte]) }
    #expect(throws: ClientHelloError.tooLarge) { try reader.read() }
  }

  @Test(
    "TLS-04: an encrypted hello is seen, and the outer name with it", arguments: [0xfe0d, 0xffce, 0xfe09])
  func encrypted(_ type: Int) throws {
    let hello = try #require(
      try Self.parse([Hello.extended(type, [0, 0, 1]), Hello.serverName("allowed.test")]))
    #expect(hello.hasEncryptedClientHello && hello.serverName?.text == "allowed.test")
  }

  static let badNames: [(extensions: [[UInt8]], because: String)] = [
    ([Hello.serverName("allowed.test.")], "trailing dot"),
    ([Hello.serverName("allowed.test\0.evil.test")], "NUL"),
    ([Hello.serverNames([(0, "allowed.test"), (0, "evil.test")])], "two names"),
    ([Hello.serverNames([(1, "x"), (0, "allowed.test")])], "an unknown type first"),
    ([Hello.serverNames([(0, "allowed.test"), (1, "x")])], "an unknown type behind"),
    ([Hello.serverNames([])], "an empty list"), ([Hello.serverName("")], "an empty name"),
    ([Hello.extended(0, [])], "empty"),
    ([Hello.extended(0, [0, 9, 0, 0, 20] + Array("allowed.test".utf8))], "a truncated list"),
    ([Hello.extended(0, [0xff, 0xff, 0, 0, 1, 97])], "a list longer than the extension"),
    ([Hello.serverName("a.test"), Hello.serverName("a.test")], "the extension twice"),
    ([Hello.serverName("127.1")], "an odd IPv4 spelling"),
    ([Hello.serverName("b\u{fc}cher.test")], "not ASCII"),
    ([Hello.extended(0, [0, 4, 0, 0, 1, 97, 9])], "a byte behind the list"),
  ]

  @Test("TLS-05: server names that are refused", arguments: badNames)
  func badName(_ extensions: [[UInt8]], _ because: String) {
    #expect(throws: ClientHelloError.serverNameMalformed, "\(because)") { try Self.parse(extensions) }
  }

  @Test("TLS-06: what is not TLS is known by its first bytes")
  func notTLS() {
    for first in ["SSH-2.0-x\r\n", "G", "\u{5}", "\u{16}GET", "\u{16}\u{2}", "\u{16}\u{3}\u{5}"] {
      #expect(throws: ClientHelloError.notTLS) { try ClientHello.parse(Array(first.utf8)[...]) }
    }
    #expect(throws: ClientHelloError.notTLS) { try ClientHello.parse([0x80, 0x2e, 1, 3, 1]) }
    #expect(throws: ClientHelloError.notTLS) { try ClientHello.parse([21, 3, 1, 0, 2, 1, 0]) }
    #expect(throws: Never.self) { try ClientHello.parse([22, 3, 1, 2]) }
  }

  @Test("Records and messages that no server takes")
  func malformed() {
    let message = Hello.message([Hello.serverName("a.test")])
    for wire: [UInt8] in [
      [22, 3, 1, 0, 0], [22, 3, 1, 0x40, 1], [22, 3, 1, 0, 1, 2],
      Hello.records(Array(message.prefix(40))) + [20, 3, 1, 0, 1, 1],
      Hello.records(message + [0]), Hello.records(message + message), Hello.records([1, 0, 0, 2, 3, 3]),
      Hello.records([1, 0, 0, 1, 2]), Hello.records(message.map { $0 == 3 ? 2 : $0 }),
    ] {
      #expect(throws: ClientHelloError.malformed) { try ClientHello.parse(wire[...]) }
    }
  }

  @Test("A hello without extensions is one; application protocols are listed")
  func edges() throws {
    let body: [UInt8] = [3, 1] + [UInt8](repeating: 0, count: 32) + [0, 0, 2, 0, 47, 1, 0]
    let bare = Hello.records([1, 0, 0, UInt8(body.count)] + body)
    #expect(try ClientHello.parse(bare[...])?.serverName == nil)
    #expect(
      try Self.parse([Hello.extended(16, [0, 12, 2, 104, 50, 8] + Array("http/1.1".utf8))])?.alpn == [
        "h2", "http/1.1",
      ])
    for bad: [UInt8] in [[], [0, 0], [0, 1, 0], [0, 2, 5, 104], [0, 2, 1, 104, 1]] {
      #expect(throws: ClientHelloError.malformed) { try Self.parse([Hello.extended(16, bad)]) }
    }
  }

  @Test("DOS-07: damaged hellos trap nothing, and pieces of them say the same as the whole")
  func damaged() {
    var random = SeededRandom(state: 41)
    let seeds = [1, 50, 16000].map {
      Hello.records(
        Hello.message([Hello.serverName("allowed.test"), Hello.extended(16, [0, 3, 2, 104, 50])]), size: $0)
    }
    for _ in 0..<3000 {
      let wire = random.mutate(seeds.randomElement(using: &random) ?? [])
      let whole = Result { () throws(ClientHelloError) in try ClientHello.parse(wire[...]) }
      var reader = ClientHelloReader(), start = 0
      for cut in random.cuts(of: wire.count) {
        reader.append(wire[start..<cut])
        start = cut
      }
      let pieces = Result { () throws(ClientHelloError) in try reader.read() }
      #expect(whole == pieces)
    }
  }
}

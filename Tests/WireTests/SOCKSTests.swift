import Addressing
import Testing
import Wire

@Suite("SOCKS5")
struct SOCKSTests {
  static func name(_ host: [UInt8], port: [UInt8] = [1, 187]) -> [UInt8] {
    [5, 1, 0, 3, UInt8(truncatingIfNeeded: host.count)] + host + port
  }

  @Test("Greetings offer methods; the version and their number are checked at once")
  func greeting() throws {
    let parsed = try #require(try SOCKSGreeting.parse([5, 2, 0, 2, 99]))
    #expect(parsed.greeting.offersNone && parsed.greeting.offersPassword && parsed.length == 4)
    let gssapi = try #require(try SOCKSGreeting.parse([5, 1, 1]))
    #expect(!gssapi.greeting.offersNone && !gssapi.greeting.offersPassword)
    #expect(throws: SOCKSError.version) { try SOCKSGreeting.parse([4]) }
    #expect(throws: SOCKSError.noMethods) { try SOCKSGreeting.parse([5, 0]) }
    #expect(SOCKSMethod.noneAcceptable.selection == [5, 0xff] && SOCKSMethod.password.selection == [5, 2])
  }

  @Test("The password is the token; an empty one and another version are refused")
  func credentials() throws {
    let parsed = try #require(try SOCKSCredentials.parse([1, 1, 97, 3, 98, 0, 99, 7]))
    #expect(
      parsed.credentials.user == [97] && parsed.credentials.password == [98, 0, 99] && parsed.length == 7)
    #expect(throws: SOCKSError.version) { try SOCKSCredentials.parse([5]) }
    #expect(try SOCKSCredentials.parse([1, 0, 1, 98])?.credentials.user == [])
    #expect(throws: SOCKSError.credentials) { try SOCKSCredentials.parse([1, 1, 97, 0]) }
    #expect(
      SOCKSCredentials.answer(accepted: true) == [1, 0] && SOCKSCredentials.answer(accepted: false) == [1, 1])
  }

  @Test("A request names a host or an address; literals sent as names are addresses")
  func requests() throws {
    for (wire, canonical) in [
      (Self.name(Array("Allowed.TEST".utf8)), "allowed.test:443"),
      ([5, 1, 0, 1, 1, 2, 3, 4, 0, 80], "1.2.3.4:80"),
      ([5, 1, 0, 4] + [UInt8](repeating: 0, count: 15) + [1, 31, 144], "[::1]:8080"),
      (Self.name(Array("127.0.0.1".utf8)), "127.0.0.1:443"), (Self.name(Array("::1".utf8)), "[::1]:443"),
      (Self.name(Array("[::1]".utf8)), "[::1]:443"),
    ] {
      let parsed = try #require(try SOCKSRequest.parse((wire + [1, 2])[...]))
      #expect(parsed.request.authority.description == canonical && parsed.length == wire.count)
    }
  }

  static let badNames: [(String, String)] = [
    ("evil.test\0.wild.test", "POL-07: NUL"), ("allowed.test\r\nX: b", "POL-08: CR LF"), ("127.1", "POL-12"),
    ("0x7f.1", "POL-12"), ("2130706433", "POL-12"), ("allowed%2etest", "POL-09"), ("a@b.test", "POL-10"),
    ("", "empty"), ("a..b", "POL-15"), ("fe80::1%lo", "POL-19: zone"), ("[allowed.test]", "POL-06"),
    ("１２７.0.0.1", "POL-13"), ("allowed.test:443", "a port in the name"),
  ]

  @Test("POL-07: names that SOCKS refuses, as an authority does", arguments: badNames)
  func badName(_ host: String, _ because: String) {
    #expect(throws: SOCKSError.authority, "\(because)") {
      try SOCKSRequest.parse(Self.name(Array(host.utf8))[...])
    }
  }

  @Test("Commands, address types and ports that are not taken, each with its reply")
  func refused() {
    for (wire, error, reply) in [
      ([5, 2, 0, 1, 1, 2, 3, 4, 0, 80], SOCKSError.command, SOCKSReply.commandNotSupported),
      ([5, 3, 0, 1, 1, 2, 3, 4, 0, 80], .command, .commandNotSupported),
      ([5, 1, 0, 2, 1], .addressType, .addressTypeNotSupported), ([5, 1, 1, 1], .malformed, .generalFailure),
      ([5, 1, 0, 1, 1, 2, 3, 4, 0, 0], .malformed, .generalFailure),
      ([4, 1, 0, 80], .version, .generalFailure),
    ] as [([UInt8], SOCKSError, SOCKSReply)] {
      #expect(throws: error) { try SOCKSRequest.parse(wire[...]) }
      #expect(error.reply == reply)
    }
    #expect(SOCKSReply.notAllowed.bytes == [5, 2, 0, 1, 0, 0, 0, 0, 0, 0])
    #expect(SOCKSReply.addressTypeNotSupported.rawValue == 8)
  }

  @Test("DOS-01: every message is incomplete until its last byte")
  func pieces() throws {
    let request = Self.name(Array("allowed.test".utf8)), login: [UInt8] = [1, 1, 97, 1, 98]
    for end in 0..<request.count { #expect(try SOCKSRequest.parse(request[..<end]) == nil) }
    for end in 0..<login.count { #expect(try SOCKSCredentials.parse(login[..<end]) == nil) }
    for end in 0..<4 { #expect(try SOCKSGreeting.parse([5, 2, 0, 2][..<end]) == nil) }
  }

  @Test("DOS-07: damaged messages trap nothing")
  func damaged() {
    var random = SeededRandom(state: 31)
    let seeds = [
      Self.name(Array("allowed.test".utf8)), [5, 2, 0, 2], [1, 1, 97, 1, 98],
      [5, 1, 0, 1, 1, 2, 3, 4, 0, 80],
    ]
    for _ in 0..<4000 {
      let bytes = random.mutate(seeds.randomElement(using: &random) ?? [])[...]
      _ = try? SOCKSGreeting.parse(bytes)
      _ = try? SOCKSCredentials.parse(bytes)
      if let parsed = try? SOCKSRequest.parse(bytes) { #expect(parsed.length <= bytes.count) }
    }
  }
}

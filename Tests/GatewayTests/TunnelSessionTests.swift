import Addressing
import Audit
import EventLoop
import Policy
import Testing
import Wire

@testable import Gateway

/// ClientHello messages for the gate's tests (RFC 8446 §4.1.2, RFC 6066 §3).
enum Hello {
  static func number(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xff), UInt8(value & 0xff)] }

  static func serverName(_ name: String, type: UInt8 = 0) -> [UInt8] {
    let entry = [type] + number(name.utf8.count) + Array(name.utf8)
    return number(0) + number(entry.count + 2) + number(entry.count) + entry
  }

  static let encrypted = number(0xfe0d) + number(4) + [1, 2, 3, 4]

  /// A hello with these extensions, in records of at most `size` bytes.
  static func with(_ extensions: [UInt8]..., padding: Int = 0, size: Int = 16000) -> [UInt8] {
    let filler = padding > 0 ? number(21) + number(padding) + [UInt8](repeating: 0, count: padding) : []
    let all = filler + extensions.flatMap { $0 } + number(10) + number(4) + [0, 2, 0, 29]
    let body =
      [3, 3] + [UInt8](repeating: 9, count: 32) + [0, 0, 2, 0x13, 1, 1, 0] + number(all.count) + all
    let message = [1, UInt8(body.count >> 16)] + number(body.count & 0xffff) + body
    return stride(from: 0, to: message.count, by: size).flatMap { start in
      let part = message[start..<min(start + size, message.count)]
      return [22, 3, 1] + number(part.count) + part
    }
  }
}

@Suite("A tunnel's first flight")
struct TunnelSessionTests {
  static let rules = """
      - { id: tls, action: allow, to: [a.test], protocol: https }
      - { id: raw, action: allow, to: [a.test], protocol: tcp, ports: [22] }
      - { id: net, action: allow, to: [11.11.0.0/24], protocol: https }
    """

  static func session(to host: String = "a.test", _ traffic: TrafficProtocol = .https) throws -> TunnelSession
  {
    TunnelSession(try Bench.flow(to: host, traffic, rule: "tls", under: try Bench.snapshot(rules)))
  }

  static func words(_ effects: [TunnelSession.Effect]) -> [String] { effects.map(\.words) }

  /// The upstream stands and the client was told.
  static func opened(_ session: inout TunnelSession, in mode: Mode = .enforce) -> [String] {
    words(
      session.handle(.connected(Bench.endpoint), in: mode, at: Bench.now)
        + session.handle(.accepted, in: mode, at: Bench.now))
  }

  @Test("A client that cannot be told is gone, and the upstream's connection has an end in the log")
  func untold() throws {
    for traffic in [TrafficProtocol.tcp, .https] {
      var session = try Self.session(to: "a.test:22", traffic)
      #expect(
        Self.words(session.handle(.connected(Bench.endpoint), in: .enforce, at: Bench.now)) == ["accept"])
      let ends = Self.words(session.handle(.clientClosed, in: .enforce, at: Bench.now))
      #expect(ends == ["close client-reset 0/0", "cut"] && session.isFinished)
    }
  }

  @Test("An opaque tunnel is accepted and relayed; nobody looks inside")
  func opaque() throws {
    var session = try Self.session(to: "a.test:22", .tcp)
    #expect(
      Self.opened(&session) == [
        "accept", "relay 0",
      ])
    #expect(session.isFinished && !session.wantsClientBytes)
    #expect(Self.words(session.handle(.revoked(.revoked), in: .enforce, at: Bench.now)) == [])
  }

  struct Flight: Sendable, CustomTestStringConvertible {
    var name: String, host = "a.test", bytes: [UInt8], reason: Reason?
    var testDescription: String { name }
  }
  static let flights = [
    Flight(name: "the name that was asked for", bytes: Hello.with(Hello.serverName("a.test")), reason: nil),
    Flight(
      name: "TLS-05: the same name in capitals", bytes: Hello.with(Hello.serverName("A.TEST")), reason: nil),
    Flight(
      name: "TLS-04: an encrypted hello under the name that was asked for",
      bytes: Hello.with(Hello.serverName("a.test"), Hello.encrypted), reason: nil),
    Flight(
      name: "TLS-01: another name", bytes: Hello.with(Hello.serverName("evil.test")), reason: .sniMismatch),
    Flight(
      name: "TLS-04: an encrypted hello under another name",
      bytes: Hello.with(Hello.serverName("front.test"), Hello.encrypted), reason: .encryptedHello),
    Flight(name: "TLS-02: no name", bytes: Hello.with(), reason: .sniMissing),
    Flight(
      name: "TLS-02: an address for a name", bytes: Hello.with(Hello.serverName("11.66.0.66")),
      reason: .sniMalformed),
    Flight(
      name: "TLS-05: a trailing dot", bytes: Hello.with(Hello.serverName("a.test.")), reason: .sniMalformed),
    Flight(
      name: "TLS-05: NUL in the name", bytes: Hello.with(Hello.serverName("a.test\0.evil.test")),
      reason: .sniMalformed),
    Flight(
      name: "TLS-05: a name of another type", bytes: Hello.with(Hello.serverName("a.test", type: 1)),
      reason: .sniMalformed),
    Flight(
      name: "TLS-05: two names",
      bytes: Hello.with(Hello.serverName("a.test"), Hello.serverName("evil.test")), reason: .sniMalformed),
    Flight(name: "TLS-06: SSH", bytes: Array("SSH-2.0-x\r\n".utf8), reason: .notTLS),
    Flight(name: "TLS-06: HTTP", bytes: Array("GET / HTTP/1.1\r\n\r\n".utf8), reason: .notTLS),
    Flight(name: "TLS-06: SOCKS", bytes: [5, 1, 0], reason: .notTLS),
    Flight(
      name: "a hello of 128 KiB", bytes: [22, 3, 1, 0, 104, 1, 2, 0, 0] + [UInt8](repeating: 0, count: 100),
      reason: .helloTooLarge),
    Flight(name: "an address without a name", host: "11.11.0.10", bytes: Hello.with(), reason: nil),
    Flight(
      name: "TLS-08: an address with a name", host: "11.11.0.10",
      bytes: Hello.with(Hello.serverName("a.test")), reason: .sniMismatch),
  ]

  /// TLS-09: a splice sees the first hello alone. One that follows a
  /// HelloRetryRequest is not compared; RFC 8446 §4.1.2 has it carry the same
  /// server name, and a server that is split on it would be fronted (TLS-07).
  @Test(
    "TLS-01 to TLS-06, TLS-09: the first hello is whole and names the host, or not a byte of it goes on (later hellos pass unseen)",
    arguments: flights)
  func flight(_ c: Flight) throws {
    var session = try Self.session(to: c.host)
    #expect(
      Self.opened(&session) == [
        "accept", "read",
      ])
    let effects = Self.words(session.handle(.clientBytes(c.bytes[...]), in: .enforce, at: Bench.now))
    if let reason = c.reason {
      #expect(
        effects == ["deny \(reason.rawValue) @11.11.0.10", "close \(reason.rawValue) 0/0", "cut"])
    } else {
      #expect(effects == ["relay \(c.bytes.count)"])
    }
    #expect(session.isFinished)
    #expect(session.handle(.clientBytes([1]), in: .enforce, at: Bench.now).isEmpty, "nothing follows the end")
    #expect(session.handle(.helloDeadline, in: .enforce, at: Bench.now).isEmpty)
  }

  @Test("Audit mode lets every first flight pass, whole, and records what it would deny", arguments: flights)
  func audit(_ c: Flight) throws {
    var session = try Self.session(to: c.host)
    _ = Self.opened(&session, in: .audit)
    let effects = Self.words(session.handle(.clientBytes(c.bytes[...]), in: .audit, at: Bench.now))
    let record = c.reason.map { ["allow \($0.rawValue) would-deny"] } ?? []
    #expect(effects == record + ["relay \(c.bytes.count)"])
    #expect(session.flow.objection == c.reason, "a later change to enforce mode ends it")
  }

  @Test("TLS-03: a hello in pieces is judged like one in a piece", arguments: flights)
  func pieces(_ c: Flight) throws {
    for size in [1, 7, 1000] where c.bytes.count < 2000 || size > 1 {
      var session = try Self.session(to: c.host)
      _ = Self.opened(&session, in: .enforce)
      var last: [String] = []
      for start in stride(from: 0, to: c.bytes.count, by: size) where session.wantsClientBytes {
        let piece = c.bytes[start..<min(start + size, c.bytes.count)]
        last = Self.words(session.handle(.clientBytes(piece), in: .enforce, at: Bench.now))
        if session.wantsClientBytes { #expect(last == ["read"]) }
      }
      #expect(last.last == (c.reason == nil ? "relay \(c.bytes.count)" : "cut"), "in pieces of \(size)")
    }
  }

  @Test("TLS-03: a hello in records of one byte is one hello")
  func records() throws {
    let bytes = Hello.with(Hello.serverName("evil.test"), size: 1)
    var session = try Self.session()
    _ = Self.opened(&session, in: .enforce)
    #expect(
      Self.words(session.handle(.clientBytes(bytes[...]), in: .enforce, at: Bench.now)).first
        == "deny sni-mismatch @11.11.0.10")
  }

  @Test("HTTP-23: what follows the hello goes with it, once")
  func early() throws {
    let bytes = Hello.with(Hello.serverName("a.test")) + Array("early".utf8)
    var session = try Self.session()
    _ = Self.opened(&session, in: .enforce)
    let effects = session.handle(.clientBytes(bytes[...]), in: .enforce, at: Bench.now)
    guard case .relay(let endpoint, let early)? = effects.last else { throw GaveUp(description: "no relay") }
    #expect(endpoint == Bench.endpoint && early == bytes)
  }

  @Test("A hello that does not come in time is denied; in audit mode what came goes on")
  func deadline() throws {
    let part = Hello.with(Hello.serverName("a.test")).prefix(20)
    for (mode, expected) in [
      (Mode.enforce, ["deny hello-timeout @11.11.0.10", "close hello-timeout 0/0", "cut"]),
      (.audit, ["allow hello-timeout would-deny", "relay 20"]),
    ] {
      var session = try Self.session()
      _ = Self.opened(&session, in: mode)
      _ = session.handle(.clientBytes(part), in: mode, at: Bench.now)
      #expect(Self.words(session.handle(.helloDeadline, in: mode, at: Bench.now)) == expected)
    }
  }

  static let endings: [(TunnelSession.Event, String)] = [
    (.clientClosed, "close client-reset 0/0"), (.revoked(.revoked), "close revoked 0/0"),
    (.revoked(.expired), "close expired 0/0"), (.stopped, "close shutdown 0/0"),
  ]
  @Test("AUD-06: a tunnel that ends before its first flight has one end in the log")
  func ends() throws {
    for (event, record) in Self.endings {
      var session = try Self.session()
      _ = Self.opened(&session, in: .enforce)
      let effects = session.handle(event, in: .enforce, at: Bench.now)
      #expect(Self.words(effects) == [record, "cut"])
      guard case .record(.close(let close))? = effects.first else { throw GaveUp(description: "no record") }
      #expect(close.address == Bench.endpoint, "the upstream was dialled")
      #expect(session.handle(event, in: .enforce, at: Bench.now).isEmpty)
    }
  }
}

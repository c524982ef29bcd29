import Addressing
import Audit
import EventLoop
import Policy
import Testing
import Wire

@testable import Gateway

extension CaptureSession.Step {
  /// `wait 10`, `tunnel a.test https sni-mismatch`, `request GET a.test:80 /`.
  var words: String {
    switch self {
    case .wait(let patience): "wait \(patience.components.seconds)"
    case .readOn: "read"
    case .tunnel(let host, let spoken, let objection):
      "tunnel \(host) \(spoken.rawValue)" + (objection.map { " \($0.rawValue)" } ?? "")
    case .request(let head, _): "request \(head.method) \(head.target.authority) \(head.path ?? "-")"
    case .refuse(let reason, let status, let detail):
      "refuse \(status ?? reason.status) \(reason.rawValue)" + (detail.map { " \($0)" } ?? "")
    case .close: "close"
    }
  }
}

@Suite("A captured connection until it is known what it wants")
struct CaptureSessionTests {
  static let rules = """
      - { id: tls, action: allow, to: [a.test], protocol: https }
      - { id: web, action: allow, to: [a.test], protocol: http }
      - { id: raw, action: allow, to: [a.test, 11.22.0.0/16], protocol: tcp, ports: [22] }
      - { id: asked, action: ask, to: [a.test], protocol: tcp, ports: [23] }
      - { id: both, action: allow, to: [a.test], protocol: tcp, ports: [8443] }
      - { id: closer, action: allow, to: [a.test], protocol: https, ports: [8443] }
      - { id: no, action: deny, to: [b.test], protocol: tcp, ports: [22] }
      - { id: foreign, action: allow, agents: [other], to: [a.test], protocol: tcp, ports: [24] }
      - { id: mine, action: allow, to: [127.0.0.0/8], protocol: tcp, ports: [25], allow-loopback: true }
    """

  /// A session and what it was told.
  struct Talk {
    var session: CaptureSession
    let snapshot: PolicySnapshot
    var bytes: [UInt8] = []

    init(_ place: String, mode: Mode = .enforce) throws {
      snapshot = try Bench.snapshot(CaptureSessionTests.rules, mode: mode)
      session = CaptureSession(try CaptureSessionTests.place(place, snapshot.floor), agent: Bench.agent)
    }

    mutating func on(_ event: CaptureSession.Event) -> String {
      session.handle(event, under: snapshot, at: Bench.now).words
    }

    mutating func says(_ more: [UInt8]) -> String {
      bytes += more
      return on(.bytes(bytes))
    }
  }

  /// `name@endpoint` where the address stood for a name.
  static func place(_ text: String, _ floor: Floor) throws -> CapturedPlace {
    let parts = text.split(separator: "@")
    let endpoint = try Bench.endpoint(String(parts[parts.count - 1]))
    if parts.count == 2 { return CapturedPlace(endpoint, .name(try Hostname(String(parts[0])))) }
    return CapturedPlace(endpoint, floor.holdsFast(endpoint.address, endpoint.port) ? .address : .byClient)
  }

  struct Beginning: Sendable, CustomTestStringConvertible {
    var place: String, mode = Mode.enforce, step: String, because: String
    var testDescription: String { "\(place) \(mode): \(because)" }
  }
  static let beginnings = [
    Beginning(place: "a.test@198.18.0.9:443", step: "wait 10", because: "a rule of https asks for a hello"),
    Beginning(place: "a.test@198.18.0.9:80", step: "wait 10", because: "a rule of http asks for a request"),
    Beginning(
      place: "a.test@198.18.0.9:22", step: "tunnel a.test tcp", because: "opaque: the server may speak first"),
    Beginning(place: "11.22.3.4:22", step: "tunnel 11.22.3.4 tcp", because: "by its address"),
    Beginning(
      place: "a.test@198.18.0.9:23", step: "tunnel a.test tcp",
      because: "who is asked about it needs no bytes"),
    Beginning(place: "a.test@198.18.0.9:8443", step: "wait 10", because: "https constrains more, and wins"),
    Beginning(place: "a.test@198.18.0.9:24", step: "wait 1", because: "another agent's rule"),
    Beginning(
      place: "b.test@198.18.0.9:22", step: "wait 1", because: "denied, yet what it spoke is for the record"),
    Beginning(place: "c.test@198.18.0.9:5432", step: "wait 1", because: "nothing can open it"),
    Beginning(place: "c.test@198.18.0.9:443", step: "wait 1", because: "nothing can open this name"),
    Beginning(
      place: "c.test@198.18.0.9:443", mode: .audit, step: "wait 1", because: "nor keeps audit mode waiting"),
    Beginning(place: "11.0.0.1:443", step: "wait 10", because: "a name may come with the hello"),
    Beginning(place: "11.0.0.1:5432", step: "wait 1", because: "no rule opens a name at this port"),
    Beginning(
      place: "127.0.0.1:3128", step: "tunnel 127.0.0.1 tcp", because: "the gate's own listener: a loop"),
    Beginning(place: "11.11.0.53:53", step: "tunnel 11.11.0.53 tcp", because: "its resolver"),
    Beginning(place: "127.0.0.2:25", step: "tunnel 127.0.0.2 tcp", because: "a rule opens this machine"),
    Beginning(place: "169.254.169.254:80", step: "wait 10", because: "HTTP is told no by 403"),
  ]
  @Test(
    "Whom a rule of tcp lets through is not kept waiting, and who cannot get through, not for long",
    arguments: beginnings)
  func begin(_ c: Beginning) throws {
    var talk = try Talk(c.place, mode: c.mode)
    #expect(talk.on(.began) == c.step, "\(c.because)")
  }

  struct First: Sendable, CustomTestStringConvertible {
    var place: String, bytes: [UInt8], step: String, because: String
    var testDescription: String { "\(place): \(because)" }

    init(_ place: String, _ bytes: [UInt8], _ step: String, _ because: String) {
      (self.place, self.bytes, self.step, self.because) = (place, bytes, step, because)
    }
  }
  static let tls = "a.test@198.18.0.9:443", web = "a.test@198.18.0.9:80", literal = "11.0.0.1:443"
  static let firsts = [
    First(tls, Hello.with(Hello.serverName("a.test")), "tunnel a.test https", "the hello names the host"),
    First(tls, Hello.with(Hello.serverName("A.TEST")), "tunnel a.test https", "in another spelling"),
    First(
      tls, Hello.with(Hello.serverName("b.test")), "tunnel a.test https sni-mismatch", "it names another"),
    First(tls, Hello.with(), "tunnel a.test https sni-missing", "it names none"),
    First(
      tls, Hello.with(Hello.serverName("b.test"), Hello.encrypted),
      "tunnel a.test https encrypted-client-hello", "it hides it"),
    First(
      tls, Hello.with(Hello.serverName("a.test"), Hello.encrypted), "tunnel a.test https",
      "the outer name is the host"),
    First(
      tls, Hello.with(Hello.serverName("1.2.3.4")), "tunnel a.test https sni-malformed",
      "an address is no name"),
    First(tls, Hello.with(Hello.serverName("a.test\0")), "tunnel a.test https sni-malformed", "NUL"),
    First(
      tls, [22, 3, 1, 0, 4, 2, 0, 0, 0], "tunnel a.test https not-tls",
      "a handshake that no client begins with"),
    First(tls, [22, 1, 1], "tunnel a.test tcp not-tls", "the first byte alone is not TLS"),
    First(tls, Array("SSH-2.0-x\r\n".utf8), "tunnel a.test tcp not-tls", "opaque"),
    First(tls, [0x80, 0x2e, 1, 3, 1], "tunnel a.test tcp not-tls", "a hello of SSL 2 is not read"),
    First(
      literal, Hello.with(Hello.serverName("a.test")), "tunnel a.test https",
      "the name of the hello counts, not the address"),
    First(literal, Hello.with(), "tunnel 11.0.0.1 https", "without a name the address counts"),
    First(literal, Array("x".utf8) + [0], "tunnel 11.0.0.1 tcp not-tls", "opaque to an address"),
    First(
      "169.254.169.254:443", Hello.with(Hello.serverName("a.test")),
      "tunnel 169.254.169.254 https sni-mismatch", "no name takes metadata's place"),
    First(
      "11.11.0.1:443", Hello.with(Hello.serverName("a.test")), "tunnel 11.11.0.1 https sni-mismatch",
      "nor that of this machine"),
    First(
      web, Array("GET /x?y HTTP/1.1\r\nHost: a.test\r\n\r\n".utf8), "request GET a.test:80 /x", "a request"),
    First(
      web, Array("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n".utf8), "refuse 400 host-mismatch host-mismatch",
      "Host is another"),
    First(web, Array("GET / HTTP/1.1\r\n\r\n".utf8), "refuse 400 malformed-request host", "Host is missing"),
    First(
      web, Array("CONNECT a.test:443 HTTP/1.1\r\n\r\n".utf8), "refuse 405 method method", "no proxy is here"),
    First(
      web, Array("PRI * HTTP/2.0\r\n\r\n".utf8), "refuse 505 malformed-request version", "HTTP/2 without TLS"),
    First(
      "11.0.0.1:80", Array("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n".utf8), "request GET b.test:80 /",
      "Host names it"),
    First(
      "169.254.169.254:80", Array("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".utf8),
      "request GET 169.254.169.254:80 /", "Host does not"),
    First(
      tls, Array("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".utf8), "request GET a.test:443 /",
      "HTTP at TLS' port is decided as what it is"),
    First(web, Array("GET / HTTP/1.1\r\nHo".utf8), "read", "not whole"),
    First(tls, [22], "read", "not whole"),
    First(web, Array("GE".utf8), "read", "nothing to tell by"),
  ]
  @Test("The first bytes say what is spoken, and where they may, to whom", arguments: firsts)
  func first(_ c: First) throws {
    var whole = try Talk(c.place)
    _ = whole.on(.began)
    #expect(whole.says(c.bytes) == c.step, "\(c.because)")
    var pieces = try Talk(c.place)
    _ = pieces.on(.began)
    var step = "read"
    for byte in c.bytes where step == "read" { step = pieces.says([byte]) }
    #expect(step == c.step, "a byte at a time: \(c.because)")
  }

  struct Late: Sendable, CustomTestStringConvertible {
    var place: String, bytes: [UInt8], late: String, ended: String, because: String
    var testDescription: String { "\(place) after \(bytes.count) bytes: \(because)" }
  }
  static let lates = [
    Late(
      place: tls, bytes: [], late: "tunnel a.test tcp hello-timeout", ended: "close",
      because: "a connection in stock"),
    Late(
      place: "c.test@198.18.0.9:443", bytes: [], late: "tunnel c.test tcp hello-timeout",
      ended: "tunnel c.test tcp not-tls", because: "who asks for what nothing opens is recorded, a scan too"),
    Late(
      place: tls, bytes: [22, 3, 1, 1], late: "tunnel a.test https hello-timeout",
      ended: "tunnel a.test https not-tls", because: "half a hello"),
    Late(
      place: tls, bytes: Array("abc".utf8), late: "tunnel a.test tcp hello-timeout",
      ended: "tunnel a.test tcp not-tls", because: "words that mean nothing yet"),
    Late(
      place: web, bytes: Array("GET / HTTP/1.1\r\n".utf8), late: "refuse 408 head-timeout",
      ended: "refuse 400 malformed-request end", because: "half a head"),
  ]
  @Test("Silence and an end are decided like anything else", arguments: lates)
  func late(_ c: Late) throws {
    for (event, step) in [(CaptureSession.Event.deadline(c.bytes), c.late), (.ended(c.bytes), c.ended)] {
      var talk = try Talk(c.place)
      _ = talk.on(.began)
      if !c.bytes.isEmpty { #expect(talk.says(c.bytes) == "read") }
      #expect(talk.on(event) == step, "\(c.because)")
    }
  }

  @Test("On a kept connection every request is read anew, and held to the same place")
  func kept() throws {
    var talk = try Talk(Self.web)
    _ = talk.on(.began)
    #expect(talk.says(Array("GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n".utf8)) == "request GET a.test:80 /1")
    talk.bytes = []
    #expect(talk.on(.deadline([])) == "close" && talk.on(.ended([])) == "close")
    #expect(talk.says(Array("GET /2 HTT".utf8)) == "read")
    #expect(talk.says(Array("P/1.1\r\nHost: a.test\r\n\r\n".utf8)) == "request GET a.test:80 /2")
    talk.bytes = []
    #expect(
      talk.says(Array("SSH-2.0-x\r\n".utf8)) == "refuse 400 malformed-request request-line",
      "no second protocol")
    talk.bytes = []
    #expect(
      talk.says(Array("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n".utf8))
        == "refuse 400 host-mismatch host-mismatch")
  }
}

@Suite("A captured connection is decided by what it speaks")
struct CapturedApproachTests {
  static let rules = CaptureSessionTests.rules
  struct Case: Sendable, CustomTestStringConvertible {
    var host: String, spoken: TrafficProtocol, objection: Reason? = nil, mode = Mode.enforce,
      effects: [String],
      traffic: TrafficProtocol
    var testDescription: String { "\(host) speaks \(spoken), \(objection?.rawValue ?? "-"), \(mode)" }
  }
  static let cases = [
    Case(host: "a.test:443", spoken: .https, effects: ["resolve a.test"], traffic: .https),
    Case(
      host: "a.test:443", spoken: .https, objection: .sniMismatch,
      effects: ["deny sni-mismatch", "refuse 403 sni-mismatch"], traffic: .https),
    Case(
      host: "a.test:443", spoken: .tcp, objection: .notTLS, effects: ["deny not-tls", "refuse 403 not-tls"],
      traffic: .https),
    Case(
      host: "a.test:443", spoken: .https, objection: .sniMismatch, mode: .audit, effects: ["resolve a.test"],
      traffic: .https),
    Case(host: "a.test:22", spoken: .tcp, objection: .notTLS, effects: ["resolve a.test"], traffic: .tcp),
    Case(
      host: "a.test:22", spoken: .https, objection: .sniMissing, effects: ["resolve a.test"], traffic: .tcp),
    Case(
      host: "c.test:443", spoken: .https, objection: .sniMismatch,
      effects: ["deny no-rule", "refuse 403 no-rule"], traffic: .https),
    Case(
      host: "c.test:5432", spoken: .tcp, objection: .helloTimeout,
      effects: ["deny no-rule", "refuse 403 no-rule"], traffic: .tcp),
    Case(
      host: "c.test:5432", spoken: .tcp, objection: .helloTimeout, mode: .audit, effects: ["resolve c.test"],
      traffic: .tcp),
    Case(
      host: "11.0.0.9:5432", spoken: .tcp, objection: .notTLS, mode: .audit,
      effects: ["allow no-rule would-deny @11.0.0.9", "commit"], traffic: .tcp),
    Case(
      host: "b.test:22", spoken: .tcp, objection: .notTLS,
      effects: ["deny deny-rule", "refuse 403 deny-rule"],
      traffic: .tcp),
    Case(
      host: "a.test:23", spoken: .tcp, effects: ["ask tcp://a.test:23"], traffic: .tcp),
    Case(
      host: "127.0.0.1:3128", spoken: .tcp, mode: .audit,
      effects: ["deny self-address", "refuse 403 self-address"],
      traffic: .tcp),
  ]
  @Test(
    "The rule that wins says what is carried; without one, what was spoken stands in the record",
    arguments: cases)
  func judge(_ c: Case) throws {
    var bench = try ApproachBench(
      .captured(c.spoken, objection: c.objection), to: c.host, under: Self.rules, mode: c.mode)
    #expect(bench.on(.begin) == c.effects)
    #expect(bench.approach.flow.destination.traffic == c.traffic)
  }

  @Test("Audit mode lets a wrong hello pass, says so, and enforce mode ends it later")
  func audit() throws {
    var bench = try ApproachBench(
      .captured(.https, objection: .sniMismatch), to: "a.test", under: Self.rules, mode: .audit)
    #expect(bench.on(.begin) == ["resolve a.test"])
    #expect(try bench.resolve("11.11.0.10") == ["allow sni-mismatch would-deny @11.11.0.10", "commit"])
    let enforcing = try Bench.snapshot(Self.rules)
    #expect(enforcing.objection(to: bench.approach.flow, at: Bench.now) == .revoked)
  }

  @Test("What the hello is denied for is recorded where CONNECT's is")
  func layer() throws {
    var bench = try ApproachBench(
      .captured(.https, objection: .sniMissing), to: "a.test", under: Self.rules)
    let effects = bench.approach.handle(.begin, under: bench.snapshot, at: Bench.moment)
    guard case .record(.decision(let record))? = effects.first else {
      Issue.record("no record")
      return
    }
    #expect(record.layer == .sni && record.rule == RuleID("tls"))
  }
}

import Addressing
import Audit
import EventLoop
import Policy
import Testing
import Wire

@testable import Gateway

/// One exchange, and what it does about each event, in words.
struct ExchangeBench {
  var session: ExchangeSession
  var mode = Mode.enforce

  init(_ head: String, behind: String = "", limits: Limits = .none) throws {
    let bytes = Array(head.utf8)
    let (parsed, length) = try #require(try RequestHead.parse(bytes[...]))
    try #require(length == bytes.count)
    let snapshot = try Bench.snapshot("  - { id: w, action: allow, to: [a.test], protocol: http }")
    let rule = Rule(id: try #require(RuleID("w")), action: .allow, to: [], ports: [], limits: limits)
    session = ExchangeSession(
      try Bench.flow(to: "a.test:80", .http, rule: "w", under: snapshot), parsed, behind: Array(behind.utf8),
      account: Ledger().account(of: Bench.agent, under: rule))
  }

  static func get(_ fields: String = "", method: String = "GET", version: String = "1.1") -> String {
    "\(method) http://a.test/ HTTP/\(version)\r\nHost: a.test\r\n\(fields)\r\n"
  }

  mutating func on(_ event: ExchangeSession.Event) -> [String] {
    session.handle(event, in: mode, at: Bench.now).map(\.words)
  }
  mutating func connect() -> [String] { on(.connected(Bench.endpoint)) }
  mutating func client(_ text: String) -> [String] { on(.clientBytes(Array(text.utf8)[...])) }
  mutating func upstream(_ text: String) -> [String] { on(.upstreamBytes(Array(text.utf8)[...])) }
}

extension [String] {
  /// Each without its byte counts and without the fields of a head, to its first line.
  fileprivate var parts: (ends: [String], rest: [String]) {
    (short.filter { $0.hasPrefix("close ") }, short.filter { !$0.hasPrefix("close ") })
  }

  fileprivate var short: [String] {
    map { line in
      let first = line.split(separator: "\r\n", omittingEmptySubsequences: false).first.map(String.init) ?? ""
      return first.hasPrefix("close ") ? first.split(separator: " ").prefix(2).joined(separator: " ") : first
    }
  }
}

@Suite("One request and its response")
struct ExchangeSessionTests {
  @Test("HTTP-18: the head is built anew, without what speaks to the gate")
  func head() throws {
    var bench = try ExchangeBench(
      ExchangeBench.get(
        "Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX: y\r\n"))
    #expect(
      bench.connect() == [
        "up GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\nVia: 1.1 exitgate\r\nConnection: close\r\n\r\n"
      ])
  }

  @Test("HTTP-03: a whole exchange leaves the connection for the next request, with what is known of it")
  func keepAlive() throws {
    var bench = try ExchangeBench(ExchangeBench.get(), behind: "GET http://b.test/ HT")
    _ = bench.connect()
    #expect(
      bench.upstream("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") == [
        "down HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 exitgate\r\n\r\n", "close finished 70/59",
        "down hi", "next GET http://b.test/ HT",
      ])
    #expect(bench.session.isFinished)
    #expect(bench.upstream("HTTP/1.1 200 OK\r\n\r\n") == [], "what the upstream says more is for nobody")
    #expect(bench.client("x") == [] && bench.on(.deadline) == [] && bench.on(.revoked(.revoked)) == [])
  }

  struct Framing: Sendable, CustomTestStringConvertible {
    var method = "GET", version = "1.1", fields = "", answer: String, ends: Bool = false
    var passed: [String], last: String
    var testDescription: String { "\(method) \(version) \(answer.debugDescription)" }
  }
  static let framings = [
    Framing(
      answer: "HTTP/1.1 204 No Content\r\n\r\nSTRAY", passed: ["down HTTP/1.1 204 No Content"], last: "next "),
    Framing(
      answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nSTRAY",
      passed: ["down HTTP/1.1 304 Not Modified"], last: "next "),
    Framing(
      method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTRAY",
      passed: ["down HTTP/1.1 200 OK"], last: "next "),
    Framing(
      answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiSTRAY",
      passed: ["down HTTP/1.1 200 OK", "down hi"],
      last: "next "),
    Framing(
      answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nT: x\r\n\r\nSTRAY",
      passed: ["down HTTP/1.1 200 OK", "down 2"], last: "next "),
    Framing(
      answer: "HTTP/1.1 200 OK\r\n\r\nhi", ends: true, passed: ["down HTTP/1.1 200 OK", "down 2", "down 0"],
      last: "next "),
    Framing(
      version: "1.0", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
      passed: ["down HTTP/1.1 200 OK", "down hi"], last: "close"),
    Framing(
      version: "1.0", answer: "HTTP/1.0 200 OK\r\n\r\nhi", ends: true,
      passed: ["down HTTP/1.1 200 OK", "down hi"], last: "close"),
    Framing(
      fields: "Connection: close\r\n", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      passed: ["down HTTP/1.1 200 OK"], last: "close"),
  ]
  @Test(
    "HTTP-26: every framing of a response is rebuilt, and bytes behind it go nowhere", arguments: framings)
  func framing(_ c: Framing) throws {
    var bench = try ExchangeBench(ExchangeBench.get(c.fields, method: c.method, version: c.version))
    _ = bench.connect()
    var effects = bench.upstream(c.answer)
    if c.ends { effects += bench.on(.upstreamClosed) }
    #expect(!effects.contains { $0.contains("STRAY") })
    #expect(effects.parts.ends == ["close finished"] && effects.parts.rest == c.passed + [c.last])
  }

  @Test("A response that comes a byte at a time is the same response")
  func trickle() throws {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    var bench = try ExchangeBench(ExchangeBench.get())
    _ = bench.connect()
    let effects = answer.utf8.flatMap { bench.on(.upstreamBytes([$0])) }
    #expect(effects.parts.rest == ["down HTTP/1.1 200 OK", "down 1", "down 1", "down 0", "next "])
  }

  static let torn: [(String, Bool)] = [
    ("", false), ("HTTP/1.1 20", false), ("HTTP/1.1 103 Early Hints\r\n\r\n", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart", true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n0\r\n", true),
  ]
  @Test("A response that ends too soon is 502 before it began, and a cut after", arguments: torn)
  func tears(_ answer: String, _ hasBegun: Bool) throws {
    for (event, reason) in [
      (ExchangeSession.Event.upstreamClosed, "bad-upstream"), (.upstreamFailed, "upstream-reset"),
    ] {
      var bench = try ExchangeBench(ExchangeBench.get())
      _ = bench.connect()
      if !answer.isEmpty { _ = bench.upstream(answer) }
      let cut = ["close \(reason)", "cut"], refused = ["close bad-upstream", "refuse 502 bad-upstream"]
      #expect(bench.on(event).short == (hasBegun ? cut : refused))
    }
  }

  static let hostile = [
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n", "SSH-2.0-x\r\n",
    "HTTP/1.1 200 OK\nX: y\n\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nRAW",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    String(repeating: "HTTP/1.1 102 Processing\r\n\r\n", count: 9),
    String(repeating: "HTTP/1.1 102 Processing\r\n\r\n", count: 5000),
  ]
  @Test(
    "HTTP-26: an upstream that is not to be read in one way is 502, whatever came with it", arguments: hostile
  )
  func refuses(_ answer: String) throws {
    var bench = try ExchangeBench(ExchangeBench.get())
    _ = bench.connect()
    #expect(bench.upstream(answer).short == ["close bad-upstream", "refuse 502 bad-upstream"])
  }

  @Test("A chunk that is none, behind a response that began, cuts it")
  func lateChunk() throws {
    var bench = try ExchangeBench(ExchangeBench.get())
    _ = bench.connect()
    _ = bench.upstream("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
    #expect(bench.upstream("zz\r\n").short == ["close bad-upstream", "cut"])
  }

  @Test("HTTP-26: eight interim responses are taken and kept from the client")
  func interim() throws {
    var bench = try ExchangeBench(ExchangeBench.get())
    _ = bench.connect()
    for _ in 0..<8 { #expect(bench.upstream("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n") == []) }
    #expect(
      bench.upstream("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").short == [
        "down HTTP/1.1 200 OK", "close finished", "next ",
      ])
  }

  // MARK: - The request's body

  @Test("HTTP-16: the client that waits for 100 gets it, and one that does not is spared it")
  func expect() throws {
    var waiting = try ExchangeBench(
      ExchangeBench.get("Expect: 100-continue\r\nContent-Length: 3\r\n", method: "POST"))
    #expect(waiting.connect().first?.contains("Expect: 100-continue\r\n") == true)
    #expect(waiting.upstream("HTTP/1.1 100 Continue\r\n\r\n") == ["down HTTP/1.1 100 Continue\r\n\r\n"])
    #expect(waiting.client("abc") == ["up abc"])
    var other = try ExchangeBench(ExchangeBench.get("Content-Length: 3\r\n", method: "POST"))
    _ = other.connect()
    #expect(other.upstream("HTTP/1.1 100 Continue\r\n\r\n") == [])
  }

  @Test("HTTP-16: a final response before the body ends the connection, and says so")
  func early() throws {
    let fields = "Expect: 100-continue\r\nContent-Length: 30\r\n"
    for behind in ["", "part"] {
      var bench = try ExchangeBench(ExchangeBench.get(fields, method: "POST"), behind: behind)
      _ = bench.connect()
      let effects = bench.upstream("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
      #expect(effects.parts.rest == ["down HTTP/1.1 413 Too Large", "down no", "close"])
      #expect(effects.first?.contains("Connection: close\r\n") == true)
      #expect(bench.session.awaitsBody, "the client may still be sending")
    }
  }

  struct Body: Sendable, CustomTestStringConvertible {
    var fields: String, pieces: [String], up: [String], behind: String
    var testDescription: String { "\(fields.debugDescription) \(pieces)" }
  }
  static let bodies = [
    Body(fields: "Content-Length: 5\r\n", pieces: ["ab", "cdeGET"], up: ["up ab", "up cde"], behind: "GET"),
    Body(
      fields: "Transfer-Encoding: chunked\r\n", pieces: ["2;x\r\nab\r\n", "0\r\nT: x\r\n\r\nGET"],
      up: ["up 2\r\nab\r\n", "up 0\r\n\r\n"], behind: "GET"),
    Body(fields: "Content-Length: 0\r\n", pieces: ["GET"], up: [], behind: "GET"),
  ]
  @Test("HTTP-04: what is behind a body is the next request and never goes up", arguments: bodies)
  func body(_ c: Body) throws {
    for all in [false, true] {
      var bench = try ExchangeBench(
        ExchangeBench.get(c.fields, method: "POST"), behind: all ? c.pieces.joined() : "")
      var up = bench.connect().dropFirst().map { $0 }
      if !all { for piece in c.pieces { up += bench.client(piece) } }
      if !all { #expect(up == c.up) }
      #expect(!up.joined().contains("GET") && !up.joined().contains("T: x"))
      let end = bench.upstream("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
      #expect(end.last == "next \(c.behind)")
    }
  }

  @Test("HTTP-08: a chunk that is none ends the request before it is whole")
  func badChunk() throws {
    for piece in ["0x2\r\nab\r\n", "2\r\nabX\r\n0\r\n\r\n", "-2\r\n", "FFFFFFFFFFFFFFFF5\r\n"] {
      var bench = try ExchangeBench(ExchangeBench.get("Transfer-Encoding: chunked\r\n", method: "POST"))
      _ = bench.connect()
      let effects = bench.client(piece)
      #expect(effects.short == ["close malformed-request", "refuse 400 malformed-request"], "\(piece)")
    }
  }

  @Test(
    "A client that shuts its sending side behind a whole request gets its response; in the middle, nobody does"
  )
  func halfClose() throws {
    var whole = try ExchangeBench(ExchangeBench.get())
    _ = whole.connect()
    #expect(whole.on(.clientClosed) == [])
    #expect(whole.upstream("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").short.last == "next ")
    var part = try ExchangeBench(ExchangeBench.get("Content-Length: 5\r\n", method: "POST"), behind: "ab")
    _ = part.connect()
    #expect(part.on(.clientClosed).short == ["close client-reset", "cut"])
  }

  @Test("DOS-05: no more than a head and one read of pipelined requests is kept")
  func pipelined() throws {
    var bench = try ExchangeBench(ExchangeBench.get())
    _ = bench.connect()
    #expect(bench.session.wantsClientBytes)
    _ = bench.client(String(repeating: "x", count: 16 * 1024))
    #expect(!bench.session.wantsClientBytes && bench.session.wantsUpstreamBytes)
  }

  // MARK: - Upgrades

  static let upgrade =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"
  static let switching =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

  @Test("HTTP-14: an upgrade that was asked for and granted is relayed, with what both sides sent early")
  func websocket() throws {
    var bench = try ExchangeBench(ExchangeBench.get(Self.upgrade), behind: "early")
    #expect(bench.connect().first?.contains("Upgrade: websocket\r\n") == true)
    let effects = bench.session.handle(
      .upstreamBytes(Array((Self.switching + "back").utf8)[...]), in: .enforce, at: Bench.now)
    guard case .relay(let handover)? = effects.last, effects.count == 1 else {
      throw GaveUp(description: "\(effects.map(\.words))")
    }
    #expect(handover.endpoint == Bench.endpoint && handover.toUpstream == Array("early".utf8))
    #expect(handover.bytesOut > 0 && handover.bytesIn == 0, "the head that went up is in the record")
    let answer = String(decoding: handover.toClient, as: UTF8.self)
    #expect(answer.hasPrefix("HTTP/1.1 101 ") && answer.hasSuffix("\r\n\r\nback"))
    #expect(
      bench.session.isFinished && bench.on(.revoked(.revoked)) == [], "the relay is recorded by another")
  }

  @Test("HTTP-14: an upgrade that the upstream declines stays a request")
  func declined() throws {
    var bench = try ExchangeBench(ExchangeBench.get(Self.upgrade), behind: "RAW")
    _ = bench.connect()
    #expect(
      bench.upstream("HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n").short == [
        "down HTTP/1.1 426 No", "close finished", "next RAW",
      ])
  }

  // MARK: - Ends

  struct End: Sendable {
    var event: ExchangeSession.Event, before: [String], within: [String]
  }
  static let ends = [
    End(
      event: .revoked(.revoked), before: ["close revoked", "refuse 403 revoked"],
      within: ["close revoked", "cut"]),
    End(
      event: .revoked(.expired), before: ["close expired", "refuse 403 expired"],
      within: ["close expired", "cut"]),
    End(event: .stopped, before: ["close shutdown", "cut"], within: ["close shutdown", "cut"]),
    End(event: .clientFailed, before: ["close client-reset", "cut"], within: ["close client-reset", "cut"]),
    End(
      event: .deadline, before: ["close connection-timeout", "refuse 504 connection-timeout"],
      within: ["close idle", "cut"]),
    End(
      event: .durationPassed, before: ["close duration-limit", "refuse 403 duration-limit"],
      within: ["close duration-limit", "cut"]),
  ]
  @Test("AUD-06: whatever ends an exchange, there is one end in the log, and an answer if none had begun")
  func endings() throws {
    for c in Self.ends {
      var before = try ExchangeBench(ExchangeBench.get())
      _ = before.connect()
      #expect(before.on(c.event).short == c.before)
      #expect(before.on(c.event) == [] && before.on(.clientFailed) == [])
      var within = try ExchangeBench(ExchangeBench.get())
      _ = within.connect()
      _ = within.upstream("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
      #expect(within.on(c.event).short == c.within)
      #expect(within.on(c.event) == [])
    }
  }

  @Test("DOS-01: a body that does not come is 408")
  func slowBody() throws {
    var bench = try ExchangeBench(ExchangeBench.get("Content-Length: 5\r\n", method: "POST"))
    _ = bench.connect()
    #expect(bench.on(.deadline).short == ["close body-timeout", "refuse 408 body-timeout"])
  }

  @Test("A budget of bytes sent ends the request before the byte that is too many")
  func bytesOut() throws {
    var head = try ExchangeBench(ExchangeBench.get(), limits: Limits(bytesOut: 10))
    #expect(head.connect() == ["close bytes-out-limit 0/0", "refuse 403 bytes-out-limit"])
    var body = try ExchangeBench(
      ExchangeBench.get("Content-Length: 50\r\n", method: "POST"), limits: Limits(bytesOut: 120))
    #expect(body.connect().count == 1)
    #expect(
      body.client(String(repeating: "a", count: 40)).short == [
        "close bytes-out-limit", "refuse 403 bytes-out-limit",
      ])
  }

  @Test("A budget of bytes received cuts the response, or answers in its place")
  func bytesIn() throws {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"
    var whole = try ExchangeBench(ExchangeBench.get(), limits: Limits(bytesIn: 100))
    _ = whole.connect()
    #expect(
      whole.upstream(answer + String(repeating: "a", count: 50)).short == [
        "close bytes-in-limit", "refuse 403 bytes-in-limit",
      ])
    var later = try ExchangeBench(ExchangeBench.get(), limits: Limits(bytesIn: 100))
    _ = later.connect()
    #expect(later.upstream(answer).short == ["down HTTP/1.1 200 OK"])
    #expect(later.upstream(String(repeating: "a", count: 50)).short == ["close bytes-in-limit", "cut"])
  }
}

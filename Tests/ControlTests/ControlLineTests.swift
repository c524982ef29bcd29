import Control
import Policy
import Testing

@Suite("Control messages")
struct ControlLineTests {
  static let order = AnswerOrder(
    id: "aaaaaaaaaaaaaaaa", generation: 7, digest: "00ff", scope: "time", seconds: 3600,
    note: "\u{1b}[2J for the docs", channel: "page")
  static let everyRequest: [ControlRequest] = [
    .status, .reload, .stop(nil), .stop(.default), .resume(nil), .resume(AgentName("ci")), .pending, .granted,
    .follow, .attend, .here(7), .approve(order), .refuse(order), .wait(id: "a"), .revoke(id: "b"),
  ]

  @Test("every verb is among those that the tests know")
  func verbs() { #expect(Set(Self.everyRequest.map(\.verb)) == Set(ControlRequest.Verb.allCases)) }

  @Test("every request survives the way there", arguments: everyRequest)
  func requests(_ request: ControlRequest) throws {
    let line = request.line()
    #expect(line.last == UInt8(ascii: "\n"))
    #expect(try ControlRequest(line: Array(line.dropLast())) == request)
  }

  static let question = {
    var question = PendingStatus(
      id: "aaaaaaaaaaaaaaaa", agent: "ci",
      places: [
        .init(host: "x.test", port: 443, traffic: "https", rule: "q", candidate: "{ id: x }"),
        .init(host: "y.test", port: 80, traffic: "http", method: "GET", path: "/\u{202e}"),
      ], domain: "x.test", since: "2026-11-29T21:00:00.000Z", last: "2026-11-29T21:00:00.000Z", count: 2,
      waiting: 1,
      generation: 3, digest: "00ff", offers: ["once", "refuse"])
    question.addresses = ["192.0.2.1"]
    (question.heldUntil, question.expires) = ("2026-11-29T21:00:08.000Z", "2026-11-29T21:10:00.000Z")
    question.program = "evil \u{1b}[2J"
    question.workingDirectory = "/work"
    return question
  }()

  static let replies: [ControlReply] = [
    .question(question), .listed(1), .answered("allowed"), .revoked(2),
    .grant(
      GrantStatus(
        id: "a", scope: "time", isAllowing: true, agent: "ci", places: ["https://x.test:443"], by: "user 0")),
    .closed(ClosedStatus(id: "a", outcome: "expired", sentence: "nobody asked any more")),
    .status(.sample),
    .reloaded(
      ReloadReport(generation: 7, rules: 12, enforcing: true, closed: 3, warnings: ["a.yaml:1:2: b. C."])),
    .reloadRefused(problems: ["a.yaml:3:4: \u{1b}[2J is no key. Remove it.", "\u{202e}"]),
    .stopped(StopReport(order: StopOrder(everybody: true), closed: 9, warnings: ["it does not last"])),
    .stopped(StopReport(order: StopOrder(agents: [.default]))),
    .refused("no such thing"),
  ]

  @Test("every reply survives the way back", arguments: replies)
  func roundTrip(_ reply: ControlReply) throws {
    let line = reply.line()
    #expect(line.count(where: { $0 == UInt8(ascii: "\n") }) == 1)
    #expect(try ControlReply(line: Array(line.dropLast())) == reply)
  }

  struct Refusal: Sendable, CustomTestStringConvertible {
    var line: String, error: ControlError, because: String
    var testDescription: String { because }
  }
  static let refusals = [
    Refusal(line: "", error: .notAnObject, because: "nothing at all"),
    Refusal(line: "status", error: .notAnObject, because: "a bare word"),
    Refusal(line: "[]", error: .notAnObject, because: "no object"),
    Refusal(line: #"{"exitgate":1,"request":"status"} {}"#, error: .notAnObject, because: "two values"),
    Refusal(line: #"{"request":"status"}"#, error: .field("exitgate"), because: "no version"),
    Refusal(line: #"{"exitgate":2,"request":"status"}"#, error: .version, because: "a later version"),
    Refusal(line: #"{"exitgate":1}"#, error: .field("request"), because: "no verb"),
    Refusal(
      line: #"{"exitgate":1,"request":["status"]}"#, error: .field("request"),
      because: "a verb of another kind"),
    Refusal(line: #"{"exitgate":1,"request":"STATUS"}"#, error: .unknownRequest, because: "verbs are exact"),
    Refusal(
      line: #"{"exitgate":1,"request":"reload","path":"../../etc/passwd"}"#, error: .unknownField,
      because: "a field that nobody reads must not look as if it counted"),
    Refusal(
      line: #"{"exitgate":1,"request":"status","request":"reload"}"#, error: .notAnObject,
      because: "a verb said twice could be read as either"),
    Refusal(
      line: "{\"exitgate\":1,\"request\":\"status\u{0}\"}", error: .notAnObject, because: "a raw NUL in text"),
    Refusal(
      line: String(repeating: "[", count: 10_000), error: .notAnObject, because: "10,000 levels deep"),
    Refusal(
      line: #"{"exitgate":1,"request":"status","agent":"../../etc"}"#, error: .unknownField,
      because: "an agent's name is no path"),
    Refusal(
      line: #"{"exitgate":1,"request":"stop-all","agent":"../../etc"}"#, error: .field("agent"),
      because: "an agent that cannot be is not everybody"),
    Refusal(
      line: String(repeating: " ", count: 70_000), error: .tooLong, because: "longer than any message"),
  ]

  @Test("CTL-15: what is no request is refused, whatever it nests or hides", arguments: refusals)
  func refused(_ refusal: Refusal) {
    #expect(throws: refusal.error) { try ControlRequest(line: Array(refusal.line.utf8)) }
  }

  @Test("a reply to which a newer gate added fields is still read")
  func laterFields() throws {
    let line = #"{"exitgate":1,"refused":"busy","retry_after":3}"#
    #expect(try ControlReply(line: Array(line.utf8)) == .refused("busy"))
  }

  @Test("no cut or flipped byte of a status traps or passes for another kind of reply")
  func damagedReplies() {
    let line = Array(ControlReply.status(.sample).line().dropLast())
    for length in stride(from: 0, to: line.count, by: 7) {
      #expect(throws: ControlError.self) { try ControlReply(line: Array(line.prefix(length))) }
    }
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<500 {
      var damaged = line
      damaged[Int.random(in: damaged.indices, using: &generator)] = UInt8.random(
        in: 0...255, using: &generator)
      guard let reply = try? ControlReply(line: damaged) else { continue }
      guard case .status = reply else {
        Issue.record("read as \(reply)")
        return
      }
    }
  }
}

@Suite("The bound on messages")
struct ControlBoundTests {
  @Test("CTL-15: a status of any size fits a message, and says that it was cut")
  func hugeStatus() throws {
    var status = GateStatus.sample
    status.listeners = Array(
      repeating: ListenerStatus(address: "unix:/" + String(repeating: "\u{fc}", count: 100)), count: 5000)
    status.policy.lastError = String(repeating: "\u{1b}", count: 1_000_000)
    let line = ControlReply.status(status).line()
    #expect(line.count <= ControlProtocol.maximumLength)
    guard case .status(let read) = try ControlReply(line: Array(line.dropLast())) else {
      Issue.record("no status")
      return
    }
    #expect(read.isCut)
    #expect(read.listeners.count >= 16)
    #expect(read.policy.lastError?.hasSuffix("\u{2026}") == true)
  }

  @Test("a status that fits is not cut")
  func ordinaryStatus() throws {
    #expect(try ControlReply(line: Array(ControlReply.status(.sample).line().dropLast())) == .status(.sample))
  }

  @Test("ten thousand problems become as many as fit and a count of the others")
  func hugeReload() throws {
    let problems = (1...10_000).map { "policy.yaml:\($0):1: unknown key 'x'. Remove it." }
    let line = ControlReply.reloadRefused(problems: problems).line()
    #expect(line.count <= ControlProtocol.maximumLength)
    guard case .reloadRefused(let read) = try ControlReply(line: Array(line.dropLast())) else {
      Issue.record("no refusal")
      return
    }
    #expect(read.first == problems.first)
    #expect(read.last == "and \(10_000 - (read.count - 1)) more")
  }
}

@Suite("What a status says")
struct GateStatusTests {
  @Test("CTL-16: in audit mode the first thing said is that nothing is enforced")
  func auditMode() throws {
    var status = GateStatus.sample
    #expect(status.warning == nil)
    status.policy.mode = .audit
    #expect(status.warning?.hasPrefix("NOT ENFORCING") == true)
    let line = String(decoding: ControlReply.status(status).line(), as: UTF8.self)
    #expect(line.contains(#""enforcing":false"#))
    #expect(line.contains("NOT ENFORCING"))
  }

  @Test("AUD-02: a status holds printable ASCII only, whatever the paths and errors hold")
  func printable() {
    var status = GateStatus.sample
    status.policy.lastError = "\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}2J\u{202e}\u{2028}\r\n"
    status.audit.path = "/tmp/\u{7f}\u{85}"
    let line = ControlReply.status(status).line()
    #expect(line.dropLast().allSatisfy { (0x20..<0x7f).contains($0) })
  }
}

extension GateStatus {
  /// A status with something in every field.
  static var sample: GateStatus {
    GateStatus(
      pid: 4711, version: "1.0.0", uptime: .milliseconds(90_061_007),
      policy: PolicyStatus(
        path: "/etc/exitgate/policy.yaml", mode: .enforce, generation: 3,
        loadedAt: Timestamp(milliseconds: 1_795_000_000_123), rules: 42, lastError: "line 3: bad"),
      listeners: [
        ListenerStatus(address: "127.0.0.1:3128", accepted: 10),
        ListenerStatus(address: "unix:/run/x.sock", agent: .default, accepted: 2, paused: true),
      ],
      agents: [.default],
      decisions: [
        DecisionCount(verdict: .allow, reason: .allowed, count: 8),
        DecisionCount(verdict: .deny, reason: .noRule, count: 4),
      ],
      connections: ConnectionStatus(
        open: 3, accepted: 12, finished: 9, bytesOut: 1 << 40, bytesIn: 77, longest: .seconds(86_400)),
      audit: AuditStatus(
        path: "/var/log/exitgate/audit.jsonl", available: false, records: 12, bytes: 4096, collapsed: 5,
        lastError: "No space left on device"),
      resolver: ResolverStatus(
        upstreams: [
          UpstreamStatus(address: "127.0.0.53:53", latency: .microseconds(1234), queries: 5),
          UpstreamStatus(
            address: "10.0.0.2:853", certificateName: "dns.corp.example", zone: "corp.example", isDown: true,
            queries: 1, timeouts: 2, failures: 3, cause: "its certificate is refused: certificate has expired"
          ),
        ], lookups: 9, cached: 4, queries: 6, failures: 1),
      loops: [LoopStatus(channels: 4, accepted: 6), LoopStatus(channels: 3, accepted: 6)])
  }
}

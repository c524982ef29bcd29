import Addressing
import Audit
import EventLoop
import Policy
import Testing

@testable import Gateway

/// An approach, and what it does about each event, in words.
struct ApproachBench {
  var approach: Approach
  var snapshot: PolicySnapshot

  init(_ subject: Approach.Subject = .tunnel, to host: String, under rules: String, mode: Mode = .enforce)
    throws
  {
    snapshot = try Bench.snapshot(rules, mode: mode)
    approach = Approach(subject, to: try Bench.authority(host), from: Bench.origin, id: 42, at: Bench.now)
  }

  mutating func on(_ event: Approach.Event) -> [String] {
    approach.handle(event, under: snapshot, at: Bench.moment).map(\.words)
  }

  /// The name resolves to these.
  mutating func resolve(_ addresses: String..., chain: [String] = []) throws -> [String] {
    let resolution = Resolution(
      addresses: try addresses.map(Bench.address), chain: try chain.map { try Hostname($0) }, fromHosts: false
    )
    return on(.resolved(.success(resolution)))
  }
}

@Suite("The way to an upstream: decide, reserve, resolve, admit, record, dial")
struct ApproachTests {
  static let tls = "  - { id: tls, action: allow, to: [a.test], protocol: https }"
  static let allowed = ["allow rule @11.11.0.10", "commit"]

  @Test("AUD-07: what is allowed is recorded, and the record written, before anything is dialled")
  func order() throws {
    var bench = try ApproachBench(to: "a.test", under: Self.tls)
    #expect(bench.on(.begin) == ["resolve a.test"])
    #expect(try bench.resolve("11.11.0.10", "11.11.0.11") == Self.allowed)
    #expect(bench.on(.recorded(true)) == ["dial 11.11.0.10,11.11.0.11 443"])
    #expect(bench.on(.dialed(.success(Bench.endpoint), toSelf: false)) == ["connected 11.11.0.10:443"])
    #expect(
      bench.on(.dialed(.success(Bench.endpoint), toSelf: false)) == [], "nothing follows the last effect")
    #expect(bench.on(.revoked(.revoked)) == [])
  }

  /// What a policy says about one destination at once.
  struct Case: Sendable, CustomTestStringConvertible {
    var host: String, rules: String, mode = Mode.enforce, effects: [String]
    var testDescription: String { "\(host) \(mode): \(effects.joined(separator: ", "))" }
  }
  static let judged = [
    Case(host: "b.test", rules: tls, effects: ["deny no-rule", "refuse 403 no-rule"]),
    Case(host: "b.test", rules: tls, mode: .audit, effects: ["resolve b.test"]),
    Case(
      host: "a.test", rules: "  - { id: d, action: deny, to: [a.test] }\n" + tls,
      effects: ["deny deny-rule", "refuse 403 deny-rule"]),
    Case(
      host: "a.test", rules: "  - { id: q, action: ask, to: [a.test] }",
      effects: ["ask https://a.test:443"]),
    Case(
      host: "a.test", rules: "  - { id: q, action: ask, to: [a.test] }", mode: .audit,
      effects: ["resolve a.test"]),
    Case(
      host: "169.254.169.254", rules: tls, effects: ["deny special-address", "refuse 403 special-address"]),
    Case(
      host: "169.254.169.254", rules: tls, mode: .audit,
      effects: ["deny special-address", "refuse 403 special-address"]),
    Case(host: "11.11.0.1", rules: tls, effects: ["deny self-address", "refuse 403 self-address"]),
    Case(
      host: "10.0.0.5", rules: "  - { id: p, action: allow, to: [10.0.0.0/8] }",
      effects: ["deny private-address", "refuse 403 private-address"]),
    Case(
      host: "11.11.0.10", rules: "  - { id: p, action: allow, to: [11.11.0.0/24] }",
      effects: ["allow rule @11.11.0.10", "commit"]),
    Case(
      host: "11.11.0.10", rules: tls, mode: .audit,
      effects: ["allow no-rule would-deny @11.11.0.10", "commit"]),
    Case(
      host: "a.test", rules: "  - { id: l, action: allow, to: [a.test], limits: { connections: 1 } }",
      effects: ["reserve"]),
  ]
  @Test("Each verdict has its record and its answer, and a denial asks nobody anything", arguments: judged)
  func judge(_ c: Case) throws {
    var bench = try ApproachBench(to: c.host, under: c.rules, mode: c.mode)
    #expect(bench.on(.begin) == c.effects)
  }

  @Test("DOS-04: a rule's connections are counted before a name is resolved")
  func reserve() throws {
    let rule = "  - { id: l, action: allow, to: [a.test], limits: { connections: 1 } }"
    var first = try ApproachBench(to: "a.test", under: rule)
    _ = first.on(.begin)
    #expect(first.on(.reserved(true)) == ["resolve a.test"])
    var second = try ApproachBench(to: "a.test", under: rule)
    _ = second.on(.begin)
    #expect(second.on(.reserved(false)) == ["deny connection-limit", "refuse 503 connection-limit"])
    #expect(second.on(.reserved(true)) == [])
  }

  @Test(
    "A rule whose bytes are used up asks nobody and dials nobody",
    arguments: [Reason.bytesOutLimit, .bytesInLimit])
  func spent(_ reason: Reason) throws {
    let rule = "  - { id: l, action: allow, to: [a.test], limits: { bytes-out: 10B, bytes-in: 10B } }"
    var bench = try ApproachBench(to: "a.test", under: rule)
    #expect(bench.on(.begin) == ["reserve"])
    #expect(bench.on(.spent(reason)) == ["deny \(reason.rawValue)", "refuse 403 \(reason.rawValue)"])
  }

  static let failures: [(ResolveFailure, String)] = [
    (.nameDoesNotExist, "502 dns-error"), (.noAddresses, "502 dns-error"), (.serverFailure, "502 dns-error"),
    (.timeout, "504 dns-timeout"), (.badResponse, "502 dns-error"), (.chainTooLong, "502 dns-error"),
  ]
  @Test("OPS-07: without an address nothing is dialled, and the records say so", arguments: failures)
  func resolverTrouble(_ failure: ResolveFailure, _ answer: String) throws {
    var bench = try ApproachBench(to: "a.test", under: Self.tls)
    _ = bench.on(.begin)
    let word = answer.dropFirst(4)
    #expect(
      bench.on(.resolved(.failure(failure))) == ["allow rule", "close \(word) 0/0", "refuse \(answer)"])
    #expect(try bench.resolve("11.11.0.10") == [], "an answer that comes later opens nothing")
  }

  @Test("A name without a single address is a failure, not a leave to dial")
  func empty() throws {
    var bench = try ApproachBench(to: "a.test", under: Self.tls)
    _ = bench.on(.begin)
    #expect(try bench.resolve() == ["allow rule", "close dns-error 0/0", "refuse 502 dns-error"])
  }

  struct Address: Sendable, CustomTestStringConvertible {
    var addresses: [String], effects: [String]
    var testDescription: String { addresses.joined(separator: ", ") }
  }
  static let addresses = [
    Address(
      addresses: ["127.0.0.1"], effects: ["deny special-address @127.0.0.1", "refuse 403 special-address"]),
    Address(
      addresses: ["169.254.169.254"],
      effects: ["deny special-address @169.254.169.254", "refuse 403 special-address"]),
    Address(
      addresses: ["10.0.0.5"], effects: ["deny private-address @10.0.0.5", "refuse 403 private-address"]),
    Address(addresses: ["11.11.0.1"], effects: ["deny self-address @11.11.0.1", "refuse 403 self-address"]),
    Address(addresses: ["10.0.0.5", "11.11.0.10"], effects: allowed),
    Address(addresses: ["11.11.0.10", "127.0.0.1"], effects: allowed),
  ]
  @Test("The floor judges each address, in both modes, and the others are dialled", arguments: addresses)
  func floor(_ c: Address) throws {
    for mode in [Mode.enforce, .audit] {
      var bench = try ApproachBench(to: "a.test", under: Self.tls, mode: mode)
      _ = bench.on(.begin)
      let found = Resolution(addresses: try c.addresses.map(Bench.address), chain: [], fromHosts: false)
      #expect(bench.on(.resolved(.success(found))) == c.effects, "\(mode)")
      if c.effects == Self.allowed { #expect(bench.on(.recorded(true)) == ["dial 11.11.0.10 443"]) }
    }
  }

  static let alias = tls + "\n  - { id: bad, action: deny, to: [bad.test] }"

  @Test("A chain through a denied name is denied")
  func chain() throws {
    var bench = try ApproachBench(to: "a.test", under: Self.alias)
    _ = bench.on(.begin)
    #expect(
      try bench.resolve("11.11.0.10", chain: ["x.test", "bad.test"]) == [
        "deny cname-denied", "refuse 403 cname-denied",
      ])
    #expect(bench.approach.flow.decision.rule?.id.text == "bad", "the record names the rule that denies")
  }

  @Test("In audit mode a chain through a denied name passes, and the record says that it would not")
  func aliasInAudit() throws {
    var bench = try ApproachBench(to: "a.test", under: Self.alias, mode: .audit)
    _ = bench.on(.begin)
    #expect(
      try bench.resolve("11.11.0.10", chain: ["bad.test"]) == [
        "allow cname-denied would-deny @11.11.0.10", "commit",
      ])
  }

  @Test("AUD-06: a log that takes no more records refuses what it could not record")
  func noRecord() throws {
    var bench = try ApproachBench(to: "a.test", under: Self.tls)
    _ = bench.on(.begin)
    _ = try bench.resolve("11.11.0.10")
    #expect(
      bench.on(.recorded(false)) == [
        "deny audit-unavailable", "close audit-unavailable 0/0", "refuse 503 audit-unavailable",
      ])
    #expect(bench.on(.recorded(true)) == [])
  }

  static let dialFailures: [(DialFailure, String)] = [
    (.refused, "502 connection-refused"), (.timedOut, "504 connection-timeout"),
    (.unreachable, "502 connection-failed"),
  ]
  @Test("A dial that fails has a close record and an answer of its own", arguments: dialFailures)
  func dialTrouble(_ failure: DialFailure, _ answer: String) throws {
    var bench = try ApproachBench(to: "a.test", under: Self.tls)
    _ = bench.on(.begin)
    _ = try bench.resolve("11.11.0.10")
    _ = bench.on(.recorded(true))
    #expect(
      bench.on(.dialed(.failure(failure), toSelf: false)) == [
        "close \(answer.dropFirst(4)) 0/0", "refuse \(answer)",
      ])
  }

  static let leaves: [(String, Bool)] = [
    ("  - { id: l, action: allow, to: [a.test], ports: [443] }", false),
    ("  - { id: l, action: allow, to: [a.test], ports: [443], allow-loopback: true }", true),
    (
      "  - { id: l, action: allow, to: [b.test, \"*.test\"], ports: [443], allow-loopback: true, allow-public-suffix: true }",
      false
    ),
  ]
  @Test("A connection that turns out to lead to this machine needs a leave that names it", arguments: leaves)
  func toSelf(_ rule: String, _ passes: Bool) throws {
    var bench = try ApproachBench(to: "a.test", under: rule)
    _ = bench.on(.begin)
    _ = try bench.resolve("11.11.0.10")
    _ = bench.on(.recorded(true))
    let effects = bench.on(.dialed(.success(Bench.endpoint), toSelf: true))
    let refused = ["deny self-address @11.11.0.10", "close self-address 0/0", "refuse 403 self-address"]
    #expect(effects == (passes ? ["connected 11.11.0.10:443"] : refused))
  }

  /// Brings an approach into each of its phases.
  static let phases: [(String, @Sendable (inout ApproachBench) throws -> Void)] = [
    ("judging", { _ in }),
    ("reserving", { _ = $0.on(.begin) }),
    (
      "resolving",
      {
        _ = $0.on(.begin); _ = $0.on(.reserved(true))
      }
    ),
    (
      "recording",
      { bench in
        _ = bench.on(.begin)
        _ = bench.on(.reserved(true))
        _ = try bench.resolve("11.11.0.10")
      }
    ),
    (
      "dialing",
      { bench in
        _ = bench.on(.begin)
        _ = bench.on(.reserved(true))
        _ = try bench.resolve("11.11.0.10")
        _ = bench.on(.recorded(true))
      }
    ),
  ]
  static let limited = "  - { id: l, action: allow, to: [a.test], limits: { connections: 1 } }"

  @Test("A rule that goes ends an approach in any phase, with one denial and, where it was recorded, one end")
  func revoked() throws {
    for (phase, bring) in Self.phases {
      for reason in [Reason.revoked, .expired] {
        var bench = try ApproachBench(to: "a.test", under: Self.limited)
        try bring(&bench)
        let wasRecorded = bench.approach.isRecorded
        let end = wasRecorded ? ["close \(reason.rawValue) 0/0"] : []
        #expect(
          bench.on(.revoked(reason)) == ["deny \(reason.rawValue)"] + end + ["refuse 403 \(reason.rawValue)"],
          "\(phase)")
        #expect(bench.on(.recorded(true)) + bench.on(.reserved(true)) == [], "\(phase)")
        #expect(bench.on(.dialed(.success(Bench.endpoint), toSelf: false)) == [], "\(phase)")
      }
    }
  }

  @Test("AUD-06: a client that goes away, or a gate that stops, leaves a beginning and an end in any phase")
  func abandoned() throws {
    for (phase, bring) in Self.phases {
      var bench = try ApproachBench(to: "a.test", under: Self.limited)
      try bring(&bench)
      if phase == "judging" { continue }
      let first = bench.approach.isRecorded ? [] : ["allow rule"]
      var stopped = bench
      #expect(bench.on(.clientClosed) == first + ["close client-reset 0/0", "abandon"], "\(phase)")
      #expect(bench.on(.clientClosed) == [], "\(phase)")
      #expect(stopped.on(.stopped) == first + ["close shutdown 0/0", "abandon"], "\(phase)")
      #expect(stopped.on(.recorded(true)) + stopped.on(.revoked(.revoked)) == [], "\(phase)")
    }
  }

  @Test("OPS-06: events that do not belong to a phase move nothing")
  func outOfTurn() throws {
    var bench = try ApproachBench(to: "a.test", under: Self.tls)
    #expect(bench.on(.recorded(true)) + bench.on(.reserved(true)) == [])
    #expect(bench.on(.dialed(.success(Bench.endpoint), toSelf: false)) == [])
    _ = bench.on(.begin)
    #expect(bench.on(.begin) + bench.on(.recorded(true)) == [])
    #expect(bench.on(.dialed(.success(Bench.endpoint), toSelf: false)) == [])
    #expect(try bench.resolve("11.11.0.10") == Self.allowed)
    #expect(try bench.resolve("11.11.0.11") == [], "a name is resolved once")
  }

  @Test("Before a policy was asked, the decision is a denial")
  func undecided() throws {
    let bench = try ApproachBench(to: "a.test", under: Self.tls)
    #expect(bench.approach.flow.decision.answer == .deny)
    #expect(bench.approach.flow.decision.reason == .internalError)
  }

  struct Request: Sendable, CustomTestStringConvertible {
    var rules: String, method = "GET", path = "/", upgrade = false, effects: [String],
      traffic = TrafficProtocol.http
    var testDescription: String { "\(method) \(path)\(upgrade ? " upgrade" : ""): \(effects)" }
  }
  static let plain = "  - { id: w, action: allow, to: [a.test], protocol: http }"
  static let opaque = "  - { id: o, action: allow, to: [a.test], protocol: tcp, ports: [80] }"
  static let requests = [
    Request(rules: plain, effects: ["resolve a.test"]),
    Request(rules: opaque, effects: ["deny no-rule", "refuse 403 no-rule"]),
    Request(rules: plain, upgrade: true, effects: ["resolve a.test"]),
    Request(rules: opaque, upgrade: true, effects: ["resolve a.test"], traffic: .tcp),
    Request(
      rules: opaque + "\n  - { id: d, action: deny, to: [a.test], protocol: http }", upgrade: true,
      effects: ["deny deny-rule", "refuse 403 deny-rule"]),
    Request(
      rules:
        "  - { id: w, action: allow, to: [a.test], protocol: http, http: [{ methods: [GET], path: \"/a/**\" }] }",
      path: "/a/b", effects: ["resolve a.test"]),
    Request(
      rules:
        "  - { id: w, action: allow, to: [a.test], protocol: http, http: [{ methods: [GET], path: \"/a/**\" }] }",
      method: "POST", path: "/a/b", effects: ["deny no-rule", "refuse 403 no-rule"]),
  ]
  @Test(
    "HTTP-14: a request is judged as http, an upgrade as tcp as well where http says nothing",
    arguments: requests)
  func request(_ c: Request) throws {
    let facts = RequestFacts(method: c.method, path: c.path)
    var bench = try ApproachBench(.request(facts, upgrade: c.upgrade), to: "a.test:80", under: c.rules)
    #expect(bench.on(.begin) == c.effects)
    #expect(bench.approach.flow.destination.traffic == c.traffic)
  }
}

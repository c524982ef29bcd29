import Addressing
import Approvals
import Audit
import EventLoop
import Policy
import Testing
import Wire

@testable import Gateway

extension GateTests {
  /// Every reason is one that something gives: what nobody gives, nobody need know.
  @Suite struct Reasons {
    /// The reasons in records and answers.
    static func reasons(_ records: [Record]) -> [Reason] {
      records.flatMap { record -> [Reason] in
        switch record {
        case .decision(let decision): return [decision.reason]
        case .close(let close): if case .cut(let reason) = close.reason { return [reason] } else { return [] }
        default: return []
        }
      }
    }

    static func approaches() throws -> [Reason] {
      var seen: [Reason] = []
      func run(_ bench: ApproachBench, under stop: StopOrder = StopOrder(), _ events: [Approach.Event]) {
        var approach = bench.approach
        let snapshot = bench.snapshot.replacingPolicy(bench.snapshot.policy.under(stop))
        for event in events {
          let effects = approach.handle(event, under: snapshot, at: Bench.moment)
          seen += reasons(effects.compactMap { if case .record(let record) = $0 { record } else { nil } })
        }
      }
      for c in ApproachTests.judged {
        run(try ApproachBench(to: c.host, under: c.rules, mode: c.mode), [.begin])
      }
      let found = Resolution(addresses: [try Bench.address("11.11.0.10")], chain: [], fromHosts: false)
      let denied = Resolution(addresses: [], chain: [try Hostname("bad.test")], fromHosts: false)
      let way: [Approach.Event] = [.begin, .reserved(true), .resolved(.success(found)), .recorded(true)]
      let tails: [[Approach.Event]] = [
        [.dialed(.failure(.refused), toSelf: false)], [.dialed(.failure(.timedOut), toSelf: false)],
        [.dialed(.failure(.unreachable), toSelf: false)], [.dialed(.success(Bench.endpoint), toSelf: true)],
        [.revoked(.revoked)], [.revoked(.expired)],
      ]
      for tail in tails { run(try ApproachBench(to: "a.test", under: ApproachTests.alias), way + tail) }
      let starts: [[Approach.Event]] = [
        [.resolved(.failure(.timeout))], [.resolved(.failure(.nameDoesNotExist))],
        [.resolved(.success(denied))],
        [.resolved(.success(found)), .recorded(false)],
      ]
      for start in starts {
        run(try ApproachBench(to: "a.test", under: ApproachTests.alias), [.begin] + start)
      }
      run(try ApproachBench(to: "a.test", under: ApproachTests.limited), [.begin, .reserved(false)])
      run(
        try ApproachBench(to: "a.test", under: ApproachTests.alias), under: StopOrder(everybody: true),
        [.begin])
      let ask = "  - { id: q, action: ask, to: [a.test] }"
      run(try ApproachBench(to: "a.test", under: ask, mode: .audit), [.begin, .resolved(.success(found))])
      let refusals: [Reason] = [
        .noApprover, .approvalQueueFull, .approvalTooLarge, .approvalRate, .refused, .askingEnded,
      ]
      for reason in refusals {
        run(try ApproachBench(to: "a.test", under: ask), [.begin, .asked(.denied(reason))])
      }
      let approval = Approval(id: "x", scope: .session, person: nil, expires: nil)
      let held = [Approach.Event.begin, .asked(.held(HoldTests.question, isFirst: true)), .holdEnded(nil)]
      run(try ApproachBench(to: "a.test", under: ask), held)
      run(
        try ApproachBench(to: "a.test", under: ask),
        [.begin, .asked(.allowed(approval)), .resolved(.success(found))])
      return seen
    }

    static func tunnels() throws -> [Reason] {
      var seen: [Reason] = []
      for bytes in TunnelSessionTests.flights.map(\.bytes) + [[22]] {
        var session = try TunnelSessionTests.session()
        _ = TunnelSessionTests.opened(&session)
        let effects =
          session.handle(.clientBytes(bytes[...]), in: .enforce, at: Bench.now)
          + session.handle(.helloDeadline, in: .enforce, at: Bench.now)
        seen += reasons(effects.compactMap { if case .record(let record) = $0 { record } else { nil } })
      }
      for end in [RelayEnd.timedOut, .overBudgetOut, .overBudgetIn] {
        if case .cut(let reason) = CloseReason(end) { seen.append(reason) }
      }
      return seen
    }

    static func exchanges() throws -> [Reason] {
      var seen: [Reason] = []
      for (fields, event) in [
        ("", ExchangeSession.Event.upstreamClosed), ("", .deadline), ("Content-Length: 5\r\n", .deadline),
        ("Transfer-Encoding: chunked\r\n", .clientBytes(Array("x".utf8)[...])), ("", .durationPassed),
      ] {
        var bench = try ExchangeBench(ExchangeBench.get(fields, method: fields.isEmpty ? "GET" : "POST"))
        _ = bench.connect()
        let effects = bench.session.handle(event, in: .enforce, at: Bench.now)
        seen += reasons(effects.compactMap { if case .record(let record) = $0 { record } else { nil } })
      }
      return seen
    }

    /// What is refused before the decision, by a whole gate.
    static func clients() throws -> [Reason] {
      let rig = try GateRig(Clients.policy)
      defer { rig.stop() }
      let token = Clients.basic("test")
      for request in [
        "CONNECT a.test:443 HTTP/1.1\r\n\r\n",
        rig.get("web.test", "/", token + "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        "TRACE http://web.test/ HTTP/1.1\r\nHost: web.test\r\n\(token)\r\n",
        "GET http://web.test/ HTTP/1.1\r\nHost: evil.test\r\n\(token)\r\n", "GARBAGE\r\n\r\n",
      ] { _ = try rig.ask(request) }
      return try rig.records().filter { $0.event == "decision" }.compactMap { $0.reason.flatMap(Reason.init) }
    }

    @Test("OPS-06: every reason is given by something, and a defect by nothing")
    func all() throws {
      let seen = Set(try Self.approaches() + Self.tunnels() + Self.exchanges() + Self.clients())
      // A full gate is in Refusals, a head that takes its ten seconds in the end-to-end tests; a defect is
      // what stands before the policy was asked, and never leaves; the DNS listener gives what a question
      // is refused for; addresses that stand for names are given where there are some; a packet is held back by the kernel.
      let elsewhere: Set<Reason> = [
        .overload, .headTimeout, .internalError, .rebinding, .dnsBudget, .searchSuffix, .recordType,
        .syntheticExhausted, .syntheticUnnamed, .fenceUnavailable, .oddPacket, .spoofedSource, .notForwarded,
        .strangeLink,
      ]
      let missing = Set(Reason.allCases).subtracting(seen).subtracting(elsewhere)
      #expect(missing.isEmpty, "\(missing.map(\.rawValue).sorted())")
      #expect(seen.isDisjoint(with: elsewhere))
    }
  }
}

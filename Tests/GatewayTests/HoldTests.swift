import Addressing
import Approvals
import Audit
import EventLoop
import Policy
import Testing

@testable import Gateway

@Suite("The way to an upstream, where a person is asked")
struct HoldTests {
  static let rules = "  - { id: q, action: ask, to: [a.test] }"
  static let question = {
    var generator = SystemRandomNumberGenerator()
    return PendingID.random(using: &generator)
  }()
  static let person = Person(.control, userID: 1000)
  static let approval = Approval(id: "grant", scope: .session, person: person, expires: nil)

  static func held() throws -> ApproachBench {
    var bench = try ApproachBench(to: "a.test", under: rules)
    #expect(bench.on(.begin) == ["ask https://a.test:443"])
    #expect(bench.on(.asked(.held(question, isFirst: true))) == ["ask ask-rule", "hold"])
    return bench
  }

  @Test("CTL-13: while it is held nothing is resolved, dialled, reserved or answered")
  func nothing() throws {
    var bench = try Self.held()
    let found = Resolution(addresses: [try Bench.address("11.11.0.10")], chain: [], fromHosts: false)
    for event in [
      Approach.Event.begin, .reserved(true), .resolved(.success(found)), .recorded(true),
      .dialed(.success(Bench.endpoint), toSelf: false), .asked(.allowed(Self.approval)),
    ] {
      #expect(bench.on(event) == [])
      #expect(bench.approach.isHeld)
    }
    #expect(bench.on(.answered(.allowed(Self.approval))) == ["resolve a.test"], "the control")
  }

  @Test("An approval is recorded with its reason, who gave it, and the question")
  func allowed() throws {
    var bench = try Self.held()
    _ = bench.on(.answered(.allowed(Self.approval)))
    #expect(try bench.resolve("11.11.0.10") == ["allow approved @11.11.0.10", "commit"])
    #expect(bench.on(.recorded(true)) == ["dial 11.11.0.10 443"])
    #expect(bench.approach.flow.approval?.id == "grant" && bench.approach.flow.person == Self.person)
  }

  @Test("A refusal, the end of the hold, and what is denied at once each have one record and one answer")
  func denied() throws {
    var bench = try Self.held()
    #expect(
      bench.on(.answered(.denied(.refused, by: Self.person))) == ["deny refused", "refuse 403 refused"])
    #expect(bench.on(.answered(.allowed(Self.approval))) == [], "the first answer is the only one")
    bench = try Self.held()
    #expect(bench.on(.holdEnded(Self.question)) == ["deny pending-approval", "refuse 403 pending-approval"])
    #expect(bench.on(.answered(.allowed(Self.approval))) == [])
    for reason in [Reason.noApprover, .approvalRate, .approvalQueueFull, .askingEnded, .refused] {
      bench = try ApproachBench(to: "a.test", under: Self.rules)
      _ = bench.on(.begin)
      #expect(
        bench.on(.asked(.denied(reason))) == ["deny \(reason.rawValue)", "refuse 403 \(reason.rawValue)"])
    }
  }

  static let priv = "  - { id: q, action: ask, to: [a.test, 10.0.0.5] }"
  @Test(
    "CTL-14: what is approved is held to the floor like everything",
    arguments: ["10.0.0.5", "127.0.0.1", "169.254.169.254", "11.11.0.1"])
  func floor(_ address: String) throws {
    var bench = try Self.held()
    _ = bench.on(.answered(.allowed(Self.approval)))
    let effects = try bench.resolve(address)
    #expect(
      effects.count == 2 && effects[0].hasPrefix("deny ") && effects[0].hasSuffix("@\(address)"), "\(effects)"
    )
    bench = try ApproachBench(to: address, under: Self.priv)
    #expect(
      bench.on(.begin).last?.hasPrefix("refuse 403") == true, "nobody is asked about an address of the floor")
  }

  static let deny = rules + "\n  - { id: d, action: deny, to: [\"**.a.test\"] }"
  static let allow = "  - { id: w, action: allow, to: [a.test] }"
  static let other = "  - { id: t, action: ask, to: [a.test], protocol: tcp, ports: [443] }"
  @Test("CTL-14: another policy while it is held decides anew, before and after the answer")
  func policies() throws {
    let denied = ["deny deny-rule", "refuse 403 deny-rule"]
    for (rules, effects) in [
      (Self.deny, denied), (Self.allow, ["resolve a.test"]), (Self.other, ["ask tcp://a.test:443"]),
    ] {
      for event in [Approach.Event.policyChanged, .answered(.allowed(Self.approval)), .answered(.again)] {
        var bench = try Self.held()
        bench.snapshot = try Bench.snapshot(rules)
        #expect(bench.on(event) == effects, "\(rules) \(event)")
      }
    }
    var bench = try Self.held()
    #expect(bench.on(.policyChanged) == ["ask https://a.test:443"], "the same policy asks on")
    #expect(bench.on(.asked(.held(Self.question, isFirst: true))) == ["hold"], "it is recorded once")
  }

  @Test("A client that goes, a gate that stops and a rule that ends leave one denial")
  func ends() throws {
    for (event, effects) in [
      (Approach.Event.clientClosed, ["deny pending-approval", "abandon"]),
      (.stopped, ["deny pending-approval", "abandon"]),
      (.revoked(.revoked), ["deny revoked", "refuse 403 revoked"]),
      (.revoked(.expired), ["deny expired", "refuse 403 expired"]),
    ] {
      var bench = try Self.held()
      #expect(bench.on(event) == effects)
      #expect(bench.on(.answered(.allowed(Self.approval))) == [] && bench.on(.holdEnded(nil)) == [])
    }
  }

  @Test("Nobody is asked about a captured hello that could not pass")
  func objection() throws {
    var bench = try ApproachBench(.captured(.https, objection: .sniMissing), to: "a.test", under: Self.rules)
    #expect(bench.on(.begin) == ["deny sni-missing", "refuse 403 sni-missing"])
  }

  @Test(
    "What a person let through stands while the policy asks or allows, whether a rule asks or the default")
  func stands() throws {
    for (before, after, stands) in [
      (Self.rules, Self.rules, true), (Self.rules, Self.deny, false), (Self.rules, Self.allow, false),
      ("  - { id: x, action: allow, to: [x.test] }", "  - { id: x, action: allow, to: [x.test] }", true),
      ("  - { id: x, action: allow, to: [x.test] }", "  - { id: d, action: deny, to: [a.test] }", false),
    ] {
      var bench = try ApproachBench(to: "a.test", under: before)
      bench.snapshot = try Bench.asking(before)
      _ = bench.on(.begin)
      _ = bench.on(.asked(.allowed(Self.approval)))
      let next = try Bench.asking(after)
      #expect((next.objection(to: bench.approach.flow, at: Bench.now) == nil) == stands, "\(after)")
    }
  }
}

extension Bench {
  /// A policy that asks about what no rule names.
  static func asking(_ rules: String) throws -> PolicySnapshot {
    let given = try policy(rules)
    let asking = Policy(defaultAction: .ask, agents: given.agents, rules: given.rules, generation: 8)
    return PolicySnapshot(policy: asking, floor: Floor(), directory: AgentDirectory(asking.agents))
  }
}

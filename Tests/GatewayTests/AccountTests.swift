import Addressing
import Crypto
import EventLoop
import Policy
import Testing

@testable import Gateway

@Suite("Who is who, and who holds how much")
struct AccountTests {
  static let a = AgentName("a") ?? .default, b = AgentName("b") ?? .default, c = AgentName("c") ?? .default

  static func digest(_ token: String) -> [UInt8] { Array(SHA256.hash(data: Array(token.utf8))) }
  static func listen(_ text: String) throws -> ListenAddress { try #require(ListenAddress(text)) }

  // MARK: - Agents

  struct Question: Sendable, CustomTestStringConvertible {
    var listener: String, token: String?, answer: String?
    var testDescription: String { "\(listener) \(token ?? "-"): \(answer ?? "407")" }
  }
  static let questions = [
    Question(listener: "127.0.0.1:1", token: nil, answer: "a"),
    Question(listener: "127.0.0.1:1", token: "wrong", answer: "a"),
    Question(listener: "127.0.0.1:1", token: "tb", answer: "a"),
    Question(listener: "127.0.0.1:2", token: nil, answer: nil),
    Question(listener: "127.0.0.1:2", token: "tb", answer: "b"),
    Question(listener: "127.0.0.1:2", token: "tc", answer: nil),
    Question(listener: "127.0.0.1:9", token: nil, answer: nil),
    Question(listener: "127.0.0.1:9", token: "", answer: nil),
    Question(listener: "127.0.0.1:9", token: "tc", answer: "c"),
    Question(listener: "127.0.0.1:9", token: "tb", answer: nil),
    Question(listener: "unix:/run/p", token: "tc", answer: "c"),
  ]
  @Test("POL-31: a listener names its agent, a token only where no listener does", arguments: questions)
  func identify(_ q: Question) throws {
    let directory = AgentDirectory([
      Agent(name: Self.a, listen: try Self.listen("127.0.0.1:1")),
      Agent(name: Self.b, listen: try Self.listen("127.0.0.1:2"), tokenSHA256: Self.digest("tb")),
      Agent(name: Self.c, tokenSHA256: Self.digest("tc")),
    ])
    let found = directory.agent(on: try Self.listen(q.listener), token: q.token.map { Array($0.utf8) })
    #expect(found?.text == q.answer)
    #expect(directory.needsToken(on: try Self.listen(q.listener)) == (q.listener != "127.0.0.1:1"))
  }

  @Test("Without agents everybody is the default agent, whatever he shows")
  func nobody() throws {
    let directory = AgentDirectory([])
    for token in [nil, Array("x".utf8)] {
      #expect(directory.agent(on: try Self.listen("127.0.0.1:9"), token: token) == .default)
    }
    #expect(!directory.needsToken(on: try Self.listen("127.0.0.1:9")))
  }

  @Test("Where but one can come, neither listener nor token makes it another, and what is closed is nobody's")
  func sole() throws {
    let open = try Self.listen("127.0.0.1:1")
    let directory = AgentDirectory(
      [Agent(name: Self.a, listen: open), Agent(name: Self.c, tokenSHA256: Self.digest("tc"))],
      listeners: [open], sole: Self.b)
    for token in [nil, Array("tc".utf8)] { #expect(directory.agent(on: open, token: token) == Self.b) }
    #expect(directory.owner(of: open) == Self.b && !directory.needsToken(on: open))
    #expect(directory.agent(on: try Self.listen("127.0.0.1:9"), token: nil) == nil)
  }

  // MARK: - Places

  @Test("DOS-01: places are capped in all, for each agent, and for the newcomers of a listener")
  func places() throws {
    let admission = Admittance(capacity: 8),
      shared = Admittance.Party.newcomer(try Self.listen("127.0.0.1:9"))
    var newcomers = (0..<5).compactMap { _ in admission.enter(as: shared, owner: nil) }
    #expect(newcomers.count == 4 && admission.open == 4, "half of 8")
    #expect(newcomers.allSatisfy { $0.agent == nil && $0.book(to: Self.a) })
    let others = (0..<5).compactMap { _ in admission.enter(as: .agent(Self.a), owner: Self.a) }
    #expect(others.count == 2, "3/4 of 8, those that said who they are counted in")
    #expect(admission.enter(as: .agent(Self.b), owner: Self.b) != nil, "another agent still gets one")
    newcomers = []
    #expect(admission.open == 2)
    #expect(admission.enter(as: .agent(Self.a), owner: Self.a) != nil, "given back when nobody holds it")
  }

  @Test("A gate that is full is full for everybody")
  func full() {
    let admission = Admittance(capacity: 4)
    let held = [Self.a, Self.a, Self.a, Self.b].compactMap { admission.enter(as: .agent($0), owner: $0) }
    #expect(held.count == 4 && admission.enter(as: .agent(Self.b), owner: Self.b) == nil)
  }

  @Test("A connection that changes its agent holds one place, not two")
  func rebooking() throws {
    let admission = Admittance(capacity: 8),
      shared = Admittance.Party.newcomer(try Self.listen("127.0.0.1:9"))
    let ticket = try #require(admission.enter(as: shared, owner: nil))
    for _ in 0..<20 {
      #expect(ticket.book(to: Self.a) && ticket.agent == Self.a)
      #expect(ticket.book(to: Self.b) && ticket.agent == Self.b)
    }
    let others = (0..<6).compactMap { _ in admission.enter(as: .agent(Self.a), owner: nil) }
    #expect(others.count == 6)
    #expect(!ticket.book(to: Self.a) && ticket.agent == Self.b, "refused, it stays who it was")
  }

  // MARK: - Limits

  @Test("An account says which of its budgets is used up")
  func spentBudget() throws {
    let rule = try Self.rule(Limits(bytesOut: 10, bytesIn: 10))
    let account = try #require(Ledger().account(of: Self.a, under: rule))
    #expect(account.spentBudget == nil)
    #expect(account.in.spend(10) && account.spentBudget == .bytesInLimit)
    #expect(account.out.spend(10) && account.spentBudget == .bytesOutLimit)
  }

  static func rule(_ limits: Limits) throws -> Rule {
    Rule(id: try #require(RuleID("r")), action: .allow, to: [], ports: [], limits: limits)
  }

  @Test("An account is one agent's under one rule, as long as its limits stay")
  func accounts() throws {
    let ledger = Ledger()
    let rule = try Self.rule(Limits(connections: 2, bytesOut: 10))
    let account = ledger.account(of: Self.a, under: rule)
    #expect(account != nil && ledger.account(of: Self.a, under: rule) === account)
    #expect(ledger.account(of: Self.b, under: rule) !== account)
    #expect(
      try ledger.account(of: Self.a, under: Self.rule(Limits(connections: 2, bytesOut: 10))) === account,
      "reloaded")
    #expect(try ledger.account(of: Self.a, under: Self.rule(Limits(connections: 3))) !== account)
    #expect(try ledger.account(of: Self.a, under: Self.rule(.none)) == nil)
    #expect(try ledger.account(of: Self.a, under: Self.rule(Limits(duration: .seconds(1)))) == nil)
    #expect(ledger.account(of: Self.a, under: nil) == nil)
  }

  @Test("DOS-04: connections are taken up to the limit and given back, whatever the order")
  func connections() throws {
    let account = try #require(Ledger().account(of: Self.a, under: Self.rule(Limits(connections: 3))))
    var random = SeededStory(seed: 7), held = 0
    for _ in 0..<2000 {
      if Bool.random(using: &random) {
        let took = account.takeConnection()
        #expect(took == (held < 3))
        if took { held += 1 }
      } else if held > 0 {
        account.returnConnection()
        held -= 1
      }
    }
  }

  @Test("What a flow holds is given back with the last that holds it, once")
  func hold() throws {
    let account = try #require(Ledger().account(of: Self.a, under: Self.rule(Limits(connections: 1))))
    #expect(account.takeConnection())
    var hold: FlowHold? = FlowHold(account, ticket: nil, holdsConnection: true)
    #expect(!account.takeConnection() && hold != nil)
    hold = nil
    #expect(account.takeConnection() && !account.takeConnection())
  }

  // MARK: - Flows

  final class Fake: LiveFlow {
    let standing: Flow?
    init(_ flow: Flow?) { standing = flow }
    override var flow: Flow? { standing }
  }

  @Test("The registry keeps who is in it, in any order of coming and going")
  func registry() {
    var registry = FlowRegistry(), twin: [ObjectIdentifier: Fake] = [:], random = SeededStory(seed: 11)
    for _ in 0..<5000 {
      if twin.isEmpty || Int.random(in: 0..<3, using: &random) > 0 {
        let flow = Fake(nil)
        registry.insert(flow)
        twin[ObjectIdentifier(flow)] = flow
      } else if let flow = registry.flows.randomElement(using: &random) as? Fake {
        registry.remove(flow)
        registry.remove(flow)
        #expect(flow.position == -1)
        twin[ObjectIdentifier(flow)] = nil
      }
    }
    #expect(Set(registry.flows.map(ObjectIdentifier.init)) == Set(twin.keys))
    #expect(registry.flows.indices.allSatisfy { registry.flows[$0].position == $0 })
  }

  struct Change: Sendable, CustomTestStringConvertible {
    var name: String, rules: String, mode = Mode.enforce, stays: Bool
    var testDescription: String { name }
  }
  static let base = "  - { id: r, action: allow, to: [a.test] }"
  static let changes = [
    Change(name: "the same rule", rules: base, stays: true),
    Change(
      name: "the same rule among others", rules: "  - { id: n, action: allow, to: [b.test] }\n" + base,
      stays: true),
    Change(
      name: "another reason and owner",
      rules: "  - { id: r, action: allow, to: [a.test], reason: x, owner: y@z.test }", stays: true),
    Change(name: "the rule is gone", rules: "  - { id: n, action: allow, to: [b.test] }", stays: false),
    Change(
      name: "another rule took its place", rules: "  - { id: n, action: allow, to: [a.test] }", stays: false),
    Change(
      name: "the rule has limits now",
      rules: "  - { id: r, action: allow, to: [a.test], limits: { connections: 1 } }", stays: false),
    Change(
      name: "a deny rule came", rules: base + "\n  - { id: d, action: deny, to: [a.test] }", stays: false),
    Change(
      name: "the rule is gone, in audit mode", rules: "  - { id: n, action: allow, to: [b.test] }",
      mode: .audit, stays: true),
    Change(
      name: "the rule has expired",
      rules: "  - { id: r, action: allow, to: [a.test], expires: 2026-11-23T00:00:00Z }", stays: false),
  ]
  @Test("A reload ends the flows whose rule went or changed, and no other", arguments: changes)
  func reload(_ c: Change) throws {
    let old = try Bench.snapshot(Self.base)
    var registry = FlowRegistry()
    let flow = Fake(try Bench.flow(to: "a.test", rule: "r", under: old))
    registry.insert(flow)
    let next = try Bench.snapshot(c.rules, mode: c.mode, generation: 8)
    let outdated = registry.outdated(under: next, at: Bench.now)
    #expect(outdated.isEmpty == c.stays)
    if !c.stays { #expect(outdated.first?.1 == .revoked && outdated.first?.0 === flow) }
  }

  @Test(
    "What only audit mode let pass does not outlast it",
    arguments: [Reason.sniMismatch, .cnameDenied, .notTLS])
  func objections(_ reason: Reason) throws {
    var registry = FlowRegistry()
    var flow = try Bench.flow(to: "a.test", rule: "r", under: try Bench.snapshot(Self.base, mode: .audit))
    flow.objection = reason
    registry.insert(Fake(flow))
    #expect(registry.outdated(under: try Bench.snapshot(Self.base, mode: .audit), at: Bench.now).isEmpty)
    #expect(registry.outdated(under: try Bench.snapshot(Self.base), at: Bench.now).count == 1)
  }

  @Test("A flow whose rule names a time ends then")
  func expiry() throws {
    let snapshot = try Bench.snapshot(
      "  - { id: r, action: allow, to: [a.test], expires: 2027-01-01T00:00:00Z }")
    var registry = FlowRegistry()
    registry.insert(Fake(try Bench.flow(to: "a.test", rule: "r", under: snapshot)))
    let end = try #require(Timestamp("2027-01-01T00:00:00Z"))
    #expect(registry.expired(at: Timestamp(milliseconds: end.milliseconds - 1)).isEmpty)
    #expect(registry.expired(at: end).count == 1)
  }
}

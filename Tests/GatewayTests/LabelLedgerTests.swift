import Addressing
import EventLoop
import Policy
import Testing

@testable import Gateway

@Suite("The budget for names never asked before")
struct LabelLedgerTests {
  static let alice = AgentName("alice") ?? .default, bob = AgentName("bob") ?? .default

  static func at(minute: UInt64, second: UInt64 = 0) -> MonotonicTime {
    MonotonicTime(nanoseconds: (minute * 60 + second) * 1_000_000_000)
  }

  /// A ledger, and what it is asked about: the domain is the last two labels.
  final class Bench {
    let ledger: LabelLedger
    var budget: UInt64? = 100

    init(stock: Int = 1 << 16, domains: Int = 1024, names: Int = 1 << 14) {
      ledger = LabelLedger(stock: stock, domainsPerAgent: domains, namesPerDomain: names)
    }

    func note(_ text: String, agent: AgentName = alice, minute: UInt64 = 0) throws -> LabelLedger.Verdict {
      let name = try Hostname(text)
      let domain = try Hostname(name.labels.suffix(2).joined(separator: "."))
      return ledger.note(name, agent: agent, domain: domain, budget: budget, at: at(minute: minute))
    }
  }

  /// A label of so many bytes that no other call gives.
  static func label(_ number: Int, bytes: Int = 10) -> String {
    let digits = String(number)
    return "x" + String(repeating: "0", count: bytes - 1 - digits.count) + digits
  }

  @Test("new labels count with their bytes, each place in the tree once")
  func counts() throws {
    let bench = Bench()
    bench.budget = 15
    #expect(try bench.note("wild.test") == .within, "the domain itself is nothing new")
    #expect(try bench.note("aaaaa.wild.test") == .within)
    #expect(try bench.note("bbbbb.aaaaa.wild.test") == .within)
    #expect(try bench.note("aaaaa.wild.test") == .within)
    #expect(try bench.note("ccccc.wild.test") == .within)
    #expect(try bench.note("d.wild.test") == .alert(bytes: 16))
    #expect(try bench.note("e.wild.test") == .within, "told of once a minute")
  }

  @Test("a label that is known at one place is new at another")
  func places() throws {
    let bench = Bench()
    bench.budget = 6
    #expect(try bench.note("0.1.wild.test") == .within)
    #expect(try bench.note("1.0.wild.test") == .within)
    #expect(try bench.note("1.1.wild.test") == .within, "1.wild.test was on the way already")
    #expect(try bench.note("0.0.wild.test") == .within)
    #expect(try bench.note("0.0.0.wild.test") == .alert(bytes: 7))
  }

  @Test("over the budget it is told of, over twice the budget new names are refused and known ones are not")
  func suspends() throws {
    let bench = Bench()
    for number in 1...10 { #expect(try bench.note(Self.label(number) + ".wild.test") == .within) }
    #expect(try bench.note(Self.label(11) + ".wild.test") == .alert(bytes: 110))
    for number in 12...20 { #expect(try bench.note(Self.label(number) + ".wild.test") == .within) }
    #expect(try bench.note(Self.label(21) + ".wild.test") == .suspended(first: true, bytes: 210))
    #expect(
      try bench.note(Self.label(21) + ".wild.test") == .suspended(first: false, bytes: 210),
      "it is not known by it")
    #expect(try bench.note("a.wild.test") == .suspended(first: false, bytes: 210))
    #expect(try bench.note("a." + Self.label(3) + ".wild.test") == .suspended(first: false, bytes: 210))
    for number in 1...20 {
      #expect(try bench.note(Self.label(number) + ".wild.test", minute: 500) == .within)
    }
    #expect(
      try bench.note("a.wild.test", minute: 500) == .suspended(first: false, bytes: 0), "however much later")
    #expect(try bench.note("a.other.test") == .within, "another domain")
    #expect(try bench.note("a.wild.test", agent: Self.bob) == .within, "another agent")
    #expect(bench.ledger.status.suspended == [.init(agent: Self.alice, domain: try Hostname("wild.test"))])
  }

  @Test("over the budget in two minutes running is enough, with a minute between it is not")
  func twoMinutes() throws {
    for (second, verdict) in [
      (1, .suspended(first: true, bytes: 110)), (2, .alert(bytes: 110)), (3, .alert(bytes: 110)),
    ] as [(UInt64, LabelLedger.Verdict)] {
      let bench = Bench()
      for number in 1...15 { _ = try bench.note(Self.label(number) + ".wild.test") }
      for number in 16...25 {
        #expect(try bench.note(Self.label(number) + ".wild.test", minute: second) == .within)
      }
      #expect(try bench.note(Self.label(26) + ".wild.test", minute: second) == verdict)
    }
  }

  @Test("at the budget, minute after minute, nothing happens")
  func steady() throws {
    let bench = Bench()
    for minute in 0..<200 as Range<UInt64> {
      for number in 0..<10 {
        #expect(
          try bench.note(Self.label(Int(minute) * 10 + number) + ".wild.test", minute: minute) == .within)
      }
    }
  }

  @Test("one name over twice the budget is refused itself; without a budget nothing is")
  func edges() throws {
    let bench = Bench()
    bench.budget = 4
    #expect(try bench.note("123456789.wild.test") == .suspended(first: true, bytes: 9))
    let open = Bench()
    open.budget = nil
    for number in 0..<1000 { #expect(try open.note(Self.label(number) + ".wild.test") == .within) }
    #expect(open.ledger.status == .init(accounts: 0, remembered: 0, suspended: []))
    let zero = Bench()
    zero.budget = 0
    #expect(try zero.note("a.wild.test") == .suspended(first: true, bytes: 1))
    let huge = Bench()
    huge.budget = .max
    #expect(try huge.note("a.wild.test") == .within)
  }

  @Test("a new policy gives a new start, and names that were seen stay so")
  func reset() throws {
    let bench = Bench()
    for number in 1...21 { _ = try bench.note(Self.label(number) + ".wild.test") }
    bench.ledger.reset()
    #expect(bench.ledger.status.suspended.isEmpty)
    for number in 1...20 { #expect(try bench.note(Self.label(number) + ".wild.test") == .within) }
    for number in 21...30 { #expect(try bench.note(Self.label(number) + ".wild.test") == .within) }
    #expect(try bench.note("a.wild.test") == .alert(bytes: 101))
  }

  @Test("a name outside the domain counts in full")
  func outside() throws {
    let ledger = LabelLedger(), name = try Hostname("abc.evil.test"), domain = try Hostname("wild.test")
    #expect(
      ledger.note(name, agent: Self.alice, domain: domain, budget: 10, at: Self.at(minute: 0))
        == .alert(bytes: 11))
  }

  @Test("names beyond what is remembered count as new again, those that are asked again and again stay known")
  func forgets() throws {
    let bench = Bench(names: 64)
    bench.budget = 1_000_000
    _ = try bench.note("hot.wild.test")
    for number in 0..<1000 {
      _ = try bench.note(Self.label(number) + ".wild.test")
      _ = try bench.note("hot.wild.test")
      #expect(bench.ledger.status.remembered <= 64)
    }
    bench.budget = 0
    #expect(try bench.note("hot.wild.test") == .within)
    #expect(try bench.note(Self.label(999) + ".wild.test") == .within)
    #expect(try bench.note(Self.label(0) + ".wild.test") != .within)
  }

  @Test("nobody gets a suspension forgotten by asking for other domains")
  func neverForgotten() throws {
    let bench = Bench(domains: 8)
    for number in 1...21 { _ = try bench.note(Self.label(number) + ".wild.test") }
    for number in 0..<500 {
      _ = try bench.note("a.d\(number).test", minute: UInt64(number))
      #expect(bench.ledger.status.accounts <= 8)
    }
    #expect(try bench.note("new.wild.test", minute: 600) == .suspended(first: false, bytes: 0))
  }

  @Test("nor a minute's count: domains beyond the bound share one account, for the minute")
  func crowd() throws {
    let bench = Bench(domains: 4)
    for number in 0..<4 { #expect(try bench.note("a.d\(number).test") == .within) }
    for number in 0..<10 { #expect(try bench.note(Self.label(number) + ".e\(number).test") == .within) }
    #expect(try bench.note("b.f.test") == .alert(bytes: 101))
    for number in 10..<19 { #expect(try bench.note(Self.label(number) + ".e\(number).test") == .within) }
    #expect(try bench.note(Self.label(20) + ".g.test") == .suspended(first: true, bytes: 201))
    #expect(try bench.note("c.g.test") == .suspended(first: false, bytes: 202))
    #expect(try bench.note("b.d1.test") == .within, "who has an account keeps it")
    #expect(try bench.note("b.f.test") == .within, "known names pass")
    #expect(bench.ledger.status.suspended.isEmpty)
    #expect(try bench.note("c.g.test", minute: 1) == .within)
    #expect(try bench.note("d.h.test", minute: 3) == .within, "idle accounts make room")
    #expect(bench.ledger.status.accounts <= 4)
  }

  @Test("whatever greedy agents do, what is remembered is bounded and others are still remembered")
  func bounded() throws {
    let bench = Bench(stock: 4096)
    bench.budget = 1_000_000
    for number in 0..<4000 {
      _ = try bench.note(Self.label(number) + ".wild.test")
      _ = try bench.note(Self.label(number) + ".wild.test", agent: Self.bob)
    }
    #expect(bench.ledger.status.remembered <= 4096 - 2 * LabelAccounts.accountCost)
    let carol = try #require(AgentName("carol"))
    _ = try bench.note("quiet.wild.test", agent: carol)
    bench.budget = 0
    #expect(try bench.note("quiet.wild.test", agent: carol) == .within)
  }

  @Test("a clock that another loop reads later changes nothing")
  func skew() throws {
    let bench = Bench()
    for number in 1...11 { _ = try bench.note(Self.label(number) + ".wild.test", minute: 5) }
    for number in 12...20 { #expect(try bench.note(Self.label(number) + ".wild.test", minute: 4) == .within) }
    #expect(try bench.note(Self.label(21) + ".wild.test", minute: 4) == .suspended(first: true, bytes: 210))
  }
}

extension LabelLedgerTests {
  /// The naive twin: every name that ever passed, as text.
  private struct Twin {
    var passed: Set<String> = []
    var bytes: [UInt64: Int] = [:]
    var overMinutes: Set<UInt64> = []
    var isSuspended = false

    mutating func note(_ name: String, minute: UInt64, budget: Int) -> LabelLedger.Verdict {
      let labels = name.split(separator: ".").dropLast(2)
      let ways = labels.indices.map { labels[$0...].joined(separator: ".") }
      let new = zip(ways, labels).filter { !passed.contains($0.0) }
      let count = new.reduce(0) { $0 + $1.1.utf8.count }
      guard count > 0 else { return .within }
      if isSuspended { return .suspended(first: false, bytes: UInt64(bytes[minute, default: 0])) }
      let total = bytes[minute, default: 0] + count
      bytes[minute] = total
      if total > 2 * budget || total > budget && minute > 0 && overMinutes.contains(minute - 1) {
        isSuspended = true
        return .suspended(first: true, bytes: UInt64(total))
      }
      passed.formUnion(ways)
      guard total > budget, overMinutes.insert(minute).inserted else { return .within }
      return .alert(bytes: UInt64(total))
    }
  }

  @Test("it agrees with a list of all names", arguments: 1...40 as ClosedRange<UInt64>)
  func property(_ seed: UInt64) throws {
    var random = SeededStory(seed: seed)
    let bench = Bench(), budget = Int.random(in: 20...400, using: &random)
    bench.budget = UInt64(budget)
    var twins: [String: Twin] = [:], minute: UInt64 = 0
    let pace = Int.random(in: 5...120, using: &random)
    for _ in 0..<3000 {
      if Int.random(in: 0..<pace, using: &random) == 0 { minute += UInt64.random(in: 1...3, using: &random) }
      let depth = Int.random(in: 0...4, using: &random)
      let labels = (0..<depth).map { _ in
        Self.label(Int.random(in: 0..<12, using: &random), bytes: Int.random(in: 3...5, using: &random))
      }
      let agent = Bool.random(using: &random) ? Self.alice : Self.bob
      let domain = "d\(Int.random(in: 0..<3, using: &random)).test"
      let name = (labels + [domain]).joined(separator: ".")
      let expected = twins["\(agent) \(domain)", default: Twin()].note(name, minute: minute, budget: budget)
      #expect(try bench.note(name, agent: agent, minute: minute) == expected, "\(name) in minute \(minute)")
    }
    #expect(bench.ledger.status.suspended.count == twins.values.filter(\.isSuspended).count)
  }
}

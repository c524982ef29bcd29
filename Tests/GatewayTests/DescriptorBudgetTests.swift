import Testing

@testable import Gateway

@Suite("The descriptors of the process")
struct DescriptorBudgetTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var limit: Int, loops: Int, listeners: Int, lookups: Int, ceiling: Int, connections: Int, because: String
    var testDescription: String { "\(limit) for \(loops) loops, \(listeners) listeners: \(because)" }
  }

  static func row(_ facts: (Int, Int, Int), _ parts: (Int, Int, Int), _ because: String) -> Case {
    Case(
      limit: facts.0, loops: facts.1, listeners: facts.2, lookups: parts.0, ceiling: parts.1,
      connections: parts.2, because: because)
  }

  static let cases = [
    row((20_000, 2, 1), (256, 18_944, 9458), "room for all"),
    row((1024, 2, 1), (62, 744, 358), "a quarter for lookups"),
    row((128, 2, 3), (6, 79, 25), "half of the rest is kept back"),
    row((128, 2, 44), (3, 99, 16), "the fewest connections"),
    row((256, 64, 1), (1, 256, 16), "more loops than descriptors"),
    row((0, 1, 1), (125, 742, 360), "a limit nobody knows"),
  ]

  @Test("DOS-03: lookups, a reload and the log have descriptors that no client gets", arguments: cases)
  func shares(_ c: Case) {
    let budget = DescriptorBudget(limit: c.limit, loops: c.loops, listeners: c.listeners)
    #expect(budget.lookupsPerLoop == c.lookups)
    #expect(budget.ceiling == c.ceiling)
    #expect(budget.connections == c.connections)
  }
}

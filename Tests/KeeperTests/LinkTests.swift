import Addressing
import Firewall
import Testing

@testable import Keeper

/// Which links the keeper takes from their agents, and what the table is then.
@Suite struct LinkTests {
  private static func settings() -> KeeperSettings {
    KeeperSettings(
      .gateway([[.init("a0", index: 5)], [.init("a1", index: 6), .init("a2", index: 7)]]), transparentPort: 1,
      dnsPort: 2, proxyPort: 3, logGroup: 4, ownership: .ownedPersistent)
  }

  private static func open(_ settings: KeeperSettings) -> [String] {
    guard case .gateway(let agents) = settings.side else { return [] }
    return agents.flatMap { $0 }.filter { !$0.isClosed }.map(\.name)
  }

  struct Case: Sendable {
    var report: LinkWatch.Report, listed: [NetworkLink]?, lost: [UInt32: LinkLoss], because: String

    init(
      _ changes: LinkWatch.Change..., overrun listed: [NetworkLink]?? = nil, lost: [UInt32: LinkLoss],
      because: String
    ) {
      report = LinkWatch.Report(changes, isOverrun: listed != nil)
      (self.listed, self.lost, self.because) = (listed ?? nil, lost, because)
    }
  }

  static let cases = [
    Case(.absent(.init("a0", index: 5)), lost: [5: .gone], because: "deleted or moved away"),
    Case(.absent(.init("a0", index: 9)), lost: [:], because: "another that had the name"),
    Case(
      .absent(.init("b0", index: 6)), .present(.init("a1", index: 6)), lost: [6: .gone],
      because: "renamed, gone, and another under its name and number"),
    Case(.present(.init("a2", index: 7, master: 3)), lost: [7: .enslaved], because: "put into a bridge"),
    Case(
      .present(.init("a2", index: 7, master: 3)), .present(.init("a2", index: 7)), lost: [7: .enslaved],
      because: "for a moment"),
    Case(
      .present(.init("a0", index: 5, isUp: false)), .present(.init("b9", index: 6)), lost: [:],
      because: "down, renamed: still the same devices"),
    Case(
      overrun: [.init("a0", index: 5), .init("a2", index: 7, master: 3)],
      lost: [5: .unsure, 6: .gone, 7: .enslaved], because: "changes were lost: none is known to be the same"),
    Case(
      .absent(.init("a0", index: 5)), overrun: .some(nil), lost: [5: .gone, 6: .unsure, 7: .unsure],
      because: "nor can anybody say what there is"),
  ]

  @Test("OPS-04: a link is closed for good by what became of its number", arguments: cases)
  func losses(_ test: Case) {
    var settings = Self.settings()
    let lost = settings.close(after: test.report, listed: test.listed)
    #expect(
      Dictionary(lost.map { ($0.index, $0.loss) }) { first, _ in first } == test.lost, "\(test.because)")
    #expect(lost.count == test.lost.count)
    #expect(Self.open(settings).count == 3 - lost.count)
    let back = LinkWatch.Report([5, 6, 7].map { .present(.init("a\($0 - 5)", index: $0)) })
    #expect(settings.close(after: back).isEmpty && Self.open(settings).count == 3 - lost.count)
    #expect(settings.close(after: test.report, listed: test.listed).isEmpty, "each is told once")
  }

  @Test("OPS-04: what comes by a closed link goes to nobody, and nothing goes to it")
  func table() throws {
    var settings = Self.settings()
    let rules = try MessageTests.rules()
    let whole = settings.table(rules)
    _ = settings.close(after: LinkWatch.Report([.absent(.init("a1", index: 6))]))
    let closed = settings.table(rules)
    #expect(closed.sets == whole.sets, "its name and its number are still no stranger's to use")
    let text = { (table: Table, chain: String) in
      try #require(table.chains.first { $0.name == chain }).rules
    }
    let dispatched = try text(closed, "prerouting").compactMap { rule -> Datum? in
      guard case .compare(.iif, let number, .equal)? = rule.expressions.first else { return nil }
      return number
    }
    #expect(dispatched == [.number(5), .number(7)])
    for chain in ["forward", "answers"] {
      let drop = try #require(try text(closed, chain).first)
      #expect(drop.expressions.first == .compare(.oifname, .interface("a1")))
      #expect(drop.expressions.last == .goto("unforwarded"), "which counts and drops")
      // In `forward` the rule that counted what came by it has gone as well.
      let more = chain == "forward" ? 0 : 1
      #expect(try text(closed, chain).count == text(whole, chain).count + more)
    }
  }
}

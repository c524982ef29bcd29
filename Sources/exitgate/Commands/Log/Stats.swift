import Addressing
import ArgumentParser
import Audit
import Policy
import Review

extension Log {
  /// `exitgate log stats`
  struct Stats: Verb {
    static let configuration = CommandConfiguration(
      commandName: "stats",
      abstract: "Add up decisions, connections and bytes.",
      discussion: """
        Totals, then by reason, by agent, and the destinations with the most bytes and the most denials.

          exitgate log stats --since 1d
          exitgate log stats --json | jq .reasons
        """)

    @OptionGroup var records: RecordOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    /// How many destinations are shown in each list.
    private static let shown = 10

    func run(in here: Surroundings) throws(Failure) -> Int32 {
      var report = StatsReport()
      try records.forEach(in: here) { report.add($0) }
      if json {
        here.console.result(report.json(top: Self.shown))
      } else {
        page(report).forEach(here.console.result)
      }
      return 0
    }

    private func page(_ report: StatsReport) -> [Text] {
      guard let first = report.first, let last = report.last else { return ["no records"] }
      var lines: [Text] = ["from \(first) to \(last)"]
      lines += table([row("all", report.totals)], indent: "  ")
      lines += section(
        "reasons",
        report.reasons.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
          .map { [Text(ascii: $0.key), Text("\($0.value)")] })
      lines += section("agents", report.agents.sorted { $0.key < $1.key }.map { row($0.key, $0.value) })
      lines += section(
        "most bytes", report.topByBytes(Self.shown).map { row("\($0.destination)", $0.totals) })
      lines += section(
        "most denials", report.topByDenials(Self.shown).map { row("\($0.destination)", $0.totals) })
      return lines
    }

    private func section(_ title: String, _ rows: [[Text]]) -> [Text] {
      rows.isEmpty ? [] : [Text(title, .strong)] + table(rows, indent: "  ")
    }

    private func row(_ name: String, _ totals: StatsReport.Totals) -> [Text] {
      let passed = totals.wouldDeny > 0 ? Text("\(totals.wouldDeny) would be denied", .doubtful) : ""
      return [
        Text(ascii: name), "\(totals.allowed) allowed", "\(totals.denied) denied", "\(totals.held) held",
        "\(size(totals.bytesOut)) out", "\(size(totals.bytesIn)) in", passed,
      ]
    }
  }
}

extension StatsReport {
  fileprivate func json(top: Int) -> JSONValue {
    .object([
      .init("first", first.map { .string($0.description) } ?? .null),
      .init("last", last.map { .string($0.description) } ?? .null), .init("totals", .object(totals.members)),
      .init(
        "reasons",
        .object(reasons.sorted { $0.key < $1.key }.map { .init($0.key, .integer(Int64(clamping: $0.value))) })
      ),
      .init(
        "agents",
        .array(
          agents.sorted { $0.key < $1.key }.map {
            .object([.init("agent", .string($0.key))] + $0.value.members)
          })),
      .init("most_bytes", .array(topByBytes(top).map(entry))),
      .init("most_denials", .array(topByDenials(top).map(entry))),
    ])
  }

  private func entry(_ destination: Destination, _ totals: Totals) -> JSONValue {
    .object([.init("destination", .string("\(destination)"))] + totals.members)
  }
}

extension StatsReport.Totals {
  fileprivate var members: [JSONValue.Member] {
    [
      ("allowed", allowed), ("held", held), ("denied", denied), ("would_deny", wouldDeny), ("closed", closed),
      ("bytes_out", bytesOut), ("bytes_in", bytesIn),
    ].map { .init($0.0, .integer(Int64(clamping: $0.1))) }
  }
}

import Addressing
import Audit
import Policy
import Review

/// How totals are shown.
struct StatsView {
  let report: StatsReport
  let use: RuleUse?
  /// When it is looked at.
  let now: Timestamp

  /// How many destinations are shown in each list.
  private static let shown = 10
  /// How many hours the chart goes back.
  private static let hours: Int64 = 24
  /// In columns.
  private static let chartWidth: UInt64 = 40

  var page: [Text] {
    guard let first = report.first, let last = report.last else { return ["no records"] }
    var lines: [Text] = ["from \(first) to \(last)"]
    lines += table([row("all", report.totals)], indent: "  ")
    if report.lostEvents > 0 {
      lines.append("  \(count(report.lostEvents, "denied packet")) more that the kernel only counted")
    }
    if let later = report.chart(of: Self.hours, at: now)?.later, later > 0 {
      lines.append("  \(Text("\(count(later, "decision")) from the future: a clock was wrong", .doubtful))")
    }
    if report.folded > 0 {
      lines.append(
        "  \(count(report.folded, "decision")) at more places than are told apart, which stand for none of the destinations below"
      )
    }
    lines += section(
      "reasons",
      report.reasons.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        .map { [Text(ascii: $0.key), Text("\($0.value)")] })
    lines += section("agents", report.agents.sorted { $0.key < $1.key }.map { row($0.key, $0.value) })
    lines += section("by hour", chart)
    lines += section(
      "most bytes", report.topByBytes(Self.shown).map { row("\($0.destination)", $0.totals) })
    lines += section(
      "most denials", report.topByDenials(Self.shown).map { row("\($0.destination)", $0.totals) })
    return lines + (use.map(rules) ?? [])
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

  /// A bar for each hour: what was let through, then what was denied or would have been.
  private var chart: [[Text]] {
    guard let hours = report.chart(of: Self.hours, at: now)?.hours,
      let first = report.hours.keys.filter(hours.contains).min()
    else { return [] }
    let shown = first...hours.upperBound
    let most = shown.map { report.hours[$0]?.shown ?? 0 }.max() ?? 0
    guard most > 0 else { return [] }
    return shown.map { hour in
      let totals = report.hours[hour] ?? StatsReport.Totals()
      let good = bar("=", totals.good, of: most), bad = bar("#", totals.bad, of: most)
      let time = Timestamp(milliseconds: hour * Tally.hourLength).description.prefix(13)
      return [
        Text("\(time)h"), Text(good, .good) + Text(bad, .bad), "\(totals.good) passed",
        "\(totals.bad) denied",
      ]
    }
  }

  /// At least one mark for anything that is not nothing.
  private func bar(_ mark: String, _ value: UInt64, of most: UInt64) -> String {
    guard value > 0 else { return "" }
    let (product, isBeyond) = value.multipliedReportingOverflow(by: Self.chartWidth)
    let width = isBeyond ? value / max(1, most / Self.chartWidth) : product / most
    return String(repeating: mark, count: Int(clamping: max(1, width)))
  }

  private func rules(_ use: RuleUse) -> [Text] {
    section(
      "rules that nothing has needed since \(report.first.map { "\($0)" } ?? "ever"), where the records begin, or since they came",
      use.unused.map {
        [Text(ascii: $0.rule.id.text), "not for \(span($0.idle)) at most", Text(ascii: $0.rule.source)]
      })
      + section(
        "rules that nothing has needed for long",
        use.stale.map {
          [Text(ascii: $0.rule.id.text), "not for \(span($0.idle))", Text(ascii: $0.rule.source)]
        })
      + section(
        "rules that run out",
        use.expiring.map {
          [
            Text(ascii: $0.rule.id.text), Text("at " + ($0.rule.expires?.description ?? "")),
            Text(ascii: $0.rule.source),
          ]
        })
  }
}

extension StatsReport.Totals {
  fileprivate var shown: UInt64 { good &+ bad }
  /// What passed by a rule.
  fileprivate var good: UInt64 { allowed &- min(allowed, wouldDeny) }
  /// What did not, or would not have.
  fileprivate var bad: UInt64 { denied &+ held &+ wouldDeny }

  fileprivate var members: [JSONValue.Member] {
    [
      ("allowed", allowed), ("held", held), ("denied", denied), ("would_deny", wouldDeny), ("closed", closed),
      ("bytes_out", bytesOut), ("bytes_in", bytesIn),
    ].map { .init($0.0, .integer(Int64(clamping: $0.1))) }
  }
}

extension StatsView {
  var json: JSONValue {
    .object(
      [
        .init("first", report.first.map { .string($0.description) } ?? .null),
        .init("last", report.last.map { .string($0.description) } ?? .null),
        .init("totals", .object(report.totals.members)),
        .init("events_lost", .integer(Int64(clamping: report.lostEvents))),
        .init(
          "future", .integer(Int64(clamping: report.chart(of: Self.hours, at: now)?.later ?? 0))),
        .init("folded", .integer(Int64(clamping: report.folded))), .init("reasons", reasons),
        .init("agents", list("agent", report.agents.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })),
        .init(
          "hours", list("hour", report.hours.sorted { $0.key < $1.key }.map { (hour($0.key), $0.value) })),
        .init(
          "most_bytes",
          list("destination", report.topByBytes(Self.shown).map { ("\($0.destination)", $0.totals) })),
        .init(
          "most_denials",
          list("destination", report.topByDenials(Self.shown).map { ("\($0.destination)", $0.totals) })),
      ] + (use.map(ruleMembers) ?? []))
  }

  private var reasons: JSONValue {
    .object(
      report.reasons.sorted { $0.key < $1.key }.map { .init($0.key, .integer(Int64(clamping: $0.value))) })
  }

  private func hour(_ number: Int64) -> String {
    Timestamp(milliseconds: number * Tally.hourLength).description
  }

  private func list(_ name: String, _ entries: [(String, StatsReport.Totals)]) -> JSONValue {
    .array(entries.map { .object([.init(name, .string($0.0))] + $0.1.members) })
  }

  private func ruleMembers(_ use: RuleUse) -> [JSONValue.Member] {
    [
      .init("unused_rules", .array(use.unused.map(entry))),
      .init("stale_rules", .array(use.stale.map(entry))),
      .init("expiring_rules", .array(use.expiring.map(entry))),
    ]
  }

  private func entry(_ entry: RuleUse.Entry) -> JSONValue {
    .object([
      .init("rule", .string(entry.rule.id.text)), .init("source", .string(entry.rule.source)),
      .init("last", entry.last.map { .string($0.description) } ?? .null),
      .init("idle_seconds", .integer(entry.idle.components.seconds)),
      .init("idle_since", .string(entry.last == nil ? "records begin" : "last use")),
      .init("expires", entry.rule.expires.map { .string($0.description) } ?? .null),
    ])
  }
}

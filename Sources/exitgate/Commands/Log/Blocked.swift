import Addressing
import ArgumentParser
import Audit
import Policy
import Review

extension Log {
  /// `exitgate log blocked`
  struct Blocked: Verb {
    static let configuration = CommandConfiguration(
      commandName: "blocked",
      abstract: "Show what was blocked, and the rule that would allow it.",
      discussion: """
        Denials are grouped by agent and destination, the most frequent first, each with how often, when first \
        and last, why, and a rule that opens this host, port and protocol alone; for http, narrow it to methods \
        and paths yourself. For a name that was asked over DNS it is https, unless only other types than \
        addresses were asked. In audit mode the same list shows what would have been blocked. Where no rule can \
        help (the floor, a deny rule, malformed requests), none is shown.

          exitgate log blocked --since 1h
          exitgate log blocked --json | jq -r '.suggested_rule // empty'
        """)

    @OptionGroup var records: RecordOptions

    @Flag(help: "Print one JSON object for each group.")
    var json = false

    func run(in here: Surroundings) throws(Failure) -> Int32 {
      var report = BlockedReport()
      try records.forEach(in: here) { report.add($0) }
      let rows = report.rows
      for row in rows {
        if json { here.console.result(row.json) } else { row.lines.forEach(here.console.result) }
      }
      if report.others > 0 {
        here.console.say(
          "exitgate: \(report.others) more, in too many groups to tell apart. Narrow the time.")
      }
      if report.suffixed > 0 {
        here.console.say(
          "exitgate: \(count(report.suffixed, "question")) with a search suffix behind a name that may be resolved."
        )
      }
      if rows.isEmpty { here.console.say("exitgate: nothing was blocked.") }
      return 0
    }
  }
}

extension BlockedReport.Row {
  /// Where to: of a question, the name and the types.
  private var place: String {
    guard let destination else { return "no destination that can be read" }
    guard destination.traffic == .dns, !recordTypes.isEmpty else { return "\(destination)" }
    return "DNS \(recordTypes.sorted().joined(separator: ", ")) of \(destination.host)"
  }

  /// The group for people: what, then when and why, then the way out.
  fileprivate var lines: [Text] {
    let times = count == 1 ? "once, at \(last)" : "\(count) times, from \(first) to \(last)"
    let why = reasons.keys.sorted().joined(separator: ", ") + (rule.map { " (\($0))" } ?? "")
    let places = layers.map(\.rawValue).sorted().joined(separator: ", ")
    var lines: [Text] = ["\(Text(ascii: place, .strong))  agent \(Text(ascii: agent))"]
    lines.append("  \(times); \(Text(ascii: why)); at \(places)")
    if passed > 0 { lines.append("  \(Text("passed \(passed) times: NOT ENFORCING", .bad))") }
    if let suggestedRule { lines.append("  - \(Text(ascii: suggestedRule, .good))") }
    return lines
  }

  fileprivate var json: JSONValue {
    .object([
      .init("agent", .string(agent)), .init("destination", destination.map { .string("\($0)") } ?? .null),
      .init("host", destination.map { .string("\($0.host)") } ?? .null),
      .init("port", destination.map { .integer(Int64($0.port.number)) } ?? .null),
      .init("protocol", destination.map { .string($0.traffic.rawValue) } ?? .null),
      .init("record_types", .array(recordTypes.sorted().map { .string($0) })),
      .init("count", .integer(Int64(clamping: count))), .init("passed", .integer(Int64(clamping: passed))),
      .init("first", .string(first.description)), .init("last", .string(last.description)),
      .init("layers", .array(layers.map(\.rawValue).sorted().map { .string($0) })),
      .init("reason", .string(reason)),
      .init(
        "reasons",
        .object(reasons.sorted { $0.key < $1.key }.map { .init($0.key, .integer(Int64(clamping: $0.value))) })
      ),
      .init("rule", rule.map { .string($0) } ?? .null),
      .init("suggested_rule", suggestedRule.map { .string($0) } ?? .null),
    ])
  }
}

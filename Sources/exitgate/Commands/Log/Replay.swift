import Addressing
import ArgumentParser
import Audit
import Policy
import PolicyFile
import Review

extension Log {
  /// `exitgate log replay`
  struct Replay: Verb {
    static let configuration = CommandConfiguration(
      commandName: "replay",
      abstract: "Say which recorded decisions another policy would change.",
      discussion: """
        Every decision of the log that was the rules' to make is asked again under the new policy, by the code \
        with which the gate decides, and those that come out otherwise are shown: first what was allowed and would be \
        denied, then what was denied (or only passed in audit mode) and would be allowed, then requests that depend \
        on a path, which no log holds. Decisions about malformed requests, handshakes, limits and the floor are no \
        rule's, and are only counted.

          exitgate log replay --policy new.yaml
          exitgate log replay --policy new.yaml --since 7d --json

        Exit status: 0 when nothing that was allowed would be denied, 1 when something would or nobody can say, 65 for a policy that \
        does not load.
        """)

    @OptionGroup var records: RecordOptions

    @OptionGroup var index: IndexOption

    @Option(
      help: ArgumentHelp("The policy that is asked.", valueName: "file"),
      completion: .file(extensions: ["yaml", "yml"]))
    var policy: String

    @Flag(help: "Print one JSON object.")
    var json = false

    func run(in here: Surroundings) throws(Failure) -> Int32 {
      let loaded = try Reading.policy(at: policy, in: here)
      let summary = try index.summary(of: records, in: here)
      let report = ReplayReport(summary, under: loaded.policy, at: wallClock())
      if json { here.console.result(report.json) } else { report.page.forEach(here.console.result) }
      records.warn(of: summary.unreadable, on: here.console)
      if report.unknown > 0 {
        here.console.say(
          "exitgate: \(count(report.unknown, "allowed decision")) at places that are too many to be told apart; "
            + "what becomes of them is not known. Narrow it with --since, --agent or --destination.")
      }
      if report.unknownDenials > 0 {
        here.console.say(
          "exitgate: \(count(report.unknownDenials, "denied decision")) at places that are too many to be told apart; "
            + "whether they would be allowed is not known.")
      }
      return report.hasNewDenials || report.unknown > 0 ? Failure.Status.general.rawValue : 0
    }
  }
}

extension ReplayReport {
  fileprivate var page: [Text] {
    let lines = Change.allCases.flatMap { change -> [Text] in
      let own = groups.filter { $0.change == change }
      return own.isEmpty
        ? [] : [change.heading(count(own.reduce(0) { $0 &+ $1.count }, "decision"))] + own.flatMap(\.lines)
    }
    return lines + ["\(count(unchanged, "decision")) unchanged, \(others) not the rules' to make"]
  }

  fileprivate var json: JSONValue {
    .object([
      .init("changes", .array(groups.map(\.json))), .init("unchanged", .integer(Int64(clamping: unchanged))),
      .init("not_by_rules", .integer(Int64(clamping: others))),
      .init("unknown", .integer(Int64(clamping: unknown))),
      .init("unknown_denials", .integer(Int64(clamping: unknownDenials))),
      .init("newly_denied", .bool(hasNewDenials)),
    ])
  }
}

extension ReplayReport.Change {
  fileprivate func heading(_ number: String) -> Text {
    switch self {
    case .newlyDenied: "\(Text("allowed, and would be denied", .bad)): \(number)"
    case .newlyAllowed: "\(Text("denied, and would be allowed", .doubtful)): \(number)"
    case .undecidable: "\(Text("depends on the path", .doubtful)), which no log holds: \(number)"
    }
  }
}

extension ReplayReport.Group {
  private var place: String {
    guard question.destination.traffic == .dns, let type = question.recordType else {
      return "\(question.destination)"
    }
    return "DNS \(type) of \(question.destination.host)"
  }

  fileprivate var lines: [Text] {
    let times = count == 1 ? "once, at \(last)" : "\(count) times, from \(first) to \(last)"
    let old = oldReason + (oldRule.map { " (\($0))" } ?? "")
    let new = decision.reason.rawValue + (decision.rule.map { " (\($0.id))" } ?? "")
    return [
      "  \(Text(ascii: place, .strong))  agent \(question.agent)\(question.method.map { "  \($0)" } ?? "")",
      "    \(times); \(Text(ascii: old)) -> \(decision.answer.rawValue): \(new)",
    ]
  }

  fileprivate var json: JSONValue {
    .object([
      .init("change", .string(change.rawValue)), .init("agent", .string(question.agent.text)),
      .init("destination", .string("\(question.destination)")),
      .init("record_type", question.recordType.map { .string($0) } ?? .null),
      .init("method", question.method.map { .string($0) } ?? .null),
      .init("count", .integer(Int64(clamping: count))), .init("first", .string(first.description)),
      .init("last", .string(last.description)), .init("old_reason", .string(oldReason)),
      .init("old_rule", oldRule.map { .string($0) } ?? .null),
      .init("answer", .string(decision.answer.rawValue)),
      .init("reason", .string(decision.reason.rawValue)),
      .init("rule", decision.rule.map { .string($0.id.text) } ?? .null),
    ])
  }
}

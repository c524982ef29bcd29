import Addressing
import ArgumentParser
import Audit
import Policy
import PolicyFile
import Review

extension Log {
  /// `exitgate log stats`
  struct Stats: Verb {
    static let configuration = CommandConfiguration(
      commandName: "stats",
      abstract: "Add up decisions, connections and bytes.",
      discussion: """
        Totals, then by reason, by agent, by hour, and the destinations with the most bytes and the most denials. \
        With --policy also which of its rules nothing has needed, and which will run out: an allowlist that shrinks \
        is worth more.

          exitgate log stats --since 1d
          exitgate log stats --policy policy.yaml
          exitgate log stats --json | jq .reasons
        """)

    @OptionGroup var records: RecordOptions

    @OptionGroup var index: IndexOption

    @Option(
      help: ArgumentHelp("Look for rules of this policy that nothing has needed.", valueName: "file"),
      completion: .file(extensions: ["yaml", "yml"]))
    var policy: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run(in here: Surroundings) throws(Failure) -> Int32 {
      let summary = try index.summary(of: records, in: here), report = StatsReport(summary)
      let use: RuleUse?
      if let policy {
        let loaded = try Reading.policy(at: policy, in: here)
        use = RuleUse(of: loaded.policy, in: report, at: wallClock())
      } else {
        use = nil
      }
      let view = StatsView(report: report, use: use, now: wallClock())
      if json { here.console.result(view.json) } else { view.page.forEach(here.console.result) }
      records.warn(of: summary.unreadable, on: here.console)
      return 0
    }
  }
}

import Addressing
import ArgumentParser
import Audit
import Glibc
import Policy
import Review

extension Log {
  /// `exitgate log blocked`
  struct Blocked: Verb {
    static let configuration = CommandConfiguration(
      commandName: "blocked",
      abstract: "Show what was blocked, and the rule that would allow it.",
      discussion: """
        Denials are grouped by registered domain, host, port, protocol and agent, the most frequent first, each with \
        how often, when first and last, why, where in the gate, and a rule that opens this host, port and protocol \
        alone, or the ready-made list that already holds it; for http, narrow the rule to methods \
        and paths yourself. For a name that was asked over DNS it is https, unless only other types than \
        addresses were asked. In audit mode the same list shows what would have been blocked. Where no rule can \
        help (the floor, a deny rule, malformed requests), none is shown.

          exitgate log blocked --since 1h
          exitgate log blocked --destination '**.example.com' --sort last --limit 20
          exitgate log blocked --json | jq -r '.suggested_rule // empty'
          exitgate log blocked --csv >blocked.csv
          exitgate log blocked --follow

        On a terminal, more than a screen is shown by $EXITGATE_PAGER, else $PAGER, else less (-FRX). Empty, cat or \
        --no-pager does without; into a pipe or a file nothing is paged.
        """)

    @OptionGroup var records: RecordOptions

    @OptionGroup var index: IndexOption

    @Option(help: ArgumentHelp("In which order: count, last, first or destination.", valueName: "order"))
    var sort: BlockedOrder = .count

    @Option(help: ArgumentHelp("How many groups at most: all, unless given.", valueName: "number"))
    var limit: Int?

    @Option(help: ArgumentHelp("Which page of --limit groups, from 1.", valueName: "number"))
    var page: Int = 1

    @Flag(
      name: [.short, .long], help: "Go on with what is written from now on: each group again as it grows.")
    var follow = false

    @Flag(help: "Print one JSON object for each group.")
    var json = false

    @Flag(help: "Print a table for spreadsheets (RFC 4180), its first line the names of the columns.")
    var csv = false

    @Flag(help: "On a terminal, print what is longer than the screen as it is.")
    var noPager = false

    func validate() throws {
      if json, csv { throw ValidationError("--json and --csv exclude each other.") }
      if let limit, limit < 1 { throw ValidationError("--limit takes 1 or more.") }
      if page < 1 { throw ValidationError("--page takes 1 or more.") }
      if page > 1, limit == nil { throw ValidationError("--page needs --limit.") }
      if follow, limit != nil || csv {
        throw ValidationError("--follow goes with neither --csv nor --limit.")
      }
    }

    func run(in here: Surroundings) throws(Failure) -> Int32 {
      let view = BlockedView(form: json ? .json : csv ? .csv : .text, now: wallClock())
      if follow { try follow(view, in: here) }
      let summary = try index.summary(of: records, in: here)
      let report = BlockedReport(summary), groups = sort.sorted(report.groups)
      here.console.paged(by: noPager ? nil : Pager(here.environment)) {
        view.show(shown(of: groups), of: groups, on: here.console)
      }
      tell(report, groups.count, unreadable: summary.unreadable, on: here.console)
      if groups.isEmpty, report.isEmpty, try !tellOfNameless(in: here) {
        here.console.say("exitgate: nothing was blocked.")
      }
      return 0
    }

    /// What the gate counted without its place may be what was asked for.
    private func tellOfNameless(in here: Surroundings) throws(Failure) -> Bool {
      guard records.filter.destination != nil else { return false }
      let report = BlockedReport(try index.summary(of: records, anywhere: true, in: here))
      guard report.others > 0 else { return false }
      here.console.say(
        "exitgate: no group; but \(count(report.others, "denial")) that the gate itself counted without their places may be among them."
      )
      return true
    }

    private func shown(of groups: [BlockedReport.Group]) -> ArraySlice<BlockedReport.Group> {
      guard let limit else { return groups[...] }
      let (start, isBeyond) = limit.multipliedReportingOverflow(by: page - 1)
      return isBeyond ? [] : groups.dropFirst(start).prefix(limit)
    }

    private func tell(_ report: BlockedReport, _ total: Int, unreadable: Int, on console: Console) {
      if let limit, total > limit {
        console.say("exitgate: page \(page) of \((total - 1) / limit + 1), \(count(total, "group")) in all.")
      }
      if report.folded > 0 {
        console.say(
          "exitgate: \(count(report.folded, "denial")) at more places than are told apart: they stand in groups of a whole domain or agent. "
            + "Narrow it with --agent, --destination or --since.")
      }
      if report.others > 0 {
        console.say("exitgate: \(report.others) more that the gate itself counted without their places.")
      }
      if report.lostEvents > 0 {
        console.say(
          "exitgate: \(count(report.lostEvents, "denied packet")) more that the kernel only counted.")
      }
      if report.suffixed > 0 {
        console.say(
          "exitgate: \(count(report.suffixed, "question")) with a search suffix behind a name that may be resolved."
        )
      }
      records.warn(of: unreadable, on: console)
    }

    private func follow(_ view: BlockedView, in here: Surroundings) throws(Failure) -> Never {
      var lines = try FollowedLog(records, in: here)
      var shown: [BlockedKey: UInt64] = [:]
      while true {
        let groups = sort.sorted(BlockedReport(try lines.summary()).groups)
        let changed = groups.filter { group in
          shown.updateValue(group.count, forKey: BlockedKey(group)) != group.count
        }
        view.show(changed[...], of: groups, on: here.console)
        here.console.flush()
        try lines.wait()
      }
    }
  }
}

extension BlockedOrder: ExpressibleByArgument {}

/// By what a group is known again.
private struct BlockedKey: Hashable {
  let agent: String
  let destination: Destination?
  let fold: Fold?

  init(_ group: BlockedReport.Group) {
    (agent, destination, fold) = (group.agent, group.destination, group.fold)
  }
}

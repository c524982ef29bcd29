import Addressing
import ArgumentParser
import Audit
import Policy
import Review

/// `exitgate log`
struct Log: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log",
    abstract: "Read the audit log.",
    discussion: """
      The log is read from its files; the gate need not run. Narrow what is shown by agent, destination, \
      reason, layer and time. What a large log adds up to is kept in an index beside it, so that only what was \
      written since has to be read; the log is what counts, and the index may be removed at any time.

        exitgate log tail --follow
        exitgate log blocked --since 1h
        exitgate log verify
        exitgate log ship --to syslog+tls://logs.example.com:6514 --ca ca.pem
      """,
    subcommands: [
      Tail.self, Blocked.self, Suggest.self, Replay.self, Stats.self, Verify.self, Export.self,
      Ship.self,
    ])
}

/// Which records count.
struct RecordOptions: ParsableArguments {
  @OptionGroup var auditLog: AuditLogOption

  @Option(
    help: ArgumentHelp(
      "Only from this time on: 30m, 2h or 7d ago, or 2026-11-24T10:00:00Z.", valueName: "time"),
    transform: Reading.since)
  var since: Timestamp?

  @Option(help: ArgumentHelp("Only of this agent.", valueName: "name"), transform: Reading.agent)
  var agent: AgentName?

  @Option(
    help: ArgumentHelp(
      "Only to this host: a name, '*.example.com', '**.example.com', an address or a CIDR block.",
      valueName: "host"),
    transform: Reading.hostPattern)
  var destination: HostPattern?

  @Option(
    help: ArgumentHelp("Only for this reason, as in the log: no-rule, deny-rule, …", valueName: "reason"))
  var reason: String?

  @Option(
    help: ArgumentHelp(
      "Only decided here: connect, http, socks, transparent, sni, dns or kernel.", valueName: "layer"),
    transform: Reading.layer)
  var layer: Layer?

  var filter: RecordFilter {
    RecordFilter(since: since, agent: agent?.text, destination: destination, reason: reason, layer: layer)
  }

  func reader(in here: Surroundings) throws(Failure) -> LogReader {
    let path = try auditLog.existing(in: here)
    do { return try LogReader(path: path) } catch { throw Failure(error) }
  }

  func warn(of unreadable: Int, on console: Console) {
    guard unreadable > 0 else { return }
    console.say(
      "exitgate: \(count(unreadable, "line")) of the log cannot be read. Run 'exitgate log verify'.")
  }
}

/// Whether the index beside the log is used.
struct IndexOption: ParsableArguments {
  @Flag(help: "Read the whole log, and neither use nor write the index beside it (FILE.index).")
  var noIndex = false

  /// Sums up the records that count.
  ///
  /// - Parameter anywhere: Whether the destination does not count.
  func summary(
    of records: RecordOptions, anywhere: Bool = false, in here: Surroundings
  ) throws(Failure) -> LogSummary {
    let path = try records.auditLog.existing(in: here)
    var filter = records.filter
    if anywhere { filter.destination = nil }
    do throws(AuditError) {
      if noIndex { return try LogSummary.of(logAt: path, filter) }
      let bar = ProgressBar("indexing the log", environment: here.environment)
      let answer = try LogIndex(ofLogAt: path).summary(filter) { bar.show($0, of: $1) }
      bar.clear()
      if let notice = answer.notice { here.console.say("exitgate: \(Text(ascii: notice.description))") }
      return answer.summary
    } catch { throw Failure(error) }
  }
}

extension Failure {
  /// A log that cannot be read: naming another one is configuration.
  init(_ error: AuditError) {
    self.init(.configuration, "\(error)")
  }
}

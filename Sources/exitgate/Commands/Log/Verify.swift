import ArgumentParser
import Audit

extension Log {
  /// `exitgate log verify`
  struct Verify: Verb {
    static let configuration = CommandConfiguration(
      commandName: "verify",
      abstract: "Check that nothing in the log was changed, taken out or cut off.",
      discussion: """
        Each record carries a hash over itself and the record before; a signed checkpoint comes every 1000 \
        records or 60 s. The first line names the first bad record. What is behind the last checkpoint is \
        chained, not yet signed. Whoever holds the signing key beside the log can write a log that verifies: \
        keep the public key and what is signed elsewhere ('exitgate log ship'), and compare.

          exitgate log verify
          exitgate log verify --checkpoint /far/exitgate.log --key "$(cat audit.jsonl.key.pub)"
          exitgate log verify --audit-log /backup/audit.jsonl --json

        With --checkpoint the log must hold exactly each state of its chain that was signed and shipped, so one that \
        was written anew, by whoever holds the key, or cut off is found.

        Exit status: 0 when the log is intact, 1 when it is not, 78 when it cannot be read.
        """)

    @OptionGroup var auditLog: AuditLogOption

    @Option(
      help: ArgumentHelp(
        "The public key, if you kept it elsewhere: what stood in the log's .key.pub file.", valueName: "hex"),
      transform: Reading.key)
    var key: VerifyingKey?

    @Option(
      help: ArgumentHelp(
        "A file of what was shipped: checkpoint records or head files, as lines, in syslog messages, or as text in JSON.",
        valueName: "file"), completion: .file())
    var checkpoint: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run(in here: Surroundings) throws(Failure) -> Int32 {
      let path = try auditLog.existing(in: here)
      let found: Verification
      do throws(AuditError) {
        found = try LogVerifier(path: path, key: key).verify(againstCheckpointsIn: checkpoint)
      } catch { throw Failure(error) }
      if json { here.console.result(found.json) } else { page(found, of: path).forEach(here.console.result) }
      return found.isIntact ? 0 : Failure.Status.general.rawValue
    }

    private func page(_ found: Verification, of path: String) -> [Text] {
      let verdict = found.isIntact ? Text("intact", .good) : Text("NOT INTACT", .bad)
      var lines = found.findings.map { Text($0.description, .bad) }
      let more = found.findingCount - found.findings.count
      if more > 0 { lines.append("and \(more) more") }
      lines.append(
        "\(path): \(verdict), \(count(found.records, "record")), \(count(found.checkpoints, "good checkpoint")), "
          + "signed through record \(found.signedThrough)")
      if let first = found.firstSequence, first > 1, found.isIntact {
        lines.append("it begins with record \(first): the files before that one were taken away")
      }
      if let shipped = found.shipped {
        lines.append("\(checkpoint ?? ""): \(Self.words(shipped))")
        if key == nil { lines.append("the key is the one beside the log; pin it with --key") }
      }
      if found.tornBytes > 0 {
        lines.append(
          "\(count(found.tornBytes, "byte")) of an unfinished record at the end; the next start cuts it off")
      }
      return lines
    }

    private static func words(_ shipped: Verification.Shipped) -> String {
      let before = shipped.before == 0 ? "" : ", \(shipped.before) from before the log begins"
      return "the log holds \(shipped.matched) of \(count(shipped.checkpoints, "signed state"))\(before)"
    }
  }
}

extension Verification {
  fileprivate var json: JSONValue {
    .object([
      .init("intact", .bool(isIntact)), .init("records", number(records)),
      .init("first", number(firstSequence)),
      .init("last", number(lastSequence)), .init("checkpoints", .integer(Int64(checkpoints))),
      .init("signed_through", number(signedThrough)), .init("torn_bytes", .integer(Int64(tornBytes))),
      .init("shipped", shipped.map(entry) ?? .null),
      .init("finding_count", .integer(Int64(findingCount))), .init("findings", .array(findings.map(entry))),
    ])
  }

  private func entry(_ shipped: Shipped) -> JSONValue {
    .object([
      .init("checkpoints", .integer(Int64(shipped.checkpoints))),
      .init("matched", .integer(Int64(shipped.matched))), .init("before", .integer(Int64(shipped.before))),
    ])
  }

  private func entry(_ finding: Finding) -> JSONValue {
    .object([
      .init("file", .string(finding.file)), .init("line", finding.line.map { .integer(Int64($0)) } ?? .null),
      .init("seq", number(finding.sequence)), .init("problem", .string(finding.problem.description)),
    ])
  }

  private func number(_ value: UInt64?) -> JSONValue {
    value.map { .integer(Int64(clamping: $0)) } ?? .null
  }
}

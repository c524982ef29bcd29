import ArgumentParser
import Audit
import Policy
import PolicyFile

/// `exitgate check`
struct Check: Verb {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Read policies and say everything that is wrong with them.",
    discussion: """
      Every problem is shown at once, as 'file:line:column: cause. Remedy.', with whatever the file includes. \
      Nothing is started and nothing is asked on the network.

        exitgate check policy.yaml
        exitgate check allowlists/*.yaml
        exitgate check --json policy.yaml | jq .diagnostics

      Exit status: 0 when all files are right (warnings are no errors), 65 when one is not.
      """)

  @Argument(help: "The policy files.", completion: .file(extensions: ["yaml", "yml"]))
  var files: [String]

  @Flag(help: "Print one JSON object for each file.")
  var json = false

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    let loader = PolicyLoader(
      runMode: .serve, environment: here.environment, workingDirectory: here.workingDirectory,
      now: wallClock(), hasDNSListener: nil)
    var wrong = false
    for file in files {
      do throws(PolicyFileError) {
        report(try loader.load(path: file), of: file, to: here.console)
      } catch {
        wrong = true
        report(error, of: file, to: here.console)
      }
    }
    return wrong ? Failure.Status.policy.rawValue : 0
  }

  private func report(_ loaded: LoadedPolicy, of file: String, to console: Console) {
    if json { return console.result(verdict(file, loaded.warnings, policy: loaded)) }
    for warning in loaded.warnings { console.say("\(Text(warning.description, .doubtful))") }
    let policy = loaded.policy
    let note: Text =
      policy.mode == .enforce ? "" : "; \(Text("NOT ENFORCING: mode is audit", .doubtful))"
    console.result(
      "\(file): \(Text("ok", .good)), \(count(policy.rules.count, "rule")), \(count(policy.agents.count, "agent"))\(note)"
    )
  }

  private func report(_ error: PolicyFileError, of file: String, to console: Console) {
    if json { return console.result(verdict(file, error.diagnostics, policy: nil)) }
    for diagnostic in error.diagnostics {
      console.say("\(Text(diagnostic.description, diagnostic.isWarning ? .doubtful : .plain))")
    }
    let problems = error.diagnostics.count { !$0.isWarning }
    console.say("exitgate: \(file): \(count(problems, "problem")). Nothing was changed.")
  }

  private func verdict(_ file: String, _ diagnostics: [Diagnostic], policy: LoadedPolicy?) -> JSONValue {
    .object([
      .init("file", .string(file)), .init("ok", .bool(policy != nil)),
      .init("mode", policy.map { .string($0.policy.mode.rawValue) } ?? .null),
      .init("rules", policy.map { .integer(Int64($0.policy.rules.count)) } ?? .null),
      .init("diagnostics", .array(diagnostics.map(\.json))),
    ])
  }
}

extension Diagnostic {
  /// The diagnostic as an object.
  var json: JSONValue {
    .object([
      .init("file", .string(file)), .init("line", .integer(Int64(line))),
      .init("column", .integer(Int64(column))),
      .init("severity", .string(isWarning ? "warning" : "error")), .init("cause", .string(cause)),
      .init("remedy", .string(remedy)),
    ])
  }
}

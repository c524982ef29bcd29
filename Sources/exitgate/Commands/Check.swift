import Addressing
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
        exitgate check --expect policy-tests.yaml policy.yaml

      --expect names a file of verdicts that each policy must give, in the form of those in the ready-made lists, \
      'exitgate allowlists npm': { to: "api.example.com:443", answer: allow }, with protocol, agent, method \
      and path where they matter. They are decided by the code of the gate. So a policy is tested in CI.

      Exit status: 0 when all files are right (warnings are no errors) and all verdicts as expected, 1 when a \
      verdict is another, 65 when a file is not right.
      """)

  @Argument(help: "The policy files.", completion: .file(extensions: ["yaml", "yml"]))
  var files: [String]

  @Option(
    help: ArgumentHelp("A file of verdicts that each policy must give. Can be repeated.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var expect: [String] = []

  @Flag(help: "Print one JSON object for each file.")
  var json = false

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    let loader = Reading.loader(in: here)
    let expectations = try expectations(loader, in: here)
    var wrong = false, failed = false
    for file in files {
      do throws(PolicyFileError) {
        let loaded = try loader.load(path: file)
        let trial = PolicyTrial(of: loaded.policy, expectations, at: wallClock())
        failed = failed || !trial.failures.isEmpty
        report(loaded, of: file, trial, to: here.console)
      } catch {
        wrong = true
        report(error, of: file, to: here.console)
      }
    }
    return wrong ? Failure.Status.policy.rawValue : failed ? Failure.Status.general.rawValue : 0
  }

  /// What all files named with `--expect` say.
  private func expectations(_ loader: PolicyLoader, in here: Surroundings) throws(Failure) -> [Expectation] {
    var found: [Expectation] = []
    for file in expect {
      do throws(PolicyFileError) { found += try loader.expectations(path: file) } catch {
        throw Failure(policy: error, on: here.console)
      }
    }
    return found
  }

  private func report(_ loaded: LoadedPolicy, of file: String, _ trial: PolicyTrial, to console: Console) {
    if json { return console.result(verdict(file, loaded.warnings, policy: loaded, trial)) }
    for warning in loaded.warnings { console.say("\(Text(warning.description, .doubtful))") }
    let policy = loaded.policy
    let end = policy.auditUntil.map { "until \($0)" } ?? "with no end"
    let note: Text =
      policy.mode == .enforce ? "" : "; \(Text("NOT ENFORCING: mode is audit, \(end)", .doubtful))"
    if policy.mode == .audit, policy.auditUntil == nil {
      console.say(
        "exitgate: \(file) enforces nothing until somebody changes it. Give it an end, such as 'audit-until: 2027-01-31T00:00:00Z'."
      )
    }
    let sandbox = loaded.sandbox.summary.map { ", \($0)" } ?? ""
    console.result(
      "\(file): \(Text("ok", .good)), \(count(policy.rules.count, "rule")), \(count(policy.agents.count, "agent"))\(sandbox)\(note)"
    )
    for failure in trial.failures { console.result(failure.line) }
    guard trial.count > 0 else { return }
    let failed = trial.failures.count
    console.result(
      failed == 0
        ? "\(file): \(Text("\(count(trial.count, "verdict")) as expected", .good))"
        : "\(file): \(Text("\(failed) of \(count(trial.count, "verdict")) not as expected", .bad))")
  }

  private func report(_ error: PolicyFileError, of file: String, to console: Console) {
    if json { return console.result(verdict(file, error.diagnostics, policy: nil, nil)) }
    for diagnostic in error.diagnostics {
      console.say("\(Text(diagnostic.description, diagnostic.isWarning ? .doubtful : .plain))")
    }
    let problems = error.diagnostics.count { !$0.isWarning }
    console.say("exitgate: \(file): \(count(problems, "problem")). Nothing was changed.")
  }

  private func verdict(
    _ file: String, _ diagnostics: [Diagnostic], policy: LoadedPolicy?, _ trial: PolicyTrial?
  ) -> JSONValue {
    .object([
      .init("file", .string(file)), .init("ok", .bool(policy != nil)),
      .init("mode", policy.map { .string($0.policy.mode.rawValue) } ?? .null),
      .init("audit_until", policy?.policy.auditUntil.map { .string("\($0)") } ?? .null),
      .init("rules", policy.map { .integer(Int64($0.policy.rules.count)) } ?? .null),
      .init("sandbox", policy?.sandbox.json ?? .null),
      .init("diagnostics", .array(diagnostics.map(\.json))),
      .init("expectations", trial.map { .integer(Int64($0.count)) } ?? .null),
      .init("failures", .array(trial?.failures.map(\.json) ?? [])),
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

extension SandboxSettings {
  /// How much it says, in words; nil for nothing.
  fileprivate var summary: String? {
    let limits = [maxProcesses != nil, memory != nil, time != nil].count { $0 }
    let parts = [
      (read.count + write.count + hide.count, "path"), (environment.count, "variable"), (limits, "limit"),
    ]
    let words = parts.filter { $0.0 > 0 }.map { count($0.0, $0.1) }
    return words.isEmpty ? nil : "sandbox: " + words.joined(separator: ", ")
  }

  /// As the policy has it, with places.
  fileprivate var json: JSONValue {
    let numbers: [(String, Stated<Int64>?)] = [
      ("max-processes", maxProcesses.map { Stated(Int64($0.value), at: $0.place) }),
      ("memory", memory.map { Stated(Int64(clamping: $0.value), at: $0.place) }),
      ("time", time.map { Stated($0.value.components.seconds, at: $0.place) }),
    ]
    let lists: [(String, [Stated<String>])] = [
      ("read", read), ("write", write), ("hide", hide), ("env", environment),
    ]
    return .object(
      lists.map { list in
        .init(list.0, .array(list.1.map { Self.object(.string($0.value), $0.place) }))
      }
        + numbers.map { number in
          .init(number.0, number.1.map { Self.object(.integer($0.value), $0.place) } ?? .null)
        })
  }

  private static func object(_ value: JSONValue, _ place: String) -> JSONValue {
    .object([.init("value", value), .init("source", .string(place))])
  }
}

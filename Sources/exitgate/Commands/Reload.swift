import ArgumentParser
import Audit
import Control

/// `exitgate reload`
struct Reload: Verb {
  static let configuration = CommandConfiguration(
    commandName: "reload",
    abstract: "Have the running gate read its policy anew.",
    discussion: """
      The whole policy is read and checked first; only a right one takes the place of the one in force, at \
      once and whole. Connections whose rule is gone or changed are closed, all others go on. A wrong policy \
      changes nothing, and every problem is shown. SIGHUP does the same.

        exitgate check policy.yaml && exitgate reload

      Exit status: 0 when the new policy is in force, 65 when it is wrong, 69 when no gate answers.
      """)

  @OptionGroup var control: ControlOption

  @Flag(help: "Print the answer as one JSON object.")
  var json = false

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    switch try RunningGate(controlPath: control.path(in: here)).ask(.reload) {
    case .reloaded(let report):
      show(report, on: here.console)
      return 0
    case .reloadRefused(let problems):
      show(problems, on: here.console)
      return Failure.Status.policy.rawValue
    default:
      throw Failure(.host, "the gate answered something else. Use the same version on both sides.")
    }
  }

  private func show(_ report: ReloadReport, on console: Console) {
    if json { return console.result(report.json) }
    for warning in report.warnings { console.say("\(Text(warning, .doubtful))") }
    if !report.enforcing { console.say("\(Text("NOT ENFORCING: the policy's mode is audit.", .doubtful))") }
    console.result(
      "generation \(report.generation) is in force: \(count(report.rules, "rule")), "
        + "\(count(report.closed, "connection")) closed")
  }

  private func show(_ problems: [String], on console: Console) {
    if json {
      return console.result(
        .object([.init("ok", .bool(false)), .init("problems", .array(problems.map { .string($0) }))]))
    }
    for problem in problems { console.say("\(problem)") }
    console.say("exitgate: \(Text("the policy was not reloaded", .bad)); the one before stays in force.")
  }
}

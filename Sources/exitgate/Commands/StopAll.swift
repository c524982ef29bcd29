import ArgumentParser
import Control
import Policy

/// `exitgate stop-all`
struct StopAll: Verb {
  static let configuration = CommandConfiguration(
    commandName: "stop-all",
    abstract: "Cut every connection and deny everything, until 'exitgate resume'.",
    discussion: """
      Open connections are cut at once, in audit mode too; granted datagrams and whatever others have opened \
      by --inbound end in the kernel's table. Names get no answers. Reloads and restarts change nothing in it: \
      the order stands beside the log until it is taken back. It is recorded, with who gave it.

        exitgate stop-all                  everybody
        exitgate stop-all --agent ci       one agent; the others go on

      Exit status: 0 when it is carried out, 1 when a part of it failed, 69 when no gate \
      answers or it does not know the agent.
      """)

  @OptionGroup var control: ControlOption
  @OptionGroup var whom: StopOptions

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    try whom.carryOut(ControlRequest.stop, at: control.path(in: here), here.console)
  }
}

/// `exitgate resume`
struct Resume: Verb {
  static let configuration = CommandConfiguration(
    commandName: "resume",
    abstract: "Take back what 'exitgate stop-all' ordered.",
    discussion: """
      The policy decides again from now on. Connections that were cut stay so; agents open new ones.

        exitgate resume                    nobody is stopped any more
        exitgate resume --agent ci         one agent of those that were stopped by name

      Exit status: 0 when it is carried out, 1 when a part of it failed, 69 when no gate \
      answers or the agent is not stopped.
      """)

  @OptionGroup var control: ControlOption
  @OptionGroup var whom: StopOptions

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    try whom.carryOut(ControlRequest.resume, at: control.path(in: here), here.console)
  }
}

/// Whom an order is about, and how the answer is shown.
struct StopOptions: ParsableArguments {
  @Option(help: "This agent alone.", transform: Reading.agent)
  var agent: AgentName?

  @Flag(help: "Print the answer as one JSON object.")
  var json = false

  fileprivate func carryOut(
    _ request: (AgentName?) -> ControlRequest, at path: String, _ console: Console
  ) throws(Failure) -> Int32 {
    guard case .stopped(let report) = try RunningGate(controlPath: path).ask(request(agent)) else {
      throw Failure(.host, "the gate answered something else. Use the same version on both sides.")
    }
    for warning in report.warnings { console.say("exitgate: \(Text(warning, .bad)).") }
    if json {
      console.result(report.json)
    } else {
      console.result("\(Text(stopWords(report.order)))\(Text("; \(count(report.closed, "connection")) cut"))")
    }
    return report.warnings.isEmpty ? 0 : Failure.Status.general.rawValue
  }
}

/// Who is stopped, for people.
func stopWords(_ order: StopOrder) -> String {
  if order.everybody { return "STOPPED: everything is denied to everybody, until 'exitgate resume'" }
  guard order.isGiven else { return "nobody is stopped" }
  let names = order.agents.map(\.text).sorted().joined(separator: ", ")
  return "STOPPED: everything is denied to \(names), until 'exitgate resume'"
}

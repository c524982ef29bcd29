import ArgumentParser
import Audit
import Confinement
import PolicyFile

/// `exitgate doctor`
struct Doctor: Verb {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Say what this host can do, and what each way to run the gate loses without the rest.",
    discussion: """
      Each capability is tried, not guessed at: parts of nf_tables in scratch tables that are gone afterwards, \
      namespaces by a child that makes them, sockets by opening them. What takes CAP_NET_ADMIN is not looked at \
      without it. Nothing is left changed, though the kernel may load modules that it has.

        exitgate doctor
        exitgate doctor --for sidecar && exitgate sidecar --policy policy.yaml
        exitgate doctor --json | jq '.modes[] | select(.verdict == "cannot") | .losses'

      Run it where the gate would run: in its container, its network namespace, as its user. Run in the agent's \
      container, as the agent's user, it lists what that one could reach past the gate.

      The verdicts: 'runs', 'weaker' (it starts and holds less), 'cannot' (the start is refused), 'unknown' \
      (what it requires could not be looked at).

      Exit status: 0; with --for, 69 unless that one could run here.
      """)

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp(
      "One way to run the gate: serve, run, sidecar or gateway. Its losses alone are shown.",
      valueName: "mode"))
  var mode: RunMode?

  @Flag(help: "Print everything as one JSON object.")
  var json = false

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    let examination = HostFacts.read(gateUser: Identity.gate().user).examination
    let built = Set(
      RunMode.allCases.filter { mode in
        Exitgate.configuration.subcommands.contains { $0._commandName == mode.rawValue }
      })
    if json {
      here.console.result(examination.json(built: built))
    } else {
      ExaminationPage(examination, of: mode.map { [$0] } ?? RunMode.allCases, built: built).lines
        .forEach(here.console.result)
    }
    guard let mode else { return 0 }
    return examination.verdict(for: mode).isYes ? 0 : Failure.Status.host.rawValue
  }
}

extension RunMode: ExpressibleByArgument {}

/// An examination for people: what there is, then what each mode lacks.
struct ExaminationPage {
  private(set) var lines: [Text] = []

  init(_ examination: Examination, of modes: [RunMode], built: Set<RunMode>) {
    lines += table(examination.findings.map(Self.row))
    for mode in modes {
      let note = built.contains(mode) ? "" : ", which this version does not have yet"
      lines.append("")
      lines.append("\(Text(mode.rawValue, .strong)): \(Self.word(examination.verdict(for: mode)))\(note)")
      let losses = examination.losses(of: mode)
      for (index, loss) in losses.enumerated() {
        lines.append(Self.told(loss))
        // Several in a row with one remedy have it once.
        guard index + 1 == losses.count || losses[index + 1].need.remedy != loss.need.remedy else { continue }
        lines.append("    \(Text(loss.need.remedy, .faint))")
      }
    }
  }

  private static func row(_ finding: Finding) -> [Text] {
    let style: Text.Style =
      switch finding.state {
      case .present: .good
      case .absent: .bad
      case .limited, .unlooked: .doubtful
      }
    return [Text(finding.title), Text(finding.state.rawValue, style), Text(finding.detail)]
  }

  private static func word(_ verdict: Verdict) -> Text {
    switch verdict {
    case .runs: Text("runs", .good)
    case .weaker: Text("runs, and holds less", .doubtful)
    case .cannot: Text("CANNOT run here", .bad)
    case .unknown: Text("cannot be told", .bad)
    }
  }

  private static func told(_ loss: Examination.Loss) -> Text {
    let style: Text.Style = loss.need.severity == .required ? .bad : .doubtful
    let grade =
      switch loss.need.severity {
      case .required: "required"
      case .weakens: "lost"
      case .exposes: "open"
      }
    return "  \(Text(grade, style)): \(loss.finding.title): \(loss.need.loss)"
  }
}

import ArgumentParser
import Glibc

/// When questions are asked on the terminal that `run` was started on.
enum PromptChoice: String, CaseIterable, ExpressibleByArgument {
  case auto, never, always
}

/// Whether and how a person at the terminal is asked.
struct PromptSettings {
  /// What was chosen.
  var choice: PromptChoice
  /// Whether the gate says on the terminal what happens.
  var tells: Bool
  /// The directory of what commands have to remember.
  var state: String
  /// Where `TERM` and `NO_COLOR` are.
  var environment: [String: String]

  /// The person's terminal, where questions are asked on it.
  ///
  /// - Parameter own: The command's streams that its own terminal stands for. Where both outputs are among them, nothing
  ///   of the command's reaches the person's terminal but through the gate.
  /// - Throws: When it is wanted and there is none.
  func open(_ own: Set<Int32>, _ lines: TerminalLines) throws(Failure) -> PersonTerminal? {
    let isFit = own.isSuperset(of: [STDOUT_FILENO, STDERR_FILENO]) && environment["TERM"] != "dumb"
    guard choice != .never, choice == .always || isFit else { return nil }
    let terminal = PersonTerminal(environment: environment, state: state)
    guard terminal != nil || choice == .auto else {
      throw Failure(
        .host,
        "--prompt always: no terminal belongs to this session. Start it on one, or answer by 'exitgate pending'."
      )
    }
    guard let terminal, let refusal = terminal.claim() else { return terminal }
    lines.say("exitgate: \(refusal); for what this one asks see 'exitgate pending --follow'")
    return nil
  }
}

extension TerminalTurn.Refusal: CustomStringConvertible {
  /// Why, for people, with what helps where something does; without a full stop.
  var description: String {
    switch self {
    case .taken: "another exitgate run asks on this terminal"
    case .noFile(let path, let error):
      "nobody is asked on this terminal: '\(path)', which tells whose turn it is, cannot be used: \(error). Make its "
        + "directory writable for you, or name another with XDG_STATE_HOME"
    }
  }
}

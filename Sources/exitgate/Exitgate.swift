import ArgumentParser
import Glibc

/// The command line of Exitgate.
@main
struct Exitgate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exitgate",
    abstract: "The one way out of an AI agent's sandbox.",
    discussion: """
      Point an agent's proxy settings at Exitgate, and only what your policy allows gets out. Each connection \
      is in the audit log before it is made; each denial is there too, with its reason.

        exitgate check policy.yaml              is the policy right?
        exitgate serve --policy policy.yaml     start the gate on 127.0.0.1:3128
        exitgate log blocked                    what was blocked, and the way out
        exitgate explain api.github.com:443     why it is allowed, or is not

      Every option can be given in the environment instead: --audit-log as EXITGATE_AUDIT_LOG. What the \
      command line says wins.

      Results go to standard output, words to standard error. Exit statuses: 64 the command line is wrong, \
      65 the policy is wrong, 69 the host lacks something, 78 the configuration is wrong.
      """,
    version: "exitgate \(exitgateVersion)",
    subcommands: [
      Run.self, Serve.self, Sidecar.self, GatewayCommand.self, Check.self, Explain.self, Allowlists.self,
      Log.self, ReviewCommand.self, Pending.self, Approve.self, Refuse.self, Wait.self, Revoke.self,
      Status.self, Reload.self, StopAll.self, Resume.self,
      FirewallCommand.self, Doctor.self,
      Completions.self, Man.self,
    ])

  /// Parses, runs, and ends with the status that tells scripts what happened.
  static func main() {
    Glibc.exit(run(Array(CommandLine.arguments.dropFirst()), in: Surroundings()))
  }
}

/// A command that does something.
protocol Verb: ParsableCommand {
  /// Does it.
  ///
  /// - Returns: What the process ends with; 0 unless the answer is no.
  func run(in here: Surroundings) throws(Failure) -> Int32
}

extension Exitgate {
  private static func run(_ arguments: [String], in here: Surroundings) -> Int32 {
    do throws(Failure) {
      let (all, twins) = try Twins.complete(arguments, of: Exitgate.self, environment: here.environment)
      let command: any ParsableCommand
      do { command = try parseAsRoot(all) } catch {
        return report(error, from: arguments, twins, to: here.console)
      }
      guard let verb = command as? any Verb else { return help(command, from: arguments, to: here.console) }
      let status = try verb.run(in: here)
      here.console.flush()
      return status
    } catch {
      here.console.say("exitgate: \(Text(error.message))")
      return error.status
    }
  }

  /// Says what the parser found: help and the version are results, the rest is one line with the way to help.
  private static func report(
    _ error: any Error, from arguments: [String], _ twins: [Twins.Twin], to console: Console
  ) -> Int32 {
    guard exitCode(for: error) != .success else {
      console.result(lines: fullMessage(for: error))
      console.flush()
      return 0
    }
    let words = Twins.subcommand(of: Exitgate.self, named: arguments).depth
    let command = (["exitgate"] + arguments.prefix(words)).joined(separator: " ")
    let cause = sentence(message(for: error))
    let hint = meant(
      by: arguments.dropFirst(words).first,
      among: Twins.subcommand(of: Exitgate.self, named: arguments).command)
    console.say("exitgate: \(Text(cause))\(Text(hint)) Run '\(command) --help' for what it takes.")
    for twin in twins where names(twin, in: cause) {
      console.say("exitgate: --\(twin.option) was taken from \(twin.variable).")
    }
    return Failure.Status.usage.rawValue
  }

  /// The parser's message on one line, with a full stop.
  private static func sentence(_ message: String) -> String {
    let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    return line.utf8.last.map { [UInt8(ascii: "."), UInt8(ascii: "?")].contains($0) } == true
      ? line : line + "."
  }

  private static func names(_ twin: Twins.Twin, in cause: String) -> Bool {
    cause.split(whereSeparator: { " '<=".contains($0) }).contains("--\(twin.option)")
  }

  /// `Did you mean` for a misspelt subcommand; the parser itself says so for options only.
  private static func meant(by word: String?, among command: any ParsableCommand.Type) -> String {
    let names = command.configuration.subcommands.map { $0._commandName }
    guard let word, let name = nearest(to: word, among: names) else { return "" }
    return " Did you mean '\(name)'?"
  }

  /// What has nothing to do of its own, `exitgate` and `exitgate log`, shows what is below it.
  private static func help(
    _ command: any ParsableCommand, from arguments: [String], to console: Console
  ) -> Int32 {
    var command = command
    do { try command.run() } catch { return report(error, from: arguments, [], to: console) }
    return 0
  }
}

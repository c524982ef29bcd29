import Policy
import PolicyFile

extension Reading {
  /// The policy at `path`, whatever way of running it is for.
  ///
  /// - Throws: `Failure` with every error but the last already said.
  static func policy(at path: String, in here: Surroundings) throws(Failure) -> LoadedPolicy {
    do throws(PolicyFileError) { return try loader(in: here).load(path: path) } catch {
      throw Failure(policy: error, on: here.console)
    }
  }

  /// A loader that takes every policy that some way of running the gate enforces.
  ///
  /// - Parameter directory: Where `file:` includes of a text without a file are looked for.
  static func loader(in here: Surroundings, from directory: String? = nil) -> PolicyLoader {
    PolicyLoader(
      runMode: .serve, environment: here.environment, workingDirectory: directory ?? here.workingDirectory,
      now: wallClock(), hasDNSListener: nil)
  }
}

extension Policy {
  /// What is wrong with asking or running as this agent; nil for one that there is. A slip in the name would look
  /// like a missing rule.
  func problem(ofAgent agent: AgentName) -> String? {
    let names = agents.map(\.name.text).sorted() + [AgentName.default.text]
    guard !names.contains(agent.text) else { return nil }
    let remedy =
      nearest(to: agent.text, among: names).map { "Did you mean '\($0)'?" }
      ?? "Write \(names.dropLast().joined(separator: ", "))\(names.count > 1 ? " or " : "")default."
    return "'\(agent)' is no agent of this policy. \(remedy)"
  }
}

extension Failure {
  /// A policy that does not load: every error but the last is said, the last is the failure.
  init(policy error: PolicyFileError, on console: Console) {
    for diagnostic in error.diagnostics.dropLast() { console.say("\(diagnostic)") }
    self.init(.policy, error.diagnostics.last.map { "\($0)" } ?? "the policy cannot be read.")
  }
}

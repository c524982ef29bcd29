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

extension Failure {
  /// A policy that does not load: every error but the last is said, the last is the failure.
  init(policy error: PolicyFileError, on console: Console) {
    for diagnostic in error.diagnostics.dropLast() { console.say("\(diagnostic)") }
    self.init(.policy, error.diagnostics.last.map { "\($0)" } ?? "the policy cannot be read.")
  }
}

import ArgumentParser
import Confinement
import Gateway
import Glibc
import Launcher
import Policy
import PolicyFile

/// What a command sees of the host.
struct SandboxOption: ParsableArguments {
  @Option(
    help: ArgumentHelp("A file or directory that the command may read. Can be repeated.", valueName: "path"),
    completion: .file())
  var read: [String] = []

  @Option(
    help: ArgumentHelp(
      "A file or directory that the command may change. Can be repeated.", valueName: "path"),
    completion: .file())
  var write: [String] = []

  @Option(
    help: ArgumentHelp(
      "A variable of the environment that the command gets, beside those that hold no secrets. Can be repeated.",
      valueName: "name"))
  var env: [String] = []

  @Option(
    help: ArgumentHelp(
      "What may be missing where the host cannot give it: landlock, proc or limits. Can be repeated.",
      valueName: "part"))
  var allowWeaker: [SandboxPart] = []

  func validate() throws {
    if let part = allowWeaker.first(where: { !$0.mayBeWeaker }) {
      throw ValidationError(
        "--allow-weaker takes landlock, proc or limits: nothing holds without \(part.rawValue).")
    }
    if let name = env.first(where: { $0.isEmpty || $0.utf8.contains(UInt8(ascii: "=")) }) {
      throw ValidationError("--env takes the name of a variable alone, and '\(name)' is none.")
    }
  }

  /// The files of the command.
  ///
  /// - Throws: As `CommandFiles.view`.
  func view(of policy: LoadedPolicy, in here: Surroundings) throws(Failure) -> FileView {
    try CommandFiles(read: read, write: write).view(of: policy, in: here)
  }

  /// - Throws: Where nothing holds the command to a limit of the policy.
  func checkLimits(_ settings: SandboxSettings) throws(Failure) {
    let group = ControlGroupPlace.find()
    guard settings.maxProcesses != nil, LimitMeans.ofProcesses(user: geteuid(), group).isEmpty,
      !allowWeaker.contains(.limits)
    else { return }
    throw Failure(
      .host,
      "'max-processes' does not bind root's processes where no control group was delegated. Run the command as an ordinary user, or say --allow-weaker limits."
    )
  }

  /// All that is started.
  func plan(
    _ view: FileView, _ settings: SandboxSettings, command: [String], in here: Surroundings
  ) -> SandboxPlan {
    var plan = CommandPlan(
      arguments: command,
      environment: EnvironmentFilter.environment(
        from: here.environment, naming: Set(env + settings.environment.map(\.value)),
        proxy: "http://127.0.0.1:\(CommandNetwork.proxyPort)"),
      directory: realPath(here.workingDirectory) ?? "/")
    plan.environment["PWD"] = plan.directory
    var whole = SandboxPlan(view: view, command: plan, weaker: Set(allowWeaker))
    whole.limits = ProcessLimits(
      processes: settings.maxProcesses?.value, memory: settings.memory?.value, time: settings.time?.value)
    whole.group = ControlGroupPlace.find()
    return whole
  }

  /// What the log says of what was let in: by name, never by value.
  func notes(_ settings: SandboxSettings, command: [String]) -> [String] {
    var notes = ["run: \(command.first ?? "")"]
    for (words, values) in [
      ("readable", read + settings.read.map(\.value)), ("writable", write + settings.write.map(\.value)),
      ("variables", env + settings.environment.map(\.value)),
      ("WEAKER without", allowWeaker.map(\.rawValue)),
    ] where !values.isEmpty { notes.append("run: \(words): \(values.joined(separator: ", "))") }
    return notes + landlockGaps.map { "run: WEAKER: \($0)" }
  }

  /// What this kernel's Landlock does not hold the command to, as somebody agreed.
  var landlockGaps: [String] {
    allowWeaker.contains(.landlock) ? LandlockRuleset.commandGaps(abi: Landlock.abi) : []
  }
}

extension ProcessLimits {
  /// What the log says of what holds the command to them.
  ///
  /// - Parameter group: Where a control group holds it in truth.
  func notes(in group: ControlGroupPlace?) -> [String] {
    let limits: [(String, Bool, [LimitMeans])] = [
      ("max-processes", processes != nil, LimitMeans.ofProcesses(user: geteuid(), group)),
      ("memory", memory != nil, LimitMeans.ofMemory(group)),
    ]
    return limits.filter(\.1).map { limit in
      let means = limit.2.isEmpty ? "nothing" : limit.2.map(\.rawValue).joined(separator: " and ")
      return "run: \(limit.0) is held by \(means)"
    }
  }
}

extension SandboxPart: ExpressibleByArgument {}

/// The directory of a file.
func directory(of path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// A path without links, `.` and `..`; nil when there is nothing (realpath(3)).
func realPath(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}

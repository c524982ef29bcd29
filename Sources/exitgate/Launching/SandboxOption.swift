import ArgumentParser
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
  /// - Throws: For a path that is not there, and a working directory that would open too much.
  func view(
    of gate: GateConfiguration, _ policy: LoadedPolicy, in here: Surroundings
  ) throws(Failure) -> FileView {
    let home = here.environment["HOME"].flatMap(realPath)
    guard let directory = realPath(here.workingDirectory) else {
      throw Failure(.usage, "the working directory is gone. Change to another one.")
    }
    var view = SystemFiles.view(home: home)
    guard !SystemFiles.opensTooMuch(directory, home: home) else {
      throw Failure(
        .usage,
        "the working directory \(directory) would open too much to the command. Change to a directory of the project."
      )
    }
    view.set(.write, at: directory)
    show(policy.sandbox, home: home, in: &view)
    for (paths, access) in [(read, FileView.Access.read), (write, .write)] {
      for path in paths {
        guard let real = realPath(path) else {
          throw Failure(.usage, "there is no '\(path)' to show to the command.")
        }
        view.give(access, at: real)
      }
    }
    // What decides may be read where it lies in reach, and not be changed.
    for source in policy.sources where source.name.utf8.starts(with: "file:".utf8) {
      guard let file = realPath(String(source.name.dropFirst(5))), view.access(to: file) == .write else {
        continue
      }
      view.pin(file)
    }
    return view
  }

  /// What the policy shows and hides. It may speak of what another machine has, so nothing need be there.
  private func show(_ settings: SandboxSettings, home: String?, in view: inout FileView) {
    for (paths, access) in [
      (settings.read, FileView.Access.read), (settings.write, .write), (settings.hide, .hidden),
    ] {
      for path in paths {
        let full = path.utf8.first == UInt8(ascii: "~") ? "\(home ?? "")\(path.dropFirst())" : path
        if let real = realPath(full) { view.give(access, at: real) }
      }
    }
  }

  /// The kernel counts no processes of root (getrlimit(2), RLIMIT_NPROC), in whatever namespace.
  func checkLimits(_ settings: SandboxSettings) throws(Failure) {
    guard settings.maxProcesses != nil, geteuid() == 0, !allowWeaker.contains(.limits) else { return }
    throw Failure(
      .host,
      "'max-processes' does not bind root's processes. Run the command as an ordinary user, or say --allow-weaker limits."
    )
  }

  /// What the gate writes must be out of the command's reach.
  func protect(_ gate: GateConfiguration, in view: FileView) throws(Failure) {
    for (path, option) in [
      (gate.auditLogPath, "--audit-log"), (gate.controlPath, "--control"), (gate.overlay, "--overlay"),
    ] {
      let place = realPath(directory(of: path)) ?? path
      guard [.write, .own].contains(view.access(to: place)) else { continue }
      guard view.access(to: place) == .write else { continue }
      throw Failure(
        .configuration,
        "the command could change '\(path)'. Name a place outside the working directory with \(option).")
    }
  }

  /// All that is started.
  func plan(
    _ view: FileView, _ settings: SandboxSettings, command: [String], in here: Surroundings
  ) -> SandboxPlan {
    var plan = CommandPlan(
      arguments: command,
      environment: EnvironmentFilter.environment(
        from: here.environment, naming: Set(env + settings.environment),
        proxy: "http://127.0.0.1:\(CommandNetwork.proxyPort)"),
      directory: realPath(here.workingDirectory) ?? "/")
    plan.environment["PWD"] = plan.directory
    var whole = SandboxPlan(view: view, command: plan, weaker: Set(allowWeaker))
    whole.limits = ProcessLimits(
      processes: settings.maxProcesses, memory: settings.memory, time: settings.time)
    return whole
  }

  /// What the log says of what was let in: by name, never by value.
  func notes(_ settings: SandboxSettings, command: [String]) -> [String] {
    var notes = ["run: \(command.first ?? "")"]
    for (words, values) in [
      ("readable", read + settings.read), ("writable", write + settings.write),
      ("variables", env + settings.environment),
      ("WEAKER without", allowWeaker.map(\.rawValue)),
    ] where !values.isEmpty { notes.append("run: \(words): \(values.joined(separator: ", "))") }
    return notes
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

import Gateway
import Launcher

/// What the gate writes and goes by, which is not for the command that it holds.
struct GateFiles {
  /// A file, and the option that names it.
  struct Named {
    var path: String
    var option: String
  }

  /// Log, keys, sockets and rules: nothing of them is seen, and what can be read can be locked and connected to.
  private let kept: [Named]
  /// What the gate reads and the command must not change.
  private let read: [Named]
  private let here: Surroundings

  init(_ gate: GateConfiguration, _ read: [Named], in here: Surroundings) {
    kept = [
      Named(path: gate.auditLogPath, option: "--audit-log"),
      Named(path: gate.controlPath, option: "--control"),
      Named(path: gate.overlay, option: "--overlay"),
    ]
    self.read = read
    self.here = here
  }

  /// Takes exitgate's own directories out of a larger one that is shown.
  func hide(in view: inout FileView) {
    let paths = here.paths
    for own in [paths.state, directory(of: paths.control), directory(of: paths.auditLog)] {
      guard let place = realPath(own), view.access(to: place) == .read else { continue }
      view.set(.hidden, at: place, by: .credentials)
    }
  }

  /// - Throws: For what is in reach.
  func check(in view: FileView) throws(Failure) {
    for file in kept {
      let way = try way(file, in: view)
      for place in [directory(of: way.end), way.end] where [.read, .write].contains(view.access(to: place)) {
        throw Failure(
          .configuration,
          "the command could \(view.access(to: place) == .write ? "change" : "reach") '\(file.path)'. Name a place outside what it sees with \(file.option)."
        )
      }
    }
    for file in read {
      let way = try way(file, in: view)
      guard view.access(to: way.end) == .write else { continue }
      throw Failure(
        .configuration,
        "the command could change '\(file.path)'. Name a file outside what it may change with \(file.option)."
      )
    }
    try checkPolicy(in: view)
  }

  private func way(_ file: Named, in view: FileView) throws(Failure) -> HostPath {
    let way = HostPath(file.path, from: here.workingDirectory)
    guard let link = way.changeableLink(in: view) else { return way }
    throw Failure(
      .configuration,
      "'\(file.path)' leads over the link \(link), which the command could change. Name the place itself with \(file.option)."
    )
  }

  /// What a later run takes where nobody names a policy.
  private func checkPolicy(in view: FileView) throws(Failure) {
    let way = HostPath(here.paths.policy, from: here.workingDirectory)
    guard way.changeableLink(in: view) != nil || view.access(to: way.nearest) == .write else { return }
    throw Failure(
      .configuration,
      "the command could make or change '\(here.paths.policy)', by which a later run would go. Make its directory, or set XDG_CONFIG_HOME to a place outside what the command may change."
    )
  }
}

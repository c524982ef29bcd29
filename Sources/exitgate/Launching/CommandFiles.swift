import Launcher
import Policy
import PolicyFile

/// Which files a command finds: built in, by the policy, and by the command line.
struct CommandFiles {
  /// Paths that the command line shows.
  var read: [String] = []
  /// Those to change.
  var write: [String] = []

  /// The files of the command.
  ///
  /// - Throws: For a path that is not there, and a working directory that would open too much.
  func view(of policy: LoadedPolicy, in here: Surroundings) throws(Failure) -> FileView {
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
    view.set(.write, at: directory, by: .workingDirectory)
    show(policy.sandbox, home: home, in: &view)
    for (paths, access, option) in [(read, FileView.Access.read, "--read"), (write, .write, "--write")] {
      for path in paths {
        guard let real = realPath(path) else {
          throw Failure(.usage, "there is no '\(path)' to show to the command.")
        }
        view.give(access, at: real, by: .option(option))
      }
    }
    // What decides may be read where it lies in reach, and not be changed.
    for source in policy.sources where source.name.utf8.starts(with: "file:".utf8) {
      guard let file = realPath(String(source.name.dropFirst(5))), view.access(to: file) == .write else {
        continue
      }
      view.pin(file, by: .policyItself)
    }
    try checkAbsent(policy.sandbox, home: home, in: view)
    return view
  }

  /// Nothing can be put over what is not there, so within what may be changed the command could make it as it likes.
  /// A list that is built in speaks of what many projects do not have, as `.git/hooks`.
  private func checkAbsent(_ settings: SandboxSettings, home: String?, in view: FileView) throws(Failure) {
    for path in settings.read where !path.place.utf8.starts(with: "builtin:".utf8) {
      let place = inHome(path.value, home)
      guard realPath(place) == nil, let above = nearest(above: place), view.access(to: above) == .write else {
        continue
      }
      throw Failure(
        .configuration,
        "\(path.place): '\(place)' is to be read and not changed, and is not there: the command could make it in \(above). Create it, or take it out."
      )
    }
  }

  /// The nearest directory above that is there, without links.
  private func nearest(above path: String) -> String? {
    var rest = path
    repeat {
      rest = directory(of: rest)
      if let real = realPath(rest) { return real }
    } while rest != "/" && rest != "."
    return nil
  }

  /// What the policy shows and hides. It may speak of what another machine has, so nothing need be there.
  private func show(_ settings: SandboxSettings, home: String?, in view: inout FileView) {
    for (paths, access, key) in [
      (settings.read, FileView.Access.read, "read"), (settings.write, .write, "write"),
      (settings.hide, .hidden, "hide"),
    ] {
      for path in paths {
        guard let real = realPath(inHome(path.value, home)) else { continue }
        view.give(access, at: real, by: .policy(key: key, place: path.place))
      }
    }
  }
}

/// A path that may begin with `~`, for this home directory.
func inHome(_ path: String, _ home: String?) -> String {
  path == "~" || path.utf8.starts(with: "~/".utf8) ? "\(home ?? "")\(path.dropFirst())" : path
}

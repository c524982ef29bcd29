import Glibc
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
  /// - Throws: For a path that is not there, one that leads through what the command may change, and a working directory
  ///   that would open too much.
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
    // Each path is followed once: what it was then is what is shown, judged and put there.
    let places = self.places(of: policy, from: directory, home: home)
    for place in places { try place.show(in: &view) }
    // What decides may be read where it lies in reach, and not be changed.
    let sources = policy.sources.map(\.name).filter { $0.utf8.starts(with: "file:".utf8) }
      .map { Place($0.dropFirst(5), from: directory, .read, by: .policyItself, of: "the policy") }
    for source in sources where view.access(to: source.way.end) == .write {
      view.pin(source.way.end, by: .policyItself)
    }
    for place in places + sources { try place.check(in: view, home: home) }
    Self.hideBehindLinks(in: &view)
    view.keepHidden()
    try Self.checkLists(policy, from: directory, in: view)
    return view
  }

  /// Nothing is put over a link: of what is hidden, its end is.
  private static func hideBehindLinks(in view: inout FileView) {
    for entry in view.entries where entry.access == .hidden && linkTarget(entry.path) != nil {
      let end = HostPath(entry.path, from: "/").end
      view.forget(entry.path)
      if view[end] == nil { view.set(.hidden, at: end, by: entry.origin) }
    }
  }

  /// What opens hosts by a system list must be out of the command's reach.
  private static func checkLists(_ policy: LoadedPolicy, from directory: String, in view: FileView)
    throws(Failure)
  {
    for file in policy.systemFiles {
      let way = HostPath(file, from: directory)
      guard view.access(to: way.end) == .write || way.changeableLink(in: view) != nil else { continue }
      throw Failure(
        .configuration,
        "a system list was read from '\(file)', which the command could change. Take the list out of 'include', or the file out of what may be changed."
      )
    }
  }

  /// What the policy shows and hides, and then the command line. A policy may speak of what another machine has, so
  /// nothing need be there; a list that is built in speaks of what many projects do not have, as `.git/hooks`.
  private func places(of policy: LoadedPolicy, from directory: String, home: String?) -> [Place] {
    let settings = policy.sandbox
    var places: [Place] = []
    for (paths, access, key) in [
      (settings.read, FileView.Access.read, "read"), (settings.write, .write, "write"),
      (settings.hide, .hidden, "hide"),
    ] {
      for path in paths {
        let origin = FileView.Origin.policy(key: key, place: path.place)
        var place = Place(inHome(path.value, home)[...], from: directory, access, by: origin, of: path.place)
        place.mayBeMade = access != .read || path.place.utf8.starts(with: "builtin:".utf8)
        places.append(place)
      }
    }
    for (paths, access, option) in [(read, FileView.Access.read, "--read"), (write, .write, "--write")] {
      places += paths.map { Place($0[...], from: directory, access, by: .option(option), of: option) }
    }
    return places
  }
}

/// A path that somebody names, and who.
private struct Place {
  private let path: Substring
  private let access: FileView.Access
  private let origin: FileView.Origin
  private let named: String
  let way: HostPath
  /// Whether it is no mistake that the command can make it.
  var mayBeMade = true

  init(
    _ path: Substring, from directory: String, _ access: FileView.Access, by origin: FileView.Origin,
    of named: String
  ) {
    (self.path, self.access, self.origin, self.named) = (path, access, origin, named)
    way = HostPath(String(path), from: directory)
  }

  /// - Throws: For a path of the command line that is not there.
  func show(in view: inout FileView) throws(Failure) {
    guard isThere(way.end) else {
      if case .option = origin { throw Failure(.usage, "there is no '\(path)' to show to the command.") }
      return
    }
    view.give(access, at: way.end, by: origin)
  }

  /// Refuses what the command could turn elsewhere before the next time, or make as it likes: nothing can be put over a
  /// link, nor over what is not there.
  func check(in view: FileView, home: String?) throws(Failure) {
    if let link = way.changeableLink(in: view) {
      throw Failure(
        .configuration,
        "\(named): '\(path)' leads over the link \(link), which the command could change. Take the link away, or name what it leads to."
      )
    }
    // It may have been left by a command that could change it then. At the root they are the system's.
    if access != .hidden, let link = way.links.first(where: { directory(of: $0) != "/" }),
      SystemFiles.isSecret(way.end, home: home)
    {
      throw Failure(
        .configuration,
        "\(named): '\(path)' leads over the link \(link) to \(way.end), which is shown only where it is named itself. Take the link away, or name it."
      )
    }
    if access == .read, view.access(to: directory(of: way.end)) == .write, hasOtherNames {
      throw Failure(
        .configuration,
        "\(named): '\(path)' has another name (a hard link), by which the command could change it. Copy it, and put the copy in its place."
      )
    }
    guard !mayBeMade, !isThere(way.end), view.access(to: way.nearest) == .write else { return }
    throw Failure(
      .configuration,
      "\(named): '\(path)' is to be read and not changed, and is not there: the command could make it in \(way.nearest). Create it, or take it out."
    )
  }
}

extension Place {
  private var hasOtherNames: Bool {
    var status = stat()
    return lstat(way.end, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && status.st_nlink > 1
  }
}

extension HostPath {
  /// A link on the way that whoever has these files may replace.
  func changeableLink(in view: FileView) -> String? {
    links.first { view.access(to: directory(of: $0)) == .write }
  }

  /// The nearest directory above the end that is there.
  var nearest: String {
    var place = directory(of: end)
    while place != "/", !isThere(place) { place = directory(of: place) }
    return place
  }
}

/// A path that may begin with `~`, for this home directory.
func inHome(_ path: String, _ home: String?) -> String {
  path == "~" || path.utf8.starts(with: "~/".utf8) ? "\(home ?? "")\(path.dropFirst())" : path
}

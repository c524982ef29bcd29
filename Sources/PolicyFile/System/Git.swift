extension SystemFindings {
  /// The remotes of the repository that the working directory lies in.
  ///
  /// The agent may be able to write that file, so nothing in it opens a private
  /// range.
  ///
  /// - Source: git-config(1), gitrepository-layout(5), git-fetch(1) "GIT URLS".
  mutating func readGit() {
    guard let path = gitConfiguration(), let text = text(path) else { return }
    for entry in iniEntries(text, continued: false) {
      let isRemote =
        entry.section.utf8.starts(with: "remote ".utf8) || entry.section.utf8.starts(with: "submodule ".utf8)
      guard isRemote, ["url", "pushurl"].contains(asciiLowercased(entry.key.utf8)) else { continue }
      addGit(entry.value, path)
    }
  }

  private mutating func addGit(_ url: String, _ path: String) {
    let isLocal =
      url.utf8.first == UInt8(ascii: "/") || url.utf8.first == UInt8(ascii: ".")
      || url.utf8.starts(with: "file:".utf8)
    guard !isLocal else { return }
    if let location = Location(scp: url) {
      add(location, for: "a remote of the working directory", from: path, isTrusted: false)
    } else {
      add(url: url, for: "a remote of the working directory", from: path, isTrusted: false)
    }
  }

  private mutating func gitConfiguration() -> String? {
    var directory = machine.workingDirectory
    for _ in 0..<64 {
      let place = join(directory, ".git")
      if machine.exists(join(place, "config")) { return join(place, "config") }
      if machine.exists(place) { return linkedConfiguration(place) }
      let above = parent(of: directory)
      if above == directory { return nil }
      directory = above
    }
    return nil
  }

  /// A `.git` that is a file: a worktree or a submodule.
  private mutating func linkedConfiguration(_ file: String) -> String? {
    guard let text = text(file), text.utf8.starts(with: "gitdir:".utf8) else { return nil }
    let target = join(parent(of: file), String(trimmed(text.dropFirst(7))))
    if let common = self.text(join(target, "commondir")) {
      return join(join(target, String(trimmed(common[...]))), "config")
    }
    return join(target, "config")
  }
}

extension SystemFindings {
  /// pip's indexes: its configuration, its environment, or else the default
  /// that the installed pip names itself.
  ///
  /// - Source: pip's user guide, "Configuration" and "Environment Variables".
  mutating func readPip() {
    var hasIndex = false, isWithoutIndex = false
    for path in pipFiles() {
      guard let text = text(path) else { continue }
      for entry in iniEntries(text) where ["global", "install", "download", "wheel"].contains(entry.section) {
        let key = entry.key.replacing("_", with: "-")
        takePip(key, entry.value, path, &hasIndex, &isWithoutIndex)
      }
    }
    for key in ["index-url", "extra-index-url", "find-links", "no-index"] {
      let name = "PIP_" + String(key.map { $0 == "-" ? "_" : Character($0.uppercased()) })
      guard let value = machine.variable(name) else { continue }
      takePip(key, value, "the environment (\(name))", &hasIndex, &isWithoutIndex)
    }
    if !hasIndex, !isWithoutIndex { readPipDefault() }
  }

  private mutating func takePip(
    _ key: String, _ value: String, _ origin: String, _ hasIndex: inout Bool, _ isWithoutIndex: inout Bool
  ) {
    switch key {
    case "index-url": hasIndex = true
    case "extra-index-url", "find-links": break
    case "no-index":
      isWithoutIndex = isWithoutIndex || ["1", "true", "yes", "on"].contains(asciiLowercased(value.utf8))
      return
    default: return
    }
    for url in words(of: value) where key != "find-links" || url.contains("://") {
      if url.utf8.starts(with: "file:".utf8) { continue }
      add(url: url, for: "packages for pip", from: origin)
    }
  }

  private func pipFiles() -> [String] {
    let chosen = machine.variable("PIP_CONFIG_FILE")
    if chosen == "/dev/null" { return [] }
    let shared = (machine.variable("XDG_CONFIG_DIRS") ?? "/etc/xdg").split(separator: ":")
      .map { join(String($0), "pip/pip.conf") }
    let own = [machine.home(".pip/pip.conf"), machine.configuration("pip/pip.conf")].compactMap { $0 }
    let environment = machine.variable("VIRTUAL_ENV").map { [join($0, "pip.conf")] } ?? []
    return unique(shared + ["/etc/pip.conf"] + own + environment + (chosen.map { [$0] } ?? []))
  }

  /// The index and the file host that the first pip found on disk names.
  private mutating func readPipDefault() {
    for directory in pythonPackageDirectories() {
      let path = join(directory, "pip/_internal/models/index.py")
      guard let text = text(path), let call = indexCall(in: text) else { continue }
      let strings = stringLiterals(in: call)
      guard let index = strings.first(where: { $0.utf8.starts(with: "https://".utf8) }) else { continue }
      add(url: index, for: "pip's own default index", from: path, isTrusted: false)
      for host in strings where host != index {
        add(url: "https://" + host, for: "the files of pip's own default index", from: path, isTrusted: false)
      }
      return
    }
    noteAbsence("no pip was found whose default index could be read", "Set index-url in pip.conf")
  }

  /// Where installed Python packages may be, nearest first.
  private func pythonPackageDirectories() -> [String] {
    var prefixes = [machine.variable("VIRTUAL_ENV")].compactMap { $0 }
    for name in ["python3", "pip3", "pip", "python"] {
      if let path = machine.command(name) { prefixes.append(parent(of: path, levels: 2)) }
    }
    prefixes += [machine.home(".local"), "/usr/local", "/usr"].compactMap { $0 }
    if let pyenv = machine.variable("PYENV_ROOT") ?? machine.home(".pyenv") {
      let versions = join(pyenv, "versions")
      prefixes += machine.names(in: versions).reversed().map { join(versions, $0) }
    }
    return unique(prefixes).flatMap(packageDirectories)
  }

  private func packageDirectories(under prefix: String) -> [String] {
    let library = join(prefix, "lib")
    let versions = machine.names(in: library).filter { $0.utf8.starts(with: "python3".utf8) }
    return versions.reversed().flatMap { version in
      ["site-packages", "dist-packages"].map { join(library, "\(version)/\($0)") }
    }
  }
}

/// The arguments of the first `PackageIndex(…)` of a module, which is the default one.
private func indexCall(in text: String) -> Substring? {
  guard let open = text.firstRange(of: "= PackageIndex(") else { return nil }
  let rest = text[open.upperBound...]
  return rest.prefix { $0 != ")" }
}

/// The string literals of a piece of Python, without escapes.
private func stringLiterals(in text: Substring) -> [String] {
  text.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
    .compactMap { $0.offset.isMultiple(of: 2) ? nil : String($0.element) }
}

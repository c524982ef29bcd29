extension SystemFindings {
  /// cargo's registries and source replacements.
  ///
  /// - Source: The Cargo Book, "Configuration", "Source Replacement", "Registries".
  mutating func readCargo() {
    for (path, isTrusted) in cargoFiles() {
      guard let text = text(path) else { continue }
      for entry in iniEntries(text, continued: false) { takeCargo(entry, path, isTrusted: isTrusted) }
    }
    for (name, value) in machine.environment.sorted(by: { $0.key < $1.key })
    where name.utf8.starts(with: "CARGO_REGISTRIES_".utf8)
      && name.utf8.reversed().starts(with: "_INDEX".utf8.reversed())
    {
      addCargo(value, "the environment (\(name))", isTrusted: true)
    }
    if entries.isEmpty {
      noteAbsence("cargo's own default registry is compiled into it", "Include builtin:crates for it")
    }
  }

  private mutating func takeCargo(_ entry: IniEntry, _ path: String, isTrusted: Bool) {
    let section = entry.section, value = unquoted(trimmed(entry.value.prefix { $0 != "#" }))
    let isSource = section.utf8.starts(with: "source.".utf8) && ["registry", "git"].contains(entry.key)
    let isRegistry = section.utf8.starts(with: "registries.".utf8) && entry.key == "index"
    if isSource || isRegistry { addCargo(value, path, isTrusted: isTrusted) }
  }

  private mutating func addCargo(_ value: String, _ origin: String, isTrusted: Bool) {
    let url = value.utf8.starts(with: "sparse+".utf8) ? value.dropFirst(7) : value[...]
    if url.utf8.starts(with: "file:".utf8) { return }
    add(url: url, for: "crates for cargo", from: origin, isTrusted: isTrusted)
  }

  /// The home's configuration, then that of the working directory and those above it.
  private func cargoFiles() -> [(path: String, isTrusted: Bool)] {
    let home = machine.variable("CARGO_HOME") ?? machine.home(".cargo")
    var directories = home.map { [($0, true)] } ?? []
    var directory = machine.workingDirectory
    for _ in 0..<32 {
      let own = join(directory, ".cargo")
      if own != home { directories.append((own, false)) }
      let above = parent(of: directory)
      if above == directory { break }
      directory = above
    }
    return directories.flatMap { place, isTrusted in
      ["config.toml", "config"].map { (join(place, $0), isTrusted) }
    }
  }
}

extension SystemFindings {
  /// npm's registries: its configuration, its environment, or else the default
  /// that the installed npm names itself.
  ///
  /// - Source: npmrc(5), npm-config(7).
  mutating func readNpm() {
    var hasRegistry = false
    for (path, isTrusted) in npmFiles() {
      guard let text = text(path) else { continue }
      for entry in iniEntries(text, continued: false) where entry.section.isEmpty {
        takeNpm(entry.key, entry.value, path, isTrusted: isTrusted, &hasRegistry)
      }
    }
    for name in ["npm_config_registry", "NPM_CONFIG_REGISTRY"] {
      guard let value = machine.variable(name) else { continue }
      takeNpm("registry", value, "the environment (\(name))", isTrusted: true, &hasRegistry)
    }
    if !hasRegistry { readNpmDefault() }
  }

  private mutating func takeNpm(
    _ key: String, _ value: String, _ origin: String, isTrusted: Bool, _ hasRegistry: inout Bool
  ) {
    let isScoped = key.first == "@" && key.utf8.reversed().starts(with: ":registry".utf8.reversed())
    guard key == "registry" || isScoped else { return }
    hasRegistry = hasRegistry || !isScoped
    let purpose = isScoped ? "npm packages of \(key.prefix { $0 != ":" })" : "npm packages"
    add(url: expanded(value), for: purpose, from: origin, isTrusted: isTrusted)
  }

  /// `${NAME}` replaced by the environment's value.
  private func expanded(_ value: String) -> String {
    var result = "", rest = value[...]
    while let open = rest.firstRange(of: "${"), let close = rest[open.upperBound...].firstIndex(of: "}") {
      result += rest[..<open.lowerBound] + (machine.variable(String(rest[open.upperBound..<close])) ?? "")
      rest = rest[rest.index(after: close)...]
    }
    return result + rest
  }

  private func npmFiles() -> [(path: String, isTrusted: Bool)] {
    let user =
      machine.variable("npm_config_userconfig") ?? machine.variable("NPM_CONFIG_USERCONFIG")
      ?? machine.home(".npmrc")
    let global = machine.variable("npm_config_globalconfig") ?? machine.variable("NPM_CONFIG_GLOBALCONFIG")
    let prefix = machine.command("node").map { join(parent(of: $0, levels: 2), "etc/npmrc") }
    let owners = [
      "/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc", prefix, global, user,
      npmPackage().map { join($0, "npmrc") },
    ]
    let project = join(machine.workingDirectory, ".npmrc")
    return unique(owners.compactMap { $0 }).map { ($0, true) } + (project == user ? [] : [(project, false)])
  }

  /// The directory of the installed npm.
  private func npmPackage() -> String? {
    let found = machine.command("npm").map { parent(of: $0, levels: 2) }
    let places = [
      found, "/usr/lib/node_modules/npm", "/usr/local/lib/node_modules/npm", "/usr/share/nodejs/npm",
    ]
    return places.compactMap { $0 }.first { machine.exists(join($0, "package.json")) }
  }

  private mutating func readNpmDefault() {
    let paths = [
      "node_modules/@npmcli/config/lib/definitions/definitions.js",
      "../@npmcli/config/lib/definitions/definitions.js",
      "lib/utils/config/definitions.js",
    ]
    if let package = npmPackage() {
      for path in paths.map({ join(package, $0) }) {
        guard let text = text(path), let url = registryDefault(in: text) else { continue }
        add(url: url, for: "npm's own default registry", from: path, isTrusted: false)
        return
      }
    }
    noteAbsence(
      "no npm was found whose default registry could be read",
      "Set registry in .npmrc, or include builtin:npm")
  }
}

/// The URL behind `default:` in the definition of `registry`.
private func registryDefault(in text: String) -> Substring? {
  for head in ["Definition('registry'", "define('registry'"] {
    guard let start = text.firstRange(of: head) else { continue }
    let body = text[start.upperBound...].prefix(400)
    guard let value = body.firstRange(of: "default: '") else { continue }
    return body[value.upperBound...].prefix { $0 != "'" }
  }
  return nil
}

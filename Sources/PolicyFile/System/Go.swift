extension SystemFindings {
  /// Go's module proxies and checksum database: the environment, then the
  /// user's file, then the defaults in the file of the installed Go.
  ///
  /// - Source: Go Modules Reference, "Environment variables"; `go help environment`.
  mutating func readGo() {
    let user = machine.variable("GOENV") ?? machine.configuration("go/env")
    let files = (user == "off" ? [] : [user]) + goRoots().map { join($0, "go.env") }
    var found: Set<String> = []
    for name in ["GOPROXY", "GOSUMDB"] {
      guard let value = machine.variable(name) else { continue }
      takeGo(name, value, "the environment (\(name))", isTrusted: true)
      found.insert(name)
    }
    for path in files.compactMap({ $0 }) {
      guard let text = text(path) else { continue }
      for entry in iniEntries(text, continued: false)
      where ["GOPROXY", "GOSUMDB"].contains(entry.key) && found.insert(entry.key).inserted {
        takeGo(entry.key, entry.value, path, isTrusted: path == user)
      }
    }
  }

  private mutating func takeGo(_ name: String, _ value: String, _ origin: String, isTrusted: Bool) {
    if name == "GOSUMDB" {
      takeChecksumDatabase(value, origin, isTrusted: isTrusted)
      return
    }
    for proxy in value.split(whereSeparator: { $0 == "," || $0 == "|" }).map(trimmed) {
      switch proxy {
      case "off": continue
      case "direct":
        note(
          "'direct' in \(origin) fetches from the host that each module names",
          "Add rules for those hosts if they are needed")
      case let url where url.utf8.starts(with: "file:".utf8): continue
      default: add(url: proxy, for: "Go modules", from: origin, isTrusted: isTrusted)
      }
    }
  }

  /// `NAME[+KEY] [URL]`
  private mutating func takeChecksumDatabase(_ value: String, _ origin: String, isTrusted: Bool) {
    let parts = words(of: value)
    guard let name = parts.first, name != "off" else { return }
    let url = parts.count > 1 ? String(parts[1]) : "https://" + name.prefix { $0 != "+" }
    add(url: url, for: "checksums of Go modules", from: origin, isTrusted: isTrusted)
  }

  private func goRoots() -> [String] {
    let found = machine.command("go").map { parent(of: $0, levels: 2) }
    return unique([machine.variable("GOROOT"), found, "/usr/local/go", "/usr/lib/go"].compactMap { $0 })
  }
}

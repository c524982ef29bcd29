extension SystemFindings {
  /// apt's sources, one-line and deb822.
  ///
  /// - Source: sources.list(5), apt.conf(5). A proxy that apt is told to use is
  ///   not followed: the gate is the proxy.
  mutating func readApt() {
    let parts = "/etc/apt/sources.list.d"
    let names = machine.names(in: parts)
    let lists = ["/etc/apt/sources.list"] + names.filter { hasType($0, "list") }.map { join(parts, $0) }
    for path in lists {
      for line in lines(of: text(path)) { readOneLine(line, path) }
    }
    for path in names.filter({ hasType($0, "sources") }).map({ join(parts, $0) }) {
      for stanza in stanzas(of: text(path)) { readStanza(stanza, path) }
    }
  }

  /// `deb [options] URI suite components…`
  private mutating func readOneLine(_ line: Substring, _ path: String) {
    let text = line.prefix { $0 != "#" }
    var fields = words(of: text)
    guard let kind = fields.first, kind == "deb" || kind == "deb-src" else { return }
    fields.removeFirst()
    if fields.first?.first == "[" {
      guard let end = fields.firstIndex(where: { $0.last == "]" }) else { return }
      fields.removeSubrange(...end)
    }
    if let uri = fields.first { addApt(uri, path) }
  }

  private mutating func readStanza(_ stanza: [(key: String, value: String)], _ path: String) {
    let isOff = stanza.contains {
      $0.key == "enabled" && ["no", "false", "off", "0"].contains(asciiLowercased($0.value.utf8))
    }
    guard !isOff else { return }
    for (_, value) in stanza.filter({ $0.key == "uris" }) {
      for uri in words(of: value) { addApt(uri, path) }
    }
  }

  private mutating func addApt(_ uri: Substring, _ path: String) {
    let scheme = asciiLowercased(uri.utf8.prefix { $0 != UInt8(ascii: ":") })
    guard scheme == "http" || scheme == "https" else {
      note("'\(scheme):' in \(path) is left out", "Add a rule of your own if it leads to another host")
      return
    }
    add(url: uri, for: "packages for apt", from: path)
  }
}

/// The stanzas of a deb822 file: fields with lower-case keys, continuation
/// lines joined by a space.
///
/// - Source: deb822(5).
private func stanzas(of text: String?) -> [[(key: String, value: String)]] {
  var all: [[(key: String, value: String)]] = [[]]
  for line in lines(of: text) where line.first != "#" {
    if trimmed(line).isEmpty {
      all.append([])
    } else if line.first == " " || line.first == "\t" {
      guard var field = all[all.count - 1].popLast() else { continue }
      field.value += " " + line
      all[all.count - 1].append(field)
    } else if let colon = line.firstIndex(of: ":") {
      all[all.count - 1].append(
        (asciiLowercased(line[..<colon].utf8), String(trimmed(line[line.index(after: colon)...]))))
    }
  }
  return all
}

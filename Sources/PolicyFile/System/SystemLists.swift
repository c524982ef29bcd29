import Addressing

/// The lists that are read from the machine's own configuration.
enum SystemListName: String, CaseIterable, Sendable {
  case apt, pip, npm, cargo, go, git
}

/// Lists that are read at load from what this machine's package managers are
/// set up to use, so that mirrors and private indexes just work.
public enum SystemLists {
  /// Their names.
  public static let names = SystemListName.allCases.map(\.rawValue)

  /// A list's text as `include: [system:NAME]` reads it, with what was left
  /// out as comments; nil when there is no such list.
  ///
  /// - Parameters:
  ///   - environment: `HOME`, `PATH`, `PIP_INDEX_URL` and the like.
  ///   - workingDirectory: Absolute.
  ///   - root: Where the machine's files are; tests give a directory of fixtures.
  public static func yaml(
    named name: String, environment: [String: String], workingDirectory: String, root: String = "/"
  ) -> String? {
    guard let kind = SystemListName(rawValue: name) else { return nil }
    return list(kind, on: Machine(environment: environment, workingDirectory: workingDirectory, root: root))
      .yaml
  }

  static func list(_ kind: SystemListName, on machine: Machine) -> SystemList {
    var findings = SystemFindings(machine)
    switch kind {
    case .apt: findings.readApt()
    case .pip: findings.readPip()
    case .npm: findings.readNpm()
    case .cargo: findings.readCargo()
    case .go: findings.readGo()
    case .git: findings.readGit()
    }
    if findings.isCut {
      findings.note(
        "only the first \(SystemFindings.limit) sources count", "Name the others in rules of your own")
    }
    if findings.entries.isEmpty, !findings.notes.contains(where: \.isAbsence) {
      findings.noteAbsence(
        "nothing was found, so it gives no rule", "Leave it out, or set \(kind.rawValue) up first")
    }
    return SystemList(kind: kind, entries: findings.entries, notes: findings.notes)
  }
}

/// What one system list gave.
struct SystemList {
  let kind: SystemListName
  let entries: [SystemEntry]
  let notes: [SystemNote]

  /// The places it was read from.
  var detail: String {
    if entries.isEmpty { return "nothing found" }
    return "from " + oneOf(unique(entries.map(\.origin))).replacing(" or ", with: " and ")
  }

  /// The list as a policy: one rule for each host, port and protocol.
  var yaml: String {
    var lines = [
      "version: 1", "about: \(yamlText("What \(kind.rawValue) is set up to use on this machine."))",
    ]
    lines += notes.map { "# \(printable($0.cause)). \(printable($0.remedy))." }
    let places = unique(entries.map(Place.init))
    lines.append(places.isEmpty ? "rules: []" : "rules:")
    for (index, place) in places.enumerated() {
      lines += rule(place, number: index + 1, entries.filter { Place($0) == place })
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private func rule(_ place: Place, number: Int, _ entries: [SystemEntry]) -> [String] {
    let purposes = unique(entries.map { "\($0.purpose), from \($0.origin)" }).joined(separator: "; ")
    let name =
      "\(place.traffic.rawValue)-\(place.host.description.filter { $0 != "[" && $0 != "]" })-\(place.port)"
    var lines = [
      "  - id: \(yamlText(name.utf8.count <= 100 ? name : "\(place.traffic.rawValue)-\(number)"))",
      "    action: allow",
      "    to: [\(yamlText(place.pattern))]",
      "    protocol: \(place.traffic.rawValue)",
      "    ports: [\(place.port)]",
      "    reason: \(yamlText(purposes))",
    ]
    if entries.contains(where: \.isTrusted) { lines.append("    allow-private: true") }
    return lines
  }
}

/// What a rule of a system list speaks of.
private struct Place: Hashable {
  let host: Host
  let port: Port
  let traffic: TrafficProtocol

  init(_ entry: SystemEntry) {
    (host, port, traffic) = (entry.host, entry.port, entry.traffic)
  }

  var pattern: String {
    switch host {
    case .name(let name): name.text
    case .address(let address): "\(address)"
    }
  }
}

/// The items in order, each once.
func unique<Item: Hashable>(_ items: [Item]) -> [Item] {
  var seen: Set<Item> = []
  return items.filter { seen.insert($0).inserted }
}

/// A double-quoted YAML scalar in ASCII.
///
/// - Source: YAML 1.2.2 §5.7 (escapes), §7.3.1.
private func yamlText(_ text: String) -> String {
  var quoted = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": quoted += "\\\(scalar)"
    case " "..."~": quoted += String(scalar)
    default:
      let digits = String(scalar.value, radix: 16)
      quoted += "\\U" + String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }
  }
  return quoted + "\""
}

/// Text for a comment: nothing in it can end the line.
private func printable(_ text: String) -> String {
  text.unicodeScalars.map {
    ($0.isASCII && $0.value >= 0x20 && $0.value != 0x7f) || $0.value > 0x2fff || $0 == "…" ? String($0) : "?"
  }
  .joined()
}

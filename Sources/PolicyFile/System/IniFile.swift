/// One `key = value` of an ini file, with its section.
struct IniEntry: Hashable {
  var section: String
  var key: String
  var value: String
}

/// Reads `[section]` and `key = value` lines; indented lines continue a value,
/// joined by a space. Comments begin with `#` or `;`.
///
/// - Source: Python's configparser, npm's ini, git-config(1), in what they share.
func iniEntries(_ text: String, continued: Bool = true) -> [IniEntry] {
  var section = "", entries: [IniEntry] = []
  for line in lines(of: text) {
    let body = trimmed(line)
    guard let first = body.first, first != "#", first != ";" else { continue }
    if first == "[" {
      section = String(body.dropFirst().prefix { $0 != "]" })
    } else if continued, line.unicodeScalars.first.map(isBlank) == true, !entries.isEmpty,
      entries[entries.count - 1].section == section
    {
      entries[entries.count - 1].value += " " + body
    } else {
      let parts = body.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { continue }
      entries.append(
        IniEntry(section: section, key: String(trimmed(parts[0])), value: unquoted(trimmed(parts[1]))))
    }
  }
  return entries
}

import Addressing
import Audit
import Policy

/// A suggestion in YAML. Whatever stands in it is a name that was parsed, a number or a word of our own; the names
/// of programs alone come from elsewhere, and are made plain.
struct SuggestionText {
  /// How many of what was left out are named for each reason.
  private static let shown = 20

  let suggestion: Suggestion

  init(_ suggestion: Suggestion) { self.suggestion = suggestion }

  /// A whole file.
  var file: String {
    var lines = origin + ["version: 1", "mode: enforce"]
    if !suggestion.inclusions.isEmpty {
      lines.append("include:")
      for inclusion in suggestion.inclusions {
        lines.append("  # Covers \(listed(inclusion.covers)), and what else the list names.")
        lines.append("  - \(inclusion.name)")
      }
    }
    lines.append(suggestion.entries.isEmpty ? "rules: []" : "rules:")
    for entry in suggestion.entries { lines += self.lines(of: entry).map { "  " + $0 } }
    return (lines + leftOut).joined(separator: "\n") + "\n"
  }

  /// Where it comes from.
  var origin: [String] {
    let span =
      if let first = suggestion.first, let last = suggestion.last { " from \(first) to \(last)" } else { "" }
    return ["# Suggested by 'exitgate log suggest' from \(suggestion.records) decisions\(span)."]
      + (suggestion.unknown == 0
        ? []
        : [
          "# INCOMPLETE: \(suggestion.unknown) decisions at places too many to be told apart are not covered."
        ])
      + (suggestion.entries.contains { !$0.marks.isEmpty }
        ? ["# The riskiest first. LOOK says what a person should look at."] : [])
  }

  /// A rule with its comments, as an item of a list.
  func lines(of entry: SuggestedEntry) -> [String] {
    var lines: [String] = []
    let look = entry.marks.map { words(for: $0, entry) }
    if !look.isEmpty { lines.append("# LOOK: \(look.joined(separator: "; ")).") }
    for wildcard in entry.wildcards {
      lines.append(
        "# WILDCARD: *.\(wildcard.parent) allows every name below \(wildcard.parent); seen were \(listed(wildcard.siblings.map(\.text)))."
      )
    }
    lines.append("# \(use(of: entry))")
    lines.append("- id: \"\(entry.id)\"")
    lines.append("  action: allow")
    if let agents = entry.agents { lines.append("  agents: [\(quoted(agents.map(\.text)))]") }
    lines.append("  to: [\(quoted(entry.to.map(\.description)))]")
    if entry.traffic != .https { lines.append("  protocol: \(entry.traffic.rawValue)") }
    if !entry.recordTypes.isEmpty { lines.append("  types: [\(entry.recordTypes.joined(separator: ", "))]") }
    if entry.port != entry.usualPort { lines.append("  ports: [\(entry.port)]") }
    if !entry.methods.isEmpty { lines.append("  http: [{ methods: [\(quoted(entry.methods))] }]") }
    return lines
  }

  private func use(of entry: SuggestedEntry) -> String {
    let times =
      entry.count == 1 ? "once, at \(entry.last)" : "\(entry.count) times, \(entry.first) to \(entry.last)"
    let layers = entry.layers.isEmpty ? "" : ", at \(entry.layers.joined(separator: ", "))"
    let programs = entry.processes.prefix(8).map(plain)
    let by = programs.isEmpty ? "" : ", by \(programs.joined(separator: ", "))"
    return "\(times)\(layers)\(by); \(entry.bytesOut) bytes out, \(entry.bytesIn) in"
  }

  private func words(for mark: SuggestedEntry.Mark, _ entry: SuggestedEntry) -> String {
    switch mark {
    case .tunnel: "names below this domain look like data"
    case .resolver: "answers DNS over https, which carries data out to any name"
    case .highBytes: "\(entry.bytesOut >> 20) MiB were sent"
    case .opaque: "opaque bytes, nothing is looked at inside"
    case .datagrams: "datagrams, nothing is looked at inside"
    case .literal: "an address, not a name"
    case .oddPort: "port \(entry.port) is unusual"
    case .plain: "not encrypted"
    case .sharedEdge: "machines that many parties share"
    case .wildcard: "a wildcard"
    case .newDomain: "no rule and no ready-made list knows the domain"
    case .onlyAsked: "some names were only asked for over DNS"
    }
  }

  private var leftOut: [String] {
    var lines: [String] = []
    for why in LeftOut.Why.allCases {
      let own = suggestion.leftOut.filter { $0.why == why }
      guard !own.isEmpty else { continue }
      if lines.isEmpty { lines.append("# Left out, although it passed:") }
      let places = own.prefix(Self.shown).map {
        plain($0.place) + ($0.agent == "default" ? "" : " (\(plain($0.agent)))")
      }
      let more = own.count > Self.shown ? " and \(own.count - Self.shown) more" : ""
      lines.append("#   \(why.rawValue): \(places.joined(separator: ", "))\(more)")
    }
    return lines
  }

  private func listed(_ names: [String]) -> String {
    let shown = names.prefix(Self.shown)
    return shown.joined(separator: ", ")
      + (names.count > shown.count ? " and \(names.count - shown.count) more" : "")
  }

  private func quoted(_ texts: [String]) -> String {
    texts.map { "\"\(plain($0))\"" }.joined(separator: ", ")
  }

  /// Printable ASCII without what could end a quoted text.
  private func plain(_ text: String) -> String {
    String(decoding: text.utf8.prefix(256).map { isPlain($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }

  private func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
  }
}

extension SuggestedEntry {
  /// The port that the policy language fills in.
  fileprivate var usualPort: Port? {
    switch traffic {
    case .https: .https
    case .http: .http
    case .dns: .domain
    case .tcp, .udp: nil
    }
  }
}

import Review

/// A host's name as a person has to judge it: the A-labels as they are on the wire, the registered domain always
/// there and marked, and beside it what Unicode makes of it.
struct HostView {
  private let name: ShownName

  /// - Parameter name: A name or an address.
  init(_ name: String) { self.name = ShownName(name) }

  /// The name in at most `width` columns, as long as the registered domain fits: what is cut is cut out of the left
  /// half, so that neither a familiar beginning nor a long middle hides the end.
  func text(width: Int) -> Text {
    let (head, domain) = (name.head, name.domain)
    let room = width - domain.utf8.count
    guard head.utf8.count > room else { return Text(ascii: head) + Text(ascii: domain, .strong) }
    let kept = max(0, room - 1), begin = min(kept / 3, 8)
    let first = String(decoding: head.utf8.prefix(begin), as: UTF8.self)
    let last = String(decoding: head.utf8.suffix(kept - begin), as: UTF8.self)
    return Text(ascii: first) + Text("…") + Text(ascii: last) + Text(ascii: domain, .strong)
  }

  /// What Unicode makes of its A-labels, and what of that can be taken for something else; nil where all is ASCII.
  var rendering: Text? {
    guard let unicode = name.unicode else { return nil }
    let shown = Text(unicode, .doubtful)
    return name.warnings.isEmpty
      ? "in Unicode \(shown)"
      : "in Unicode \(shown), \(Text(name.warnings.joined(separator: "; "), .bad))"
  }
}

import Addressing
import Audit
import Policy
import Review

/// A group of denials as the page shows it.
struct ShownGroup {
  let group: BlockedReport.Group
  /// Ready-made lists that hold the destination already.
  let lists: [String]

  /// The lists that come with the program, as of the start.
  static let lists = ShippedLists(at: Timestamp(milliseconds: 0))

  init(_ group: BlockedReport.Group, _ shipped: ShippedLists) {
    self.group = group
    lists =
      Self.question(group).map { question in
        shipped.covering(question, at: group.last).map(\.name)
      } ?? []
  }

  /// What another policy is asked about it.
  private static func question(_ group: BlockedReport.Group) -> PolicyQuestion? {
    var kind = RecordKind(event: .decision)
    (kind.agent, kind.destination) = (group.agent, group.destination)
    (kind.layer, kind.recordType) = (
      group.layers.count == 1 ? group.layers.first : .connect, group.recordTypes.min()
    )
    return PolicyQuestion(kind)
  }

  /// Where to: of a question, the name and the types.
  var place: String {
    if let fold = group.fold { return "\(fold), more places than are told apart" }
    guard let destination = group.destination else {
      return group.layers == [.kernel]
        ? "packets that the kernel only counted" : "no destination that can be read"
    }
    guard destination.traffic == .dns, !group.recordTypes.isEmpty else { return "\(destination)" }
    return "DNS \(group.recordTypes.sorted().joined(separator: ", ")) of \(destination.host)"
  }

  /// The place, the registered domain of which stands out: whoever pads a name in front of it hides nothing.
  var markedPlace: HTML {
    let place = place, domain = group.domain
    guard !domain.isEmpty, let range = place.utf8Range(ofLast: domain) else { return HTML(place) }
    return HTML([
      HTML(String(place[..<range.lowerBound])), HTML("b", [HTML(domain)]),
      HTML(String(place[range.upperBound...])),
    ])
  }

  /// The group in the list.
  var item: HTML {
    HTML(
      "li",
      [
        HTML("h3", [HTML("a", [link], [markedPlace])]),
        HTML("p", [.class("number")], [HTML(count(group.count, "denial"))]),
        HTML("p", [HTML("agent "), HTML("code", [HTML(group.agent)]), HTML("; \(why)")]),
        HTML("p", [.class("faint")], [HTML(span)]), passed, remedy,
      ])
  }

  /// Where it is told of; of what was folded, what narrows the list down to it.
  private var link: HTML.Attribute {
    guard let fold = group.fold else { return .href("group", GroupKey(group).query) }
    let hosts = fold.hosts.map { "\($0)" } ?? ""
    let query: [(name: StaticString, value: String)] = [
      ("agent", group.agent), ("since", "1h"), ("destination", hosts),
    ]
    return .href("./", query)
  }

  private var why: String {
    let reasons = group.reasons.keys.sorted().joined(separator: ", ")
    return reasons + (group.rule.map { " (\($0))" } ?? "") + ", seen by "
      + group.layers.map(\.rawValue).sorted().joined(separator: ", ")
  }

  private var span: String {
    group.count == 1 ? "once, at \(group.last)" : "from \(group.first) to \(group.last)"
  }

  var passed: HTML {
    guard group.passed > 0 else { return .nothing }
    return HTML(
      "p",
      [HTML("strong", [.class("bad")], [HTML("NOT ENFORCING: it passed \(count(group.passed, "time"))")])])
  }

  private var remedy: HTML {
    if !lists.isEmpty {
      return HTML("p", [HTML("Covered by "), HTML("code", [HTML(lists.joined(separator: " or "))])])
    }
    guard let rule = group.suggestedRule else {
      return HTML("p", [.class("faint")], ["No rule can help here."])
    }
    return HTML("p", [.class("rule")], [HTML("code", [HTML("- \(rule)")])])
  }

  /// All that is known of it, in words.
  var details: HTML {
    let reason = Reason(rawValue: group.reason)?.explanation
    var rows: [(HTML, HTML)] = [
      ("Agent", HTML("code", [HTML(group.agent)])), ("Denials", HTML("\(group.count)")),
      ("When", HTML(span)),
      (
        "Why",
        HTML(group.reasons.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
      ),
      ("Seen by", HTML(group.layers.map(\.rawValue).sorted().joined(separator: ", "))),
    ]
    if let reason { rows.append(("In words", HTML("\(reason)."))) }
    if let rule = group.rule { rows.append(("Rule", HTML("code", [HTML(rule)]))) }
    if !group.processes.isEmpty {
      rows.append(("Programs", HTML(group.processes.sorted().joined(separator: ", "))))
    }
    if !lists.isEmpty {
      rows.append(("Ready-made lists", HTML("code", [HTML(lists.joined(separator: ", "))])))
    }
    return facts(rows)
  }
}

extension String {
  /// Where `part` stands last in the text.
  fileprivate func utf8Range(ofLast part: String) -> Range<String.Index>? {
    let own = Array(utf8), wanted = Array(part.utf8)
    guard !wanted.isEmpty, wanted.count <= own.count else { return nil }
    for start in stride(from: own.count - wanted.count, through: 0, by: -1)
    where own[start..<(start + wanted.count)].elementsEqual(wanted) {
      let lower = utf8.index(utf8.startIndex, offsetBy: start)
      return lower..<utf8.index(lower, offsetBy: wanted.count)
    }
    return nil
  }
}

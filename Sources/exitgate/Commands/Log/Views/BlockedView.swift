import Addressing
import Audit
import Policy
import Review

/// How blocked destinations are shown.
struct BlockedView {
  enum Form { case text, json, csv }

  let form: Form
  private let now: Timestamp
  private let lists: ShippedLists

  init(form: Form, now: Timestamp) {
    (self.form, self.now) = (form, now)
    lists = ShippedLists(at: now)
  }

  /// - Parameter all: Those that a page is taken from.
  func show(
    _ groups: ArraySlice<BlockedReport.Group>, of all: [BlockedReport.Group], on console: Console
  ) {
    var coverage = Coverage(lists: lists, now: now)
    switch form {
    case .json: for group in groups { console.result(group.json(lists: coverage.names(for: group))) }
    case .csv: showTable(groups, &coverage, on: console)
    case .text: showText(groups, headings(all), &coverage, on: console)
    }
  }

  private func showText(
    _ groups: ArraySlice<BlockedReport.Group>, _ headings: [String: Text], _ coverage: inout Coverage,
    on console: Console
  ) {
    var domain: String?
    for group in groups {
      if group.domain != domain, let heading = headings[group.domain] { console.result(heading) }
      domain = group.domain
      group.lines(lists: coverage.names(for: group)).forEach(console.result)
    }
  }

  /// For each registered domain of more than one group, what stands above them.
  private func headings(_ groups: [BlockedReport.Group]) -> [String: Text] {
    var sums: [String: (groups: Int, denials: UInt64)] = [:]
    for group in groups where !group.domain.isEmpty {
      let sum = sums[group.domain] ?? (0, 0)
      sums[group.domain] = (sum.groups + 1, sum.denials &+ group.count)
    }
    return sums.filter { $0.value.groups > 1 }.reduce(into: [:]) { headings, entry in
      let (domain, sum) = entry
      headings[domain] =
        "\(Text(ascii: domain, .strong)): \(count(sum.groups, "group")), \(count(sum.denials, "denial"))"
    }
  }

  private func showTable(
    _ groups: ArraySlice<BlockedReport.Group>, _ coverage: inout Coverage, on console: Console
  ) {
    console.result(
      cells: [
        "domain", "host", "port", "protocol", "agent", "count", "passed", "first", "last", "layers",
        "reasons",
        "explanation", "rule", "record_types", "processes", "lists", "suggested_rule", "folded",
      ])
    for group in groups { console.result(cells: group.cells(lists: coverage.names(for: group))) }
  }
}

/// The ready-made lists that hold destinations already; they speak to every agent, so each question is asked once.
private struct Coverage {
  let lists: ShippedLists
  let now: Timestamp
  private var known: [PolicyQuestion: [String]] = [:]

  init(lists: ShippedLists, now: Timestamp) { (self.lists, self.now) = (lists, now) }

  mutating func names(for group: BlockedReport.Group) -> [String] {
    guard var question = group.question else { return [] }
    question.agent = .default
    if let names = known[question] { return names }
    let names = lists.covering(question, at: now).map(\.name)
    known[question] = names
    return names
  }
}

extension BlockedReport.Group {
  /// What another policy is asked about it.
  fileprivate var question: PolicyQuestion? {
    var kind = RecordKind(event: .decision)
    (kind.agent, kind.destination) = (agent, destination)
    (kind.layer, kind.recordType) = (layers.count == 1 ? layers.first : .connect, recordTypes.min())
    return PolicyQuestion(kind)
  }

  /// Where to: of a question, the name and the types.
  private var place: String {
    if let fold { return "\(fold), more places than are told apart" }
    guard let destination else {
      return layers == [.kernel] ? "packets that the kernel only counted" : "no destination that can be read"
    }
    guard destination.traffic == .dns, !recordTypes.isEmpty else { return "\(destination)" }
    return "DNS \(recordTypes.sorted().joined(separator: ", ")) of \(destination.host)"
  }

  private var layerNames: [String] { layers.map(\.rawValue).sorted() }
  private var reasonNames: [String] { reasons.keys.sorted() }
  private var explanation: String { Reason(rawValue: reason)?.explanation ?? "" }

  /// The group for people: what, then when and why, then the way out.
  fileprivate func lines(lists: [String]) -> [Text] {
    let times = count == 1 ? "once, at \(last)" : "\(count) times, from \(first) to \(last)"
    let why = reasonNames.joined(separator: ", ") + (rule.map { " (\($0))" } ?? "")
    let by = processes.isEmpty ? "" : "; by \(processes.sorted().joined(separator: ", "))"
    var lines: [Text] = ["\(Text(ascii: place, .strong))  agent \(Text(ascii: agent))"]
    lines.append(
      "  \(times); \(Text(ascii: why)); at \(layerNames.joined(separator: ", "))\(Text(ascii: by))")
    if !explanation.isEmpty { lines.append("  \(Text(explanation, .faint))") }
    if passed > 0 { lines.append("  \(Text("passed \(passed) times: NOT ENFORCING", .bad))") }
    if let fold { lines.append("  \(Text(ascii: "one by one: \(fold.options(agent: agent))", .faint))") }
    if !lists.isEmpty { lines.append("  \(Text("add \(lists.joined(separator: " or "))", .good))") }
    if let suggestedRule { lines.append("  - \(Text(ascii: suggestedRule, .good))") }
    return lines
  }

  fileprivate func json(lists: [String]) -> JSONValue {
    .object([
      .init("agent", .string(agent)), .init("domain", .string(domain)),
      .init("destination", destination.map { .string("\($0)") } ?? .null),
      .init("host", destination.map { .string("\($0.host)") } ?? .null),
      .init("port", destination.map { .integer(Int64($0.port.number)) } ?? .null),
      .init("protocol", destination.map { .string($0.traffic.rawValue) } ?? .null),
      .init("record_types", .strings(recordTypes.sorted())),
      .init("count", .integer(Int64(clamping: count))), .init("passed", .integer(Int64(clamping: passed))),
      .init("first", .string(first.description)), .init("last", .string(last.description)),
      .init("layers", .strings(layerNames)), .init("processes", .strings(processes.sorted())),
      .init("reason", .string(reason)), .init("explanation", .string(explanation)),
      .init(
        "reasons",
        .object(reasons.sorted { $0.key < $1.key }.map { .init($0.key, .integer(Int64(clamping: $0.value))) })
      ),
      .init("rule", rule.map { .string($0) } ?? .null), .init("lists", .strings(lists)),
      .init("suggested_rule", suggestedRule.map { .string($0) } ?? .null),
      .init("folded", fold.map { .string("\($0)") } ?? .null),
    ])
  }

  fileprivate func cells(lists: [String]) -> [String] {
    [
      domain, destination.map { "\($0.host)" } ?? "", destination.map { "\($0.port)" } ?? "",
      destination?.traffic.rawValue ?? "", agent, "\(count)", "\(passed)", "\(first)", "\(last)",
      layerNames.joined(separator: " "), reasonNames.joined(separator: " "), explanation, rule ?? "",
      recordTypes.sorted().joined(separator: " "), processes.sorted().joined(separator: " "),
      lists.joined(separator: " "), suggestedRule ?? "", fold.map { "\($0)" } ?? "",
    ]
  }
}

extension Fold {
  /// What narrows a review down to what was folded.
  fileprivate func options(agent: String) -> String {
    let who = level == .everything ? "--agent NAME" : "--agent \(agent)"
    return "\(who)\(hosts.map { " --destination '\($0)'" } ?? "") --since 1h, or a host alone"
  }
}

extension JSONValue {
  /// An array of texts.
  static func strings(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
}

import Addressing
import Audit
import Policy
import Review

/// What waits for a person, and what was blocked: the filter, the hours, the groups.
struct OverviewPage {
  /// Groups on one page.
  private static let pageLength = 50

  let fields: FormFields
  let summary: LogSummary
  let inbox: InboxSection
  private let now: Timestamp
  private let groups: [BlockedReport.Group]
  private let report: BlockedReport

  init(_ fields: FormFields, _ summary: LogSummary, inbox: InboxSection, at now: Timestamp) {
    self.fields = fields
    self.inbox = inbox
    self.now = now
    self.summary = summary
    report = BlockedReport(summary)
    let order = fields["sort"].flatMap(BlockedOrder.init) ?? .count
    groups = order.sorted(report.groups)
  }

  var content: [HTML] {
    [
      HTML("h1", ["Waiting and blocked"]), inbox.html, HTML("h2", ["What was blocked"]),
      FilterForm(fields: fields, report: StatsReport(summary)).html,
      section("hours-section", "By hour", [Timeline(StatsReport(summary), at: now).html]),
      section("blocked", "Destinations", [totals, list, pages]),
    ]
  }

  private var totals: HTML {
    let denials = groups.reduce(0) { $0 &+ $1.count }
    var words = ["\(count(groups.count, "group")), \(count(denials, "denial"))."]
    if report.folded > 0 {
      words.append(
        "\(count(report.folded, "denial")) at more places than are told apart: narrow the list to see them.")
    }
    if report.others > 0 {
      words.append("\(report.others) more that the gate itself counted without their places.")
    }
    if report.lostEvents > 0 {
      words.append("\(count(report.lostEvents, "denied packet")) more that the kernel only counted.")
    }
    if report.suffixed > 0 {
      words.append(
        "\(count(report.suffixed, "question")) with a search suffix behind a name that may be resolved.")
    }
    if summary.unreadable > 0 {
      words.append("\(count(summary.unreadable, "line")) of the log cannot be read.")
    }
    return HTML("p", [.id("totals")], [HTML(words.joined(separator: " "))])
  }

  private var list: HTML {
    guard !groups.isEmpty else { return report.isEmpty ? HTML("p", ["Nothing was blocked."]) : .nothing }
    let lists = ShownGroup.lists
    return HTML(
      "ol", [.class("groups"), .init("start", "\((page - 1) * Self.pageLength + 1)")],
      groups.dropFirst((page - 1) * Self.pageLength).prefix(Self.pageLength).map {
        ShownGroup($0, lists).item
      })
  }

  private var page: Int {
    min(max(1, fields["page"].flatMap { Int($0) } ?? 1), pageCount)
  }

  private var pageCount: Int { max(1, (groups.count + Self.pageLength - 1) / Self.pageLength) }

  private var pages: HTML {
    guard pageCount > 1 else { return .nothing }
    func link(_ number: Int, _ title: HTML, _ relation: StaticString) -> HTML {
      guard (1...pageCount).contains(number), number != page else { return .nothing }
      let query = FilterForm.names.compactMap { name in fields["\(name)"].map { (name, $0) } }
      return HTML(
        "a", [.init("rel", "\(relation)"), .href("./", query + [("page", "\(number)")])], [title])
    }
    return HTML(
      "nav", [.class("pages"), .init("aria-label", "Pages of destinations")],
      [
        link(page - 1, "Earlier page", "prev"), HTML("span", [HTML("Page \(page) of \(pageCount)")]),
        link(page + 1, "Next page", "next"),
      ])
  }
}

/// What narrows the page down; a plain form, so that every view has an address of its own.
struct FilterForm {
  static let names: [StaticString] = ["since", "agent", "destination", "reason", "layer", "sort"]

  let fields: FormFields
  let report: StatsReport

  /// Entries of a choice at most: an agent chooses no reasons, but the log could be anybody's.
  private static let choices = 100

  var html: HTML {
    HTML(
      "form",
      [
        .class("filter"), .init("method", "get"), .init("action", "./"), .init("role", "search"),
        .init("aria-label", "Filter"),
      ],
      [
        choice("since", "Since", Self.times, chosen: fields["since"]),
        choice("agent", "Agent", options("every agent", report.agents.keys), chosen: fields["agent"]),
        textField("destination", "Destination", fields["destination"], example: "**.example.com"),
        choice("reason", "Reason", options("every reason", report.reasons.keys), chosen: fields["reason"]),
        choice(
          "layer", "Seen by", options("every layer", Layer.allCases.map(\.rawValue)), chosen: fields["layer"]),
        choice("sort", "Order", Self.orders, chosen: fields["sort"]),
        HTML("button", [.init("type", "submit")], ["Show"]),
      ])
  }

  private static let times = [
    ("", "the beginning"), ("15m", "15 minutes ago"), ("1h", "an hour ago"), ("1d", "a day ago"),
    ("7d", "a week ago"),
  ].map { (value: $0.0, title: $0.1) }

  private static let orders = [
    ("", "most often first"), ("last", "latest first"), ("first", "earliest first"),
    ("destination", "by name"),
  ].map { (value: $0.0, title: $0.1) }

  private func options(_ all: String, _ values: some Collection<String>) -> [(value: String, title: String)] {
    var values = values.sorted().prefix(Self.choices).map { (value: $0, title: $0) }
    for chosen in [fields["agent"], fields["reason"]].compactMap(\.self)
    where all.hasSuffix("agent") == (chosen == fields["agent"]) && !all.hasSuffix("layer")
      && !values.contains(where: { $0.value == chosen })
    {
      values.append((chosen, chosen))
    }
    return [(value: "", title: all)] + values
  }
}

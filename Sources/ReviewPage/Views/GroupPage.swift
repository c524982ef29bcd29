import Audit
import Policy
import Review

/// One group: what is known of it, the rule that would open it, its latest records.
struct GroupPage {
  /// Records that are shown.
  static let recordLimit = 100

  let group: BlockedReport.Group
  let records: [LogRecord]
  /// What adding the rule to the overlay would change, or why it cannot be added; nil without an overlay.
  let change: Result<Overlay.Change, ReviewProblem>?
  let overlay: String?

  var content: [HTML] {
    let shown = ShownGroup(group, ShownGroup.lists)
    return [
      HTML("p", [HTML("a", [.href("./")], ["All that was blocked"])]),
      HTML("h1", [.class("place")], [shown.markedPlace]),
      section("facts", "What is known", [shown.passed, shown.details]),
      section("suggestion", "The rule that would allow it", suggestion),
      section("records", "The latest records", [recordList]),
    ]
  }

  // MARK: - Suggestion

  private var suggestion: [HTML] {
    guard let rule = group.suggestedRule else {
      return [
        HTML(
          "p",
          ["No rule can help here: the floor, a deny rule or bytes that are no request stand against it."])
      ]
    }
    return [
      HTML(
        "p", ["It opens this host, port and protocol, and nothing else. Narrow it further where you can."]),
      HTML(
        "pre", [.id("rule"), .init("tabindex", "0"), .init("aria-label", "The rule")], [HTML("- \(rule)")]),
      copyButton, application(rule),
    ]
  }

  /// Shown by the script, which alone can do it.
  private var copyButton: HTML {
    HTML("button", [.init("type", "button"), .init("data-copy", "rule"), .init("hidden")], ["Copy the rule"])
  }

  private func application(_ rule: String) -> HTML {
    guard let overlay, let change else {
      return HTML("p", [.class("faint")], ["To add it from here, start exitgate review with --rules FILE."])
    }
    switch change {
    case .failure(let problem):
      return HTML("p", [HTML("strong", [.class("bad")], ["It cannot be added: "]), HTML(problem.text)])
    case .success(let change):
      return HTML([
        HTML("h3", [HTML("As a change of \(overlay)")]), diff(change), applyButton(rule),
        HTML("noscript", [HTML("p", ["Copy the new lines into the file, then run exitgate reload."])]),
      ])
    }
  }

  private func diff(_ change: Overlay.Change) -> HTML {
    HTML(
      "pre", [.class("diff"), .init("tabindex", "0"), .init("aria-label", "The change")],
      LineDiff(from: change.old, to: change.new).lines.map { line in
        HTML(
          line.isNew ? "ins" : "span", [HTML(line.isNew ? "+ \(line.text)" : "  \(line.text)")])
      })
  }

  private func applyButton(_ rule: String) -> HTML {
    let key = GroupKey(group).query.map {
      HTML.Attribute(Self.dataNames["\($0.name)"] ?? "data-agent", $0.value)
    }
    return HTML([
      HTML(
        "button",
        [.init("type", "button"), .id("apply"), .init("data-rule", rule), .init("hidden")] + key,
        ["Add it to the file"]),
      HTML("p", [.id("outcome"), .init("role", "status")], []),
    ])
  }

  private static let dataNames: [String: StaticString] = [
    "agent": "data-agent", "host": "data-host", "port": "data-port", "protocol": "data-protocol",
  ]

  // MARK: - Records

  private var recordList: HTML {
    guard !records.isEmpty else { return HTML("p", ["None is left in the log."]) }
    let format = TailFormat(isColoured: false)
    return HTML(
      "ol", [.class("records"), .init("reversed")],
      records.reversed().map { record in
        HTML(
          "li",
          [
            HTML(
              "details",
              [
                HTML("summary", [HTML(format.line(for: record))]),
                HTML(
                  "pre", [.init("tabindex", "0"), .init("aria-label", "The record")], [HTML(record.line.text)]
                ),
              ])
          ])
      })
  }
}

import Addressing
import Audit
import Control
import Policy
import Review

/// A question that waits, with all that whoever answers it should see, and the answers that there are.
struct QuestionCard {
  let question: PendingStatus
  /// The session's own token, which a form has to carry.
  let token: String
  private let uses: [PlaceUse]

  /// - Parameter totals: The log in sums, for who else has used the destination.
  init(_ question: PendingStatus, totals: [Tally], token: String) {
    (self.question, self.token) = (question, token)
    uses = question.places.compactMap(\.host.asHost).map {
      PlaceUse(of: $0, for: question.agent, in: totals)
    }
  }

  var item: HTML {
    HTML(
      "li", [.init("id", "q-\(question.id)"), .class("question")],
      question.places.map(heading)
        + [HTML("p", [HTML("agent "), HTML("strong", [HTML(question.agent)]), HTML("; \(timing)")]), times]
        + [marks, facts(rows), form])
  }

  // MARK: - What is asked for

  private func heading(_ place: PendingStatus.Place) -> HTML {
    let name = ShownName(place.host)
    var lines = [
      HTML(
        "h3", [.class("place")],
        [
          HTML("\(place.traffic)://\(name.head)"), HTML("b", [HTML(name.domain)]),
          HTML("b", [HTML(":\(place.port)")]),
        ])
    ]
    if let method = place.method {
      lines.append(HTML("p", [HTML("code", [HTML("\(method) \(place.path ?? "")")])]))
    }
    if let unicode = name.unicode {
      lines.append(HTML("p", [HTML("in Unicode "), HTML(letters: unicode)]))
    }
    return HTML(lines)
  }

  private var timing: String {
    let times = question.count == 1 ? "asked once" : "asked \(question.count) times"
    let held =
      question.waiting == 0 ? "nobody waits now" : "\(count(question.waiting, "connection")) held"
    return "\(times), \(held)"
  }

  private var times: HTML {
    var parts: [HTML] = []
    if let held = question.heldUntil { parts += [HTML("held until "), moment(held), HTML("; ")] }
    if let end = question.expires { parts += [HTML("the question is over "), moment(end)] }
    return parts.isEmpty ? .nothing : HTML("p", [.class("left")], parts)
  }

  /// A time that the page's script counts down to.
  private func moment(_ time: String) -> HTML {
    HTML("time", [.init("datetime", time)], [HTML(time)])
  }

  private var marks: HTML {
    let words = question.places.flatMap(risks).reduce(into: [String]()) { list, word in
      if !list.contains(word) { list.append(word) }
    }
    guard !words.isEmpty else { return .nothing }
    return HTML("ul", [.class("marks")], words.map { HTML("li", [HTML("strong", [HTML($0)])]) })
  }

  private func risks(_ place: PendingStatus.Place) -> [String] {
    guard let destination = place.destination else { return [] }
    var kind = RecordKind(event: .decision)
    (kind.agent, kind.destination, kind.layer) = (question.agent, destination, .connect)
    kind.method = place.method
    let asked = PolicyQuestion(kind)
    let isKnown =
      asked.map { !ShownGroup.lists.covering($0, at: Timestamp(milliseconds: 0)).isEmpty } ?? false
    return PlaceMarks.words(
      for: destination, method: place.method, addresses: question.addresses.compactMap { IPAddress($0) },
      isKnown: isKnown)
  }

  // MARK: - What is known

  private var rows: [(HTML, HTML)] {
    var rows: [(HTML, HTML)] = []
    if let program = question.program {
      rows.append(
        (
          "Program",
          HTML([
            HTML("code", [HTML(program)]), HTML(" in "),
            HTML("code", [HTML(question.workingDirectory ?? "?")]),
          ])
        ))
    }
    let addresses =
      question.addresses.isEmpty
      ? "not looked up before it is allowed" : question.addresses.joined(separator: ", ")
    rows.append(("Addresses", HTML(addresses)))
    let leave = Set(question.places.flatMap(\.leave)).sorted()
    if !leave.isEmpty { rows.append(("Also where it leads to", HTML(leave.joined(separator: ", ")))) }
    if question.more > 0 {
      rows.append(("Not listed", HTML("\(question.more) more did not fit and were denied")))
    }
    rows.append(("Asked", HTML("from \(question.since) to \(question.last)")))
    let asks = question.places.first?.rule.map { HTML("code", [HTML($0)]) } ?? "the policy's default"
    rows.append(("Rule that asks", HTML([asks, HTML(", generation \(question.generation)")])))
    return rows + useRows + ruleRows
  }

  private var useRows: [(HTML, HTML)] {
    let own = uses.reduce(into: PlaceUse.Times()) { sum, use in
      sum.passed &+= use.own.passed
      sum.blocked &+= use.own.blocked
    }
    let others = uses.flatMap { $0.others.sorted { $0.key < $1.key } }
    return [
      ("This agent before", HTML(words(own))),
      (
        "Other agents",
        others.isEmpty
          ? "none is in the log with it"
          : HTML(others.prefix(8).map { "\($0.key): \(words($0.value))" }.joined(separator: "; "))
      ),
    ]
  }

  private func words(_ times: PlaceUse.Times) -> String {
    "passed \(times.passed), blocked \(times.blocked)"
  }

  private var ruleRows: [(HTML, HTML)] {
    var rows: [(HTML, HTML)] = []
    let candidates = question.places.compactMap(\.candidate)
    if question.places.count == 1, let rule = candidates.first {
      let title: HTML = question.offers.contains("always") ? "Always adds" : "The exact rule"
      rows.append((title, HTML("code", [.class("rule")], [HTML("- \(rule)")])))
    } else if question.places.count > 1 {
      rows.append(
        ("Covers", HTML("the \(question.places.count) destinations listed, and nothing else of the domain")))
    }
    if let domain = question.domain { rows.append(("Wider", HTML(wider(domain)))) }
    return rows
  }

  private func wider(_ domain: String) -> String {
    let listed = Set(question.places.map(\.host))
    let names = (uses.first?.neighbours ?? []).subtracting(listed).sorted()
    let seen =
      names.isEmpty
      ? "no other name there is in the log"
      : "in the log: \(names.prefix(5).joined(separator: ", "))"
        + (names.count > 5 ? " and \(names.count - 5) more" : "")
    return "**.\(domain) would cover every name there; \(seen). No answer here is as wide."
  }

  // MARK: - Answers

  private var form: HTML {
    guard !question.offers.isEmpty else {
      return HTML("p", [.class("faint")], ["You may look and not answer."])
    }
    // What Enter in the text stands for is the first button: a refusal.
    return HTML(
      "form",
      [
        .class("answer"), .init("method", "post"), .init("action", "answer"),
        .init("data-answer", question.digest), .init("aria-label", "Answer to \(question.title)"),
      ],
      hidden + [
        HTML("div", [.class("buttons")], Self.refusals.compactMap(button)),
        HTML("div", [.class("buttons")], Self.approvals.compactMap(button) + [span]),
        note,
      ])
  }

  private var hidden: [HTML] {
    [
      hiddenField("token", token), hiddenField("id", question.id),
      hiddenField("generation", "\(question.generation)"), hiddenField("digest", question.digest),
    ]
  }

  private static let refusals = [
    ("refuse", "Refuse"), ("refuse-session", "Refuse until the gate ends"),
    ("refuse-always", "Refuse for ever"),
  ]
  private static let approvals = [
    ("once", "Allow once"), ("session", "Allow until the gate ends"), ("always", "Allow always"),
  ]

  /// The button and its time stay side by side.
  private var span: HTML {
    guard let button = button("time", "Allow for") else { return .nothing }
    return HTML("span", [button, " ", spans])
  }

  private func button(_ offer: String, _ title: String) -> HTML? {
    guard question.offers.contains(offer) else { return nil }
    return HTML(
      "button",
      [
        .init("type", "submit"), .init("name", "answer"), .init("value", offer),
        .init("id", "answer-\(offer)-\(question.id)"),
      ], [HTML(title)])
  }

  private var spans: HTML {
    let options = [("900", "15 minutes"), ("3600", "an hour"), ("28800", "8 hours"), ("604800", "7 days")]
    return HTML(
      "select",
      [
        .init("name", "seconds"), .init("id", "seconds-\(question.id)"),
        .init("aria-label", "Allow for how long"),
      ],
      options.map { HTML("option", [.init("value", $0.0)], [HTML($0.1)]) })
  }

  private var note: HTML {
    HTML(
      "label",
      [
        HTML("span", ["Why, for the log"]),
        HTML(
          void: "input",
          [
            .init("type", "text"), .init("name", "note"), .init("maxlength", "256"),
            .init("id", "note-\(question.id)"), .init("autocomplete", "off"),
          ]),
      ])
  }
}

/// A value that a form sends and nobody sees.
func hiddenField(_ name: StaticString, _ value: String) -> HTML {
  HTML(void: "input", [.init("type", "hidden"), .init("name", "\(name)"), .init("value", value)])
}

extension PendingStatus.Place {
  /// The place as the log knows it; nil for what no gate says.
  fileprivate var destination: Destination? {
    guard let host = host.asHost, let port = UInt16(exactly: port).flatMap({ Port($0) }),
      let traffic = TrafficProtocol(rawValue: traffic)
    else {
      return nil
    }
    return Destination(host, port, traffic)
  }
}

extension String {
  /// A name or an address as the gate writes it.
  fileprivate var asHost: Host? {
    if let address = IPAddress(self) { return .address(address) }
    return (try? Hostname(self)).map { .name($0) }
  }
}

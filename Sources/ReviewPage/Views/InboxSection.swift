import Control
import Review

/// What waits for a person, for as long as agents are held for it.
struct InboxSection {
  /// The questions, or why they are not known; nil where no gate is spoken to.
  let questions: Result<[PendingStatus], ReviewProblem>?
  /// Whether somebody can be asked by this page.
  let state: Attendance.State
  let ended: [Attendance.Ended]
  let totals: [Tally]
  let token: String

  var html: HTML {
    switch questions {
    case nil: HTML("div", [.id("pending"), .init("data-live")], [])
    case .failure(let problem)?:
      inbox("Waiting for you", [HTML("p", [bad("No answer: "), HTML(problem.text)])])
    case .success(let list)?: inbox("Waiting for you: \(list.count)", [asked, cards(list), endings])
    }
  }

  private func inbox(_ title: String, _ content: [HTML]) -> HTML {
    section("pending", HTML(title), content)
  }

  private func bad(_ text: String) -> HTML { HTML("strong", [.class("bad")], [HTML(text)]) }

  private var asked: HTML {
    switch state {
    case .asked:
      HTML(
        "p",
        [
          HTML("strong", [.class("good")], ["You can be asked. "]),
          "Agents are held for an answer while this page is open.",
        ])
    case .away:
      HTML([
        HTML("p", [.class("faint")], ["Nobody is asked by this page yet."]),
        HTML(
          "noscript",
          [
            HTML(
              "p",
              [
                "Without its script the page does not count as somebody who can be asked: keep 'exitgate pending --follow' open, and load this page again to see what waits."
              ])
          ]),
      ])
    case .looking(let why): HTML("p", [bad("You may look and not answer: "), HTML("\(why).")])
    case .silent(let why): HTML("p", [bad("Nobody can be asked by this page: "), HTML(why)])
    }
  }

  private func cards(_ questions: [PendingStatus]) -> HTML {
    guard !questions.isEmpty else { return HTML("p", ["Nothing waits."]) }
    return HTML(
      "ol", [.class("questions")],
      questions.map { QuestionCard($0, totals: totals, token: token).item })
  }

  private var endings: HTML {
    guard !ended.isEmpty else { return .nothing }
    return HTML(
      "details", [.id("ended")],
      [
        HTML("summary", ["What was over last"]),
        HTML(
          "ul", [.class("plain")],
          ended.map { end in
            HTML("li", [HTML("\(end.place ?? end.id): \(end.sentence) (\(end.time))")])
          }),
      ])
  }
}

/// What stands approved or was answered for good, to be taken back.
struct StandingPage {
  /// What the gate says stands, or why that is not known; nil where no gate is spoken to.
  let grants: Result<[GrantStatus], ReviewProblem>?
  let token: String

  var content: [HTML] {
    [HTML("h1", ["Answers that stand"]), section("standing", "Taken back here, cut at once", [list])]
  }

  private var list: HTML {
    switch grants {
    case nil: HTML("p", ["No gate is spoken to. Start exitgate review with --control SOCKET."])
    case .failure(let problem)?:
      HTML("p", [HTML("strong", [.class("bad")], ["No answer: "]), HTML(problem.text)])
    case .success(let grants)? where grants.isEmpty: HTML("p", ["Nothing stands."])
    case .success(let grants)?: HTML("ol", [.class("questions")], grants.map(item))
    }
  }

  private func item(_ grant: GrantStatus) -> HTML {
    let word =
      grant.isAllowing
      ? HTML("strong", [.class("good")], ["allowed"]) : HTML("strong", [.class("bad")], ["refused"])
    let whose = grant.agent.map { "for agent \($0)" } ?? "for every agent"
    let span = [
      grant.given.map { "since \($0)" }, grant.expires.map { "until \($0)" }, grant.by.map { "by \($0)" },
    ]
    .compactMap(\.self).joined(separator: ", ")
    return HTML(
      "li", [.class("question")],
      grant.places.map { HTML("h3", [.class("place")], [HTML($0)]) } + [
        HTML("p", [word, HTML(" (\(grant.scope)) \(whose)\(span.isEmpty ? "" : "; \(span)")")]),
        form(grant),
      ])
  }

  private func form(_ grant: GrantStatus) -> HTML {
    HTML(
      "form",
      [
        .class("answer"), .init("method", "post"), .init("action", "revoke"), .init("data-answer", grant.id),
        .init("aria-label", "Take back \(grant.places.first ?? grant.id)"),
      ],
      [
        hiddenField("token", token), hiddenField("id", grant.id),
        HTML(
          "button", [.init("type", "submit"), .init("id", "revoke-\(grant.id)")],
          [HTML("Take back \(grant.id)")]),
      ])
  }
}

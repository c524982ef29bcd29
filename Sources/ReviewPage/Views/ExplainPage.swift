import Addressing

/// Asks the policy about a destination.
struct ExplainPage {
  let fields: FormFields
  /// nil before anything was asked.
  let lines: [ReviewLine]?
  /// Whether there is a policy to be asked.
  let hasPolicy: Bool

  var content: [HTML] {
    guard hasPolicy else {
      return [
        HTML("h1", ["What would the policy say?"]),
        HTML("p", ["There is no policy to ask. Start exitgate review with --policy FILE."]),
      ]
    }
    return [
      HTML("h1", ["What would the policy say?"]),
      HTML("p", ["The gate decides by the same code. Nothing is resolved and nothing is sent."]), form,
      answer,
    ]
  }

  private var form: HTML {
    HTML(
      "form",
      [
        .class("filter"), .init("method", "get"), .init("action", "explain"), .init("aria-label", "Question"),
      ],
      [
        textField("destination", "Destination", fields["destination"], example: "api.example.com:443"),
        textField("agent", "Agent", fields["agent"], example: "default"),
        choice("protocol", "Protocol", protocols, chosen: fields["protocol"]),
        textField("method", "Method, of plain HTTP", fields["method"], example: "GET"),
        textField("path", "Path, of plain HTTP", fields["path"], example: "/"),
        HTML("button", [.init("type", "submit")], ["Ask"]),
      ])
  }

  private var protocols: [(value: String, title: String)] {
    [(value: "", title: "as CONNECT would get")]
      + TrafficProtocol.allCases.map { (value: $0.rawValue, title: $0.rawValue) }
  }

  private var answer: HTML {
    guard let lines else { return .nothing }
    return HTML(
      "section", [.id("answer"), .init("aria-labelledby", "answer-title")],
      [
        HTML("h2", [.id("answer-title")], ["The answer"]),
        HTML(
          "pre", [.class("answer"), .init("tabindex", "0"), .init("aria-label", "The answer")],
          lines.map { line in HTML("span", line.pieces.map(piece)) }),
      ])
  }

  private func piece(_ piece: ReviewLine.Piece) -> HTML {
    switch piece.style {
    case .plain: HTML(piece.text)
    case .strong: HTML("b", [HTML(piece.text)])
    case .faint: HTML("span", [.class("faint")], [HTML(piece.text)])
    case .bad: HTML("strong", [.class("bad")], [HTML(piece.text)])
    case .good: HTML("strong", [.class("good")], [HTML(piece.text)])
    case .doubtful: HTML("strong", [.class("doubtful")], [HTML(piece.text)])
    }
  }
}

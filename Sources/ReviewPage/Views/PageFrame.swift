import Policy

/// What stands around every page.
struct PageFrame {
  /// What the title begins with.
  var title: String
  /// The page that is shown, among those of the navigation.
  var page: Page
  /// The session's own token, for what changes something.
  var token: String
  /// How many questions wait for a person.
  var waiting = 0
  /// The gate's time, which the script counts by.
  var now = Timestamp(milliseconds: 0)
  /// What must be read before anything else.
  var warning: String?

  /// The pages one can go to.
  enum Page: String, CaseIterable {
    case overview, standing, explain, integrity

    fileprivate var title: HTML {
      switch self {
      case .overview: "Blocked"
      case .standing: "Answers"
      case .explain: "Explain"
      case .integrity: "Log and gate"
      }
    }

    fileprivate var link: HTML.Attribute {
      switch self {
      case .overview: .href("./")
      case .standing: .href("standing")
      case .explain: .href("explain")
      case .integrity: .href("integrity")
      }
    }
  }

  /// The whole document.
  func document(_ content: [HTML]) -> HTML {
    HTML(document: HTML("html", [.init("lang", "en")], [head, body(content)]))
  }

  private var head: HTML {
    HTML(
      "head",
      [
        HTML(void: "meta", [.init("charset", "utf-8")]),
        HTML("title", [HTML("\(waiting > 0 ? "(\(waiting)) " : "")\(title) - Exitgate review")]),
        HTML(
          void: "meta", [.init("name", "viewport"), .init("content", "width=device-width, initial-scale=1")]),
        HTML(void: "meta", [.init("name", "color-scheme"), .init("content", "light dark")]),
        HTML(void: "meta", [.init("name", "exitgate-token"), .init("content", token)]),
        HTML(void: "meta", [.init("name", "exitgate-now"), .init("content", "\(now)")]),
        // Under 'no-referrer' a form of the page says 'Origin: null', as one of any other site may (Fetch standard §3.2).
        HTML(void: "meta", [.init("name", "referrer"), .init("content", "same-origin")]),
        HTML(void: "link", [.init("rel", "icon"), .href("review.svg")]),
        HTML(void: "link", [.init("rel", "stylesheet"), .href("review.css")]),
        HTML("script", [.init("src", "review.js"), .init("defer")], []),
      ])
  }

  private func body(_ content: [HTML]) -> HTML {
    HTML(
      "body",
      [
        HTML("a", [.class("skip"), .init("href", "#content")], ["Skip to the content"]),
        HTML("header", [HTML("p", [.class("brand")], ["Exitgate review"]), navigation, live]),
        HTML(
          "main", [.id("content"), .init("tabindex", "-1")],
          [
            HTML("div", [.id("warning"), .init("data-live")], [banner]),
            HTML("p", [.id("answered"), .init("role", "status")], []),
          ] + content),
        HTML("div", [.id("said"), .class("unseen"), .init("role", "status")], []),
      ])
  }

  private var navigation: HTML {
    HTML(
      "nav", [.init("aria-label", "Pages")],
      [
        HTML(
          "ul",
          Page.allCases.map { page in
            let mark = page == self.page ? [HTML.Attribute("aria-current", "page")] : []
            return HTML("li", [HTML("a", [page.link] + mark, [page.title])])
          })
      ])
  }

  /// Said by the script, which alone can be live.
  private var live: HTML {
    HTML("p", [.id("live"), .class("faint")], ["Not live: load the page again to see what is new."])
  }

  private var banner: HTML {
    guard let warning else { return .nothing }
    return HTML("p", [.class("banner"), .init("role", "alert")], [HTML(warning)])
  }
}

/// A section with a heading of its own, which the page's script keeps up to date.
func section(_ id: StaticString, _ title: HTML, _ content: [HTML]) -> HTML {
  let heading: HTML.Attribute = .init("id", "\(id)-title")
  return HTML(
    "section", [.id(id), .init("data-live"), .init("aria-labelledby", "\(id)-title")],
    [HTML("h2", [heading], [title])] + content)
}

/// Names and what they stand for.
func facts(_ rows: [(HTML, HTML)]) -> HTML {
  HTML("dl", rows.map { HTML("div", [HTML("dt", [$0.0]), HTML("dd", [$0.1])]) })
}

/// `1 rule`, `2 rules`.
func count(_ number: some BinaryInteger, _ noun: String) -> String {
  "\(number) \(noun)\(number == 1 ? "" : "s")"
}

/// A choice of one.
func choice(
  _ name: StaticString, _ label: HTML, _ options: [(value: String, title: String)], chosen: String?
) -> HTML {
  HTML(
    "label",
    [
      HTML("span", [label]),
      HTML(
        "select", [.init("name", "\(name)")],
        options.map { option in
          let mark = option.value == (chosen ?? "") ? [HTML.Attribute("selected")] : []
          return HTML("option", [.init("value", option.value)] + mark, [HTML(option.title)])
        }),
    ])
}

/// A line of text to be written.
func textField(_ name: StaticString, _ label: HTML, _ value: String?, example: String) -> HTML {
  HTML(
    "label",
    [
      HTML("span", [label]),
      HTML(
        void: "input",
        [
          .init("type", "text"), .init("name", "\(name)"), .init("value", value ?? ""),
          .init("placeholder", example), .init("autocomplete", "off"), .init("autocapitalize", "none"),
          .init("spellcheck", "false"),
        ]),
    ])
}

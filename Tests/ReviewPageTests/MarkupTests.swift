import Addressing
import Audit
import Control
import Foundation
import Policy
import Testing

@testable import Review
@testable import ReviewPage

/// What becomes of values on the page.
@Suite("Markup of the review page")
struct MarkupTests {
  static let hostile = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onload='alert(1)", "</title><script>",
    "a&lt;b", "&#60;script&#62;", "<!--", "]]>", "javascript:alert(1)", "\u{0}\u{1b}[2J\u{9b}31m",
    "\u{202e}moc.live", "\u{2028}\u{feff}\u{200b}", "g\u{131}thub.com", "<svg/onload=alert(1)>",
    "`${alert(1)}`",
  ]

  @Test("CTL-07: no value becomes markup, as a text or as an attribute", arguments: hostile)
  func escaping(_ value: String) {
    let text = HTML(value).markup, attribute = HTML("a", [.init("title", value)], []).markup
    for markup in [text, String(attribute.dropFirst(10).dropLast(6))] {
      #expect(!markup.contains { "<>\"'".contains($0) })
      #expect(!markup.replacing(/&(amp|lt|gt|quot|#39);/, with: "").contains("&"))
      #expect(markup.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }, "AUD-02, AUD-03: nothing hides")
    }
    #expect(attribute.hasPrefix("<a title=\"") && attribute.hasSuffix("\"></a>"))
  }

  @Test("CTL-07: a link leads to a page of the program's own, whatever it carries", arguments: hostile)
  func links(_ value: String) throws {
    let link = target("group", [("agent", value), ("host", value)])
    #expect(link.hasPrefix("group?agent="))
    #expect(link.utf8.allSatisfy { $0 >= 0x21 && $0 < 0x7f && !"<>\"' ".utf8.contains($0) })
    let fields = try #require(FormFields(String(link.dropFirst(6))))
    #expect(fields["agent"] == value && fields["host"] == value)
  }

  @Test("a form's fields are read strictly")
  func forms() throws {
    #expect(FormFields(nil)?["a"] == nil && FormFields("")?["a"] == nil)
    #expect(FormFields("a=1+2%2B3&b=&c")?["a"] == "1 2+3")
    #expect(FormFields("a=1+2%2B3&b=&c")?["b"] == nil)
    for bad in ["a=1&a=2", "a=%", "a=%4", "a=%zz", "a=%ff", "a=" + String(repeating: "x", count: 3000)] {
      #expect(FormFields(bad) == nil, "\(bad)")
    }
    #expect(FormFields((0..<40).map { "a\($0)=1" }.joined(separator: "&")) == nil)
  }

  @Test("what a change adds is shown with the lines around it")
  func diffs() {
    let old = (1...9).map { "line \($0)\n" }.joined()
    let new = old.replacing("line 5\n", with: "line 5\nnew a\nnew b\n")
    let diff = LineDiff(from: old, to: new)
    #expect(
      diff.lines.map(\.text) == [
        "line 3", "line 4", "line 5", "new a", "new b", "line 6", "line 7", "line 8",
      ])
    #expect(diff.lines.filter(\.isNew).map(\.text) == ["new a", "new b"])
    let first = LineDiff(from: "", to: "version: 1\nrules:\n  - x\n")
    #expect(first.lines.count == 3 && first.lines.allSatisfy(\.isNew))
    #expect(LineDiff(from: old, to: old).lines.allSatisfy { !$0.isNew })
  }

  /// A group of one denial, of which as much as possible is `value`.
  private func summary(of value: String, hasRule: Bool) throws -> LogSummary {
    var kind = RecordKind(event: .decision)
    kind.verdict = .deny
    (kind.agent, kind.reason) = hasRule ? ("a1", Reason.noRule.rawValue) : (value, value)
    (kind.process, kind.rule, kind.method) = (value, value, value)
    kind.destination = Destination(.name(try Hostname("x.evil.test".utf8)), .https, .https)
    let time: Int64 = 1_795_000_000_000
    var counters = CounterTable()
    counters.add(
      Counter(
        kind: 0, hour: time / Tally.hourLength,
        amount: Amount(
          count: 1, first: time, last: time, earliest: time, bytesOut: 0, bytesIn: 0, lostEvents: 0)))
    return LogSummary(kinds: [kind], counters, unreadable: 0)
  }

  @Test("CTL-07: pages of hostile records hold them as text alone", arguments: hostile, [true, false])
  func pages(_ value: String, _ hasRule: Bool) throws {
    let summary = try summary(of: value, hasRule: hasRule)
    let fields = try #require(FormFields("agent=" + target("", [("a", value)]).dropFirst(3)))
    let group = try #require(BlockedReport(summary).groups.first)
    #expect((group.suggestedRule != nil) == hasRule)
    let views = [
      OverviewPage(
        fields, summary, inbox: Self.inbox(value, summary), at: Timestamp(milliseconds: 1_795_600_000_000)
      ).content,
      StandingPage(
        grants: .success([
          GrantStatus(id: value, scope: value, isAllowing: true, agent: value, places: [value], by: value)
        ]), token: value
      ).content,
      ExplainPage(fields: fields, lines: [ReviewLine([.init(value)])], hasPolicy: true).content,
      GroupPage(group: group, records: [], change: .failure(ReviewProblem(value)), overlay: value).content,
      GroupPage(group: group, records: [], change: .success(.init(old: "", new: value)), overlay: value)
        .content,
    ]
    for view in views {
      let page = PageFrame(title: value, page: .overview, token: value, warning: value).document(view).markup
      // No value holds a quote, so what is left of the tags is the program's own.
      let tags = page.replacing(/"[^"]*"/, with: "").matches(of: /<[^>]*>/).map { String($0.0) }
      let names = Set(tags.compactMap { $0.firstMatch(of: /^<\/?([a-z0-9]+)/).map { String($0.1) } })
      #expect(names.isSubset(of: Self.elements), "\(names.subtracting(Self.elements))")
      #expect(tags.count { $0.hasPrefix("<script") } == 1)
      #expect(!tags.contains { $0.contains(/\s(on[a-z]+|style|srcdoc|formaction)=/) })
    }
  }

  /// A question of which as much as possible is `value`, and what was over.
  private static func inbox(_ value: String, _ summary: LogSummary) -> InboxSection {
    var question = PendingStatus(
      id: value, agent: value,
      places: [
        .init(
          host: value, port: 443, traffic: value, method: value, path: value, rule: value, candidate: value)
      ], domain: value, since: value, last: value, count: 1, waiting: 1, generation: 1, digest: value,
      offers: ["once", "time", "session", "always", "refuse", "refuse-session", "refuse-always"])
    (question.program, question.workingDirectory, question.addresses) = (value, value, [value])
    (question.heldUntil, question.expires) = (value, value)
    return InboxSection(
      questions: .success([question]), state: .looking(value),
      ended: [.init(id: value, place: value, sentence: value, time: Timestamp(milliseconds: 0))],
      totals: summary.totals, token: value)
  }

  private static let elements: Set = [
    "html", "head", "meta", "title", "link", "script", "body", "a", "header", "p", "nav", "ul", "li", "main",
    "div",
    "h1", "h2", "h3", "form", "label", "span", "select", "option", "input", "button", "section", "figure",
    "svg",
    "rect", "text", "figcaption", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "ol",
    "b",
    "code", "strong", "dl", "dt", "dd", "pre", "ins", "noscript", "time", "bdi",
  ]
}

/// What is compiled in.
@Suite("Assets of the review page")
struct AssetTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  @Test(
    "each asset is the file that can be read in the repository (scripts/embed-page)",
    arguments: [
      ("review.css", PageAsset.stylesheet), ("review.js", PageAsset.script), ("review.svg", PageAsset.icon),
    ])
  func embedded(_ name: String, _ text: String) throws {
    let file = Self.root.appending(path: "Sources/ReviewPage/Assets/\(name)")
    #expect(try String(contentsOf: file, encoding: .utf8) == text)
    #expect(PageAsset.answer(name) != nil)
  }

  @Test("CTL-07: the script makes no markup and runs no text")
  func script() {
    for word in [
      "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "http:",
      "https:",
    ] {
      #expect(!PageAsset.script.contains(word), "\(word)")
    }
    #expect(!PageAsset.stylesheet.contains("url(") && !PageAsset.stylesheet.contains("@import"))
  }

  @Test("CTL-07: the page's own script and styles are all that may be loaded")
  func contentSecurityPolicy() throws {
    let policy = try #require(ReviewServer.fields.first { $0.name == "Content-Security-Policy" }?.value)
    let parts = Set(policy.components(separatedBy: "; "))
    #expect(
      parts == [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
      ])
    let names = Set(ReviewServer.fields.map(\.name))
    #expect(
      names.isSuperset(of: ["Referrer-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy"]))
  }
}

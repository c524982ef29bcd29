import Audit
import Policy
import Review

/// What passed and what was blocked, hour by hour.
struct Timeline {
  /// One hour.
  struct Bar: Hashable {
    /// When it begins, as `11-24 10:00`.
    var time: String
    var passed: UInt64
    var blocked: UInt64
  }

  /// Hours that are shown.
  private static let hours: Int64 = 24
  /// In units of the drawing.
  private static let width = 720, height = 132, gap = 4

  let bars: [Bar]
  /// Decisions from the future.
  let later: UInt64

  init(_ report: StatsReport, at now: Timestamp) {
    guard let (shown, later) = report.chart(of: Self.hours, at: now) else {
      (self.bars, self.later) = ([], 0)
      return
    }
    self.later = later
    bars = shown.map { hour in
      let totals = report.hours[hour] ?? StatsReport.Totals()
      let start = Timestamp(milliseconds: hour * Tally.hourLength).description
      return Bar(
        time: "\(start.dropFirst(5).prefix(5)) \(start.dropFirst(11).prefix(2)):00",
        passed: totals.allowed &- min(totals.allowed, totals.wouldDeny),
        blocked: totals.denied &+ totals.held &+ totals.wouldDeny)
    }
  }

  /// The drawing, and the same as a table.
  var html: HTML {
    guard !bars.isEmpty else { return HTML("p", ["No records."]) }
    return HTML([
      HTML("figure", [drawing, scale, legend]),
      later == 0
        ? .nothing
        : HTML(
          "p", [.id("future")], [HTML("\(count(later, "decision")) from the future: a clock was wrong.")]),
      HTML("details", [.id("hours")], [HTML("summary", ["The same as a table"]), table]),
    ])
  }

  private var most: UInt64 { max(1, bars.map { $0.passed &+ $0.blocked }.max() ?? 1) }

  private var drawing: HTML {
    HTML(
      "svg",
      [
        .init("viewBox", "0 0 \(Self.width) \(Self.height)"), .init("role", "img"),
        .init("aria-label", description),
      ],
      bars.enumerated().flatMap { column($0.offset, $0.element) })
  }

  private var description: String {
    let passed = bars.reduce(0) { $0 &+ $1.passed }, blocked = bars.reduce(0) { $0 &+ $1.blocked }
    return "Decisions by hour (UTC), \(bars[0].time) to \(bars[bars.count - 1].time): "
      + "\(passed) passed, \(blocked) blocked, at most \(most) in an hour"
  }

  private func column(_ place: Int, _ bar: Bar) -> [HTML] {
    let blocked = length(bar.blocked), passed = length(bar.passed)
    return [
      part("blocked", place, from: Self.height - blocked, blocked, "\(bar.time): \(bar.blocked) blocked"),
      part(
        "passed", place, from: Self.height - blocked - passed, passed, "\(bar.time): \(bar.passed) passed"),
    ]
  }

  private func part(_ name: StaticString, _ place: Int, from top: Int, _ length: Int, _ title: String) -> HTML
  {
    guard length > 0 else { return .nothing }
    let step = Self.width / bars.count
    return HTML(
      "rect",
      [
        .class(name), .init("x", "\(place * step)"), .init("y", "\(top)"),
        .init("width", "\(step - Self.gap)"), .init("height", "\(length)"),
      ], [HTML("title", [HTML(title)])])
  }

  /// In units of the drawing: at least 2 for anything that is not nothing; both parts of a bar fit.
  private func length(_ value: UInt64) -> Int {
    guard value > 0 else { return 0 }
    return max(2, Int(Double(value) / Double(most) * Double(Self.height - 4)))
  }

  /// As text beside the drawing, so that it does not shrink with it.
  private var scale: HTML {
    let shown = [bars[0], bars[bars.count / 2], bars[bars.count - 1]]
    return HTML(
      "div", [.class("scale"), .init("aria-hidden", "true")], shown.map { HTML("span", [HTML($0.time)]) })
  }

  private var legend: HTML {
    HTML(
      "figcaption",
      [
        HTML("span", [.class("key blocked")], ["blocked"]),
        HTML("span", [.class("key passed")], ["passed"]), "Hours in UTC.",
      ])
  }

  private var table: HTML {
    let head = ["Hour (UTC)", "Passed", "Blocked"].map { HTML("th", [.init("scope", "col")], [HTML($0)]) }
    let rows = bars.reversed().filter { $0.passed + $0.blocked > 0 }.map { bar in
      HTML(
        "tr",
        [
          HTML("th", [.init("scope", "row")], [HTML(bar.time)]), HTML("td", [HTML("\(bar.passed)")]),
          HTML("td", [HTML("\(bar.blocked)")]),
        ])
    }
    return HTML("table", [HTML("thead", [HTML("tr", head)]), HTML("tbody", rows)])
  }
}

import Addressing
import Audit
import LogFixtures
import Policy
import PolicyFile
import Testing

@testable import Review

/// Lines of a log, made from a record of each sort with another place in it.
struct Lines {
  private let parts: [[UInt8]]

  init(_ record: Record) throws {
    let line = try #require(
      try WrittenLog([record]).records().first {
        String(decoding: $0.line.bytes, as: UTF8.self).contains("x.flood.test")
      })
    parts = String(decoding: line.line.bytes, as: UTF8.self).split(separator: "x.flood.test", maxSplits: 1)
      .map { Array($0.utf8) }
  }

  func line(_ host: String) -> [UInt8] { parts[0] + Array(host.utf8) + parts[1] }

  func lines(_ hosts: some Sequence<String>) -> [UInt8] { hosts.reduce(into: []) { $0 += line($1) + [0x0a] } }
}

extension LineSummarizer {
  fileprivate mutating func add(line: [UInt8]) { line.withUnsafeBytes { add($0) } }
}

@Suite("What is folded in a review since it is too much")
struct FoldTests {
  /// Of kinds; enough for every level of folding, and soon reached.
  static let limit = 4000

  /// A flood of names, by where they lie.
  static let floods: [(String, @Sendable (Int) -> String)] = [
    ("below one domain", { "n\($0).flood.test" }), ("domains below one suffix", { "n\($0).test" }),
    ("domains below many suffixes", { "a\($0 % 7).b\($0 / 7)" }),
    ("below some domains", { "n\($0).flood\($0 % 5).com" }),
    ("addresses", { "11.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)" }),
  ]

  private static let builder = AgentName("builder") ?? .default

  @Test(
    "AUD-04: a flood folds itself; what comes later, of others or elsewhere, is told apart", arguments: floods
  )
  func later(where name: String, host: @Sendable (Int) -> String) throws {
    var lines = LineSummarizer(RecordFilter(), limit: Self.limit)
    let flood = try Lines(denied("x.flood.test")),
      other = try Lines(denied("x.flood.test", agent: Self.builder))
    let ruled = try Lines(decision("x.flood.test", rule: "npm/registry"))
    lines.add(line: flood.line("before.example"))
    for number in 0..<(Self.limit + 400) { lines.add(line: flood.line(host(number))) }
    for late in ["later.example", "later.example"] {
      lines.add(line: flood.line(late))
      lines.add(line: other.line(late))
      lines.add(line: ruled.line("registry.example"))
    }
    let summary = lines.summary, groups = BlockedReport(summary).groups
    let shown = groups.filter { $0.fold == nil }.map {
      "\($0.agent) \($0.destination?.host, default: "") \($0.count)"
    }
    // Where the flood is as wide as all names, it folds the agent that made it, and nobody else.
    let isWide = name.hasSuffix("many suffixes")
    #expect(shown.contains("builder later.example 2"))
    #expect(
      shown.contains("default later.example 2") != isWide
        && shown.contains("default before.example 1") != isWide)
    #expect(groups.reduce(0) { $0 + $1.count } == UInt64(Self.limit + 405))
    #expect(BlockedReport(summary).folded > UInt64(Self.limit / 2) && groups.contains { $0.fold != nil })
    #expect(
      summary.totals.contains { $0.kind.rule == "npm/registry" && $0.kind.fold == nil && $0.count == 2 })
    #expect(summary.kinds.count < 2 * Self.limit, "\(summary.kinds.count)")
  }

  @Test("AUD-04: floods of what rules allow take no room from denials, nor these from them")
  func ruled() throws {
    let allowed = try Lines(decision("x.flood.test", rule: "wide")),
      denials = try Lines(denied("x.flood.test"))
    var lines = LineSummarizer(RecordFilter(), limit: Self.limit)
    for number in 0..<(Self.limit + 10) { lines.add(line: allowed.line("a\(number).cdn.test")) }
    for number in 0..<50 { lines.add(line: denials.line("d\(number).evil.test")) }
    let summary = lines.summary
    #expect(BlockedReport(summary).groups.count == 50 && BlockedReport(summary).folded == 0)
    #expect(StatsReport(summary).rules["wide"]?.count == UInt64(Self.limit + 10))
    #expect(StatsReport(summary).folded == UInt64(Self.limit + 10))
  }

  @Test("AUD-04: what is folded depends on what there is, not on the order, nor on who read how much of it")
  func order() throws {
    var random = Seeded(state: 11)
    let denials = try Lines(denied("x.flood.test")),
      others = try Lines(denied("x.flood.test", agent: Self.builder))
    var all: [[UInt8]] = []
    for number in 0..<2400 { all.append(denials.line("n\(number).one.test")) }
    for number in 0..<1200 { all.append(denials.line("n\(number).two\(number % 3).com")) }
    for number in 0..<1600 { all.append(others.line("m\(number % 1200).test")) }
    for number in 0..<100 { all.append(denials.line("w\(number % 40).work.example")) }
    let orders = [all, all.reversed(), all.shuffled(using: &random)]
    let truths = orders.map { order -> Facts in
      var lines = LineSummarizer(RecordFilter(), limit: Self.limit)
      for line in order { lines.add(line: line) }
      return Facts(lines.summary)
    }
    #expect(truths[0] == truths[1] && truths[0] == truths[2])
    let shuffled = orders[2]
    var whole = LineSummarizer(RecordFilter(), limit: Self.limit)
    for start in stride(from: 0, to: shuffled.count, by: 700) {
      var part = LineSummarizer(RecordFilter(), limit: Self.limit)
      for line in shuffled[start..<min(start + 700, shuffled.count)] { part.add(line: line) }
      whole.add(part)
    }
    #expect(Facts(whole.summary) == truths[0])
    #expect(truths[0].totals.contains { $0.kind.fold != nil })
    #expect(
      truths[0].totals.count { $0.kind.destination.map { "\($0.host)".hasSuffix("work.example") } ?? false }
        == 40)
  }

  @Test("AUD-04: the filter comes first, so that whoever narrows a review sees what was folded")
  func filters() throws {
    let denials = try Lines(denied("x.flood.test"))
    let open = try Self.summary(denials, RecordFilter())
    #expect(
      !BlockedReport(open).groups.contains { "\($0.destination?.host, default: "")" == "n7.flood.test" })
    let exact = try Self.summary(denials, RecordFilter(destination: .exact(Hostname("n7.flood.test"))))
    #expect(BlockedReport(exact).groups.map { "\($0.destination?.host, default: "")" } == ["n7.flood.test"])
    let reason = try Self.summary(denials, RecordFilter(reason: "deny-rule"))
    #expect(BlockedReport(reason).isEmpty)
  }

  private static func summary(_ denials: Lines, _ filter: RecordFilter) throws -> LogSummary {
    var lines = LineSummarizer(filter, limit: limit)
    for number in 0..<(limit + 1) { lines.add(line: denials.line("n\(number).flood.test")) }
    return lines.summary
  }

  @Test(
    "AUD-04: the index says to the letter what the log says, folded or not, for every filter",
    .timeLimit(.minutes(10)))
  func index() throws {
    let log = try WrittenLog([denied("first.example"), decision("good.example", rule: "r")])
    let denials = try Lines(denied("x.flood.test")),
      others = try Lines(denied("x.flood.test", agent: Self.builder))
    let filters = [
      RecordFilter(), RecordFilter(agent: "builder"), RecordFilter(agent: "default"),
      RecordFilter(destination: .exact(try Hostname("n7.flood.test"))),
      RecordFilter(destination: .domain(try Hostname("example"))),
      RecordFilter(since: Timestamp(milliseconds: someTime + 1)),
    ]
    try log.append(denials.lines((0..<2400).map { "n\($0).flood.test" }))
    try log.expectAgreement(filters, limit: Self.limit)
    try log.append(denials.lines((2000..<4400).map { "n\($0).flood.test" }))
    try log.append(others.lines((0..<20).map { "o\($0).other.test" }))
    try log.expectAgreement(filters, limit: Self.limit)
    let folded = try log.indexed(limit: Self.limit)
    #expect(folded.read == 0 && folded.answer.summary.foldedDecisions > 4000)
    try log.append(others.lines((0..<3800).map { "p\($0).more.test" }))
    try log.append(denials.lines(["after.example"]))
    try log.expectAgreement(filters, limit: Self.limit)
  }

  @Test("a flood that is gone from the log is gone from the index")
  func retention() throws {
    let log = try WrittenLog([denied("first.example")]), denials = try Lines(denied("x.flood.test"))
    try log.append(denials.lines((0..<(Self.limit + 5)).map { "n\($0).flood.test" }))
    try log.setAside()
    try log.write([denied("n7.flood.test"), denied("second.example")])
    try log.expectAgreement([RecordFilter()], limit: Self.limit)
    try log.removeSetAside()
    try log.expectAgreement([RecordFilter()], limit: Self.limit)
    #expect(BlockedReport(try log.indexed(limit: Self.limit).answer.summary).groups.count == 2)
  }

  @Test("reports say what they cannot tell apart")
  func reports() throws {
    let passing = try Lines(passed("x.flood.test")),
      allowed = try Lines(decision("x.flood.test", rule: "wide"))
    let denials = try Lines(denied("x.flood.test", layer: .dns))
    var lines = LineSummarizer(RecordFilter(), limit: Self.limit)
    for number in 0..<(Self.limit + 3) {
      lines.add(line: passing.line("n\(number).flood.test"))
      lines.add(line: allowed.line("n\(number).flood.test"))
      lines.add(line: denials.line("n\(number).other.test"))
    }
    lines.add(line: passing.line("work.example"))
    let now = Timestamp(milliseconds: someTime),
      replay = ReplayReport(lines.summary, under: Policy(), at: now)
    #expect(replay.unknown == UInt64(Self.limit + 3) && replay.unknownDenials == UInt64(2 * Self.limit + 6))
    let suggestion = Suggestion(lines.summary, beyond: nil, lists: ShippedLists(at: now), at: now)
    #expect(suggestion.unknown == UInt64(2 * Self.limit + 6))
    #expect(suggestion.entries.contains { "\($0.to)".contains("work.example") })
    #expect(SuggestionText(suggestion).file.contains("# INCOMPLETE: \(2 * Self.limit + 6) decisions"))
  }

  @Test("what is folded is written into an index and read again")
  func texts() throws {
    let name = try Hostname("flood.test"), block = try #require(IPPrefix("10.0.0.0/16"))
    for fold in [
      Fold(.domain, .domain(name)), Fold(.suffix, .anyName), Fold(.domain, .prefix(block)), Fold(.agent),
      Fold(.everything), Fold(.suffix), Fold(.suffix, .domain(try Hostname("test"))),
    ] { #expect(Fold(text: fold.text) == fold) }
    for text in ["", "domain", "domain *.a.test", "domain **.", "x y", "domain 10.0.0.1/8"] {
      #expect(Fold(text: text) == nil, "\(text)")
    }
  }
}

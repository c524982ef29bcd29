import Addressing
import Policy
import Review
import Testing

@testable import Audit

@Suite("What people read out of a log")
struct ReviewTests {
  let scratch: Scratch

  init() throws {
    scratch = try Scratch()
    let clock = ManualClock()
    let log = try AuditLog.open(scratch.options(rotateAt: 6000), clock: clock.clock) { $0 }
    let other = try #require(AgentName("other"))
    for flow in 1...20 {
      log.append(.decision(decision("api.example.test", flow: UInt64(flow))))
      log.append(.close(closing("api.example.test", flow: UInt64(flow), out: 1000, in: 5)))
      log.append(.decision(denial("evil.example.test", at: Int64(flow))))
      #expect(log.commit())
    }
    log.append(.decision(denial("evil.example.test", at: 500, agent: other)))
    log.append(.decision(decision("b.example.test", verdict: .deny, reason: .denyRule, at: 600)))
    log.append(
      .decision(decision("c.example.test", verdict: .allow, reason: .noRule, at: 700, wouldDeny: true)))
    log.append(.decision(decision(verdict: .deny, reason: .malformed, at: 800, raw: Array("a b".utf8))))
    log.close()
    #expect(try Segments(path: scratch.log).numbers().count > 3)
  }

  @Test(
    "blocked groups by agent and destination, with roll-ups, first and last, and the rule that would allow it"
  )
  func blocked() throws {
    var report = BlockedReport(), reader = try LogReader(path: scratch.log)
    let unreadable = try reader.forEach(LogFilter()) { report.add($0) }
    #expect(unreadable == 0)
    let rows = report.rows
    #expect(rows.map(\.count) == [20, 1, 1, 1, 1])
    let first = try #require(rows.first)
    #expect(first.destination?.description == "https://evil.example.test:443" && first.agent == "default")
    #expect(first.first.milliseconds == 1 && first.last.milliseconds == 20)
    #expect(first.layers == [.connect] && first.reason == "no-rule")
    #expect(first.suggestedRule?.contains("evil.example.test") == true)
    let byHost = Dictionary(grouping: rows) { $0.destination.map { "\($0.host)" } ?? "" }
    #expect(byHost["b.example.test"]?.first?.suggestedRule == nil, "a deny rule wins over any allow")
    #expect(byHost["c.example.test"]?.first?.passed == 1)
    #expect(byHost[""]?.first?.suggestedRule == nil)
  }

  @Test("stats: totals, reasons, agents, top destinations")
  func stats() throws {
    var report = StatsReport(), reader = try LogReader(path: scratch.log)
    try reader.forEach(LogFilter()) { report.add($0) }
    #expect(report.totals.allowed == 21 && report.totals.denied == 23 && report.totals.wouldDeny == 1)
    #expect(report.totals.closed == 20 && report.totals.bytesOut == 20_000 && report.totals.bytesIn == 100)
    #expect(report.reasons == ["rule": 20, "no-rule": 22, "deny-rule": 1, "malformed-request": 1])
    #expect(report.agents["other"]?.denied == 1)
    #expect(report.topByBytes(3).map { "\($0.destination.host)" } == ["api.example.test"])
    #expect(report.topByDenials(1).first?.totals.denied == 21)
  }

  static let filters: [(LogFilter, Int, String)] = [
    (LogFilter(since: Timestamp(milliseconds: 600), reason: "deny-rule"), 1, "since, at its edge"),
    (LogFilter(since: Timestamp(milliseconds: 601), reason: "deny-rule"), 0, "since, past its edge"),
    (LogFilter(agent: "other"), 1, "agent"), (LogFilter(agent: "nobody"), 0, "no such agent"),
    (
      LogFilter(destination: (try? Hostname("example.test")).map { .subdomains(of: $0) }, reason: "no-rule"),
      4, "pattern"
    ),
    (LogFilter(destination: (try? Hostname("api.example.test")).map { .exact($0) }), 40, "host"),
    (LogFilter(layer: .dns), 0, "layer"),
  ]

  @Test("filters", arguments: filters)
  func filter(filter: LogFilter, count: Int, because: String) throws {
    var reader = try LogReader(path: scratch.log), found = 0
    try reader.forEach(filter) { _ in found += 1 }
    #expect(found == count, "\(because)")
  }

  @Test("tail prints one line for each record, and goes on across a rotation")
  func follow() throws {
    let scratch = try Scratch()
    let log = try AuditLog.open(scratch.options())
    var reader = try LogReader(path: scratch.log), lines: [String] = []
    let drain = { (reader: inout LogReader, lines: inout [String]) in
      while let line = try reader.next() {
        lines.append(TailFormat(isColoured: false).line(for: try LogRecord(line)))
      }
    }
    try drain(&reader, &lines)
    #expect(lines.count == 2)
    log.append(.decision(decision("a.test", flow: 9)))
    #expect(log.commit())
    log.setAside()
    log.append(.close(closing("a.test", flow: 9)))
    log.setAside()
    #expect(log.commit())
    try drain(&reader, &lines)
    #expect(
      lines[2]
        == "2026-11-25T09:46:40.000Z  allow       default  https://a.test:443  rule  connect  test/1  from 127.0.0.1:50000"
    )
    #expect(
      lines.contains {
        $0.contains("close       default  https://a.test:443  finished  10 out  20 in  1500 ms")
      })
    #expect(lines.contains { $0.contains("rotated     continues audit.jsonl.000002") })
    log.close()
    try drain(&reader, &lines)
    #expect(lines.count == 8)
  }

  @Test("a log that is not there is an error with its place")
  func missing() throws {
    let error = #expect(throws: AuditError.self) { try LogReader(path: "/nonexistent/audit.jsonl") }
    #expect(error?.path == "/nonexistent/audit.jsonl")
  }

  @Test(
    "a log that is written and rotated while it is read shows every record once, in order",
    .timeLimit(.minutes(2)))
  func readWhileWritten() async throws {
    let scratch = try Scratch()
    let log = try AuditLog.open(scratch.options(rotateAt: 5000))
    let path = scratch.log
    let reader = Task.detached {
      var reader = try LogReader(path: path), seen: [UInt64] = []
      repeat {
        guard let line = try reader.next() else { continue }
        let record = try LogRecord(line)
        seen.append(record.sequence ?? 0)
        if record.event == "stop" { return seen }
      } while !Task.isCancelled
      return seen
    }
    for flow in 1...2000 {
      log.append(.decision(decision(flow: UInt64(flow))))
      #expect(log.commit())
    }
    log.close()
    let seen = try await reader.value
    #expect(seen == (1...UInt64(seen.count)).map(\.self) && seen.count > 2000)
  }
}

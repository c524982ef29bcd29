import Addressing
import Audit
import Foundation
import LogFixtures
import Policy
import Testing

@testable import Review

@Suite("Reading a log for a review")
struct ReadingTests {
  /// A record of every sort, with what hostile clients leave in it.
  static func everything() throws -> [Record] {
    [
      decision("api.example.test", rule: "a/b:c", address: "192.0.2.7"),
      decision("10.0.0.7", 22, .tcp, layer: .socks),
      decision("h.example.test", 80, .http, layer: .http, method: "GET", address: "2001:db8::1"),
      denied("evil.example.test", layer: .sni), denied("\u{1b}[2J\r\n{\"verdict\":\"allow\"}"),
      denied("a\\b\"c"),
      passed("c.example.test", 8443), .decision(.sample("p.test", by: "/usr/bin/python3.11")),
      .decision(.sample("p.test", by: nil, "one of 2")), question("q.test", "TXT"),
      question("q.test", "HTTPS", wouldDeny: true),
      closing("api.example.test", out: 1 << 40, in: 7), try rollUp("r.test", verdict: .deny, reason: .noRule),
      try rollUp("", verdict: .deny, reason: .noRule, isOverflow: true),
      .lifecycle(
        LifecycleRecord(
          time: Timestamp(milliseconds: someTime), event: .notice, detail: "\u{202e}",
          counts: [("events_lost", 3)])),
      .policy(
        PolicyRecord(
          time: Timestamp(milliseconds: someTime), outcome: .refused, generation: 2, mode: .audit,
          sources: ["a", "b"],
          error: "é")),
      .control(
        ControlRecord(
          time: Timestamp(milliseconds: someTime), processID: 1, userID: 0, operation: "reload", subject: nil,
          refusal: "no")),
    ]
  }

  @Test("the quick scan says of every record what the strict reader says")
  func agreement() throws {
    for record in try WrittenLog(Self.everything()).records() {
      let line = record.line.bytes
      let isScanned = line.withUnsafeBytes { RecordScan($0) != nil }
      let isEscaped = line.contains(UInt8(ascii: "\\"))
      #expect(isScanned || isEscaped, "\(record.line.text) is left to the strict reader")
      compare(line)
    }
  }

  @Test("a line that was changed anywhere is scanned as the strict reader reads it, or not at all")
  func mutations() throws {
    var random = Seeded(state: 20_261_129), scanned = 0
    let lines = try WrittenLog(Self.everything()).records().map(\.line.bytes)
    for _ in 0..<20_000 {
      var line = lines[Int.random(in: lines.indices, using: &random)]
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Int.random(in: line.indices, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: line[place] = UInt8.random(in: 0...255, using: &random)
        case 1: line.remove(at: place)
        case 2: line.insert(contentsOf: Self.pieces.randomElement(using: &random) ?? [], at: place)
        default: line.removeSubrange(place...)
        }
        if line.isEmpty { line = [0] }
      }
      if compare(line) { scanned += 1 }
    }
    #expect(scanned > 1000, "most changes inside a string leave a record")
  }

  static let pieces = [
    "\\u0041", "\"", ",\"x\":1", "{", "}", "1", "-", ".5", " ", "\u{7f}", "null", "[1,[]]", "\\ud800",
  ]
  .map { Array($0.utf8) }

  /// Whether the line was scanned; if so it must read as the strict reader has it.
  @discardableResult
  private func compare(_ line: [UInt8]) -> Bool {
    line.withUnsafeBytes { bytes in
      guard let scan = RecordScan(bytes) else { return false }
      guard let record = try? LogRecord(LogLine(file: "", number: 1, bytes: line)) else {
        // The strict reader also refuses a name that stands twice where nobody looks.
        #expect(hasRepeatedName(line), "scanned, but no record: \(String(decoding: line, as: UTF8.self))")
        return true
      }
      #expect(RecordKind(scan, bytes) == RecordKind(record), "\(String(decoding: line, as: UTF8.self))")
      #expect(scan[.time] == record.time?.milliseconds)
      #expect(UInt64(clamping: scan[.bytesOut] ?? 0) == record.bytesOut)
      #expect(UInt64(clamping: scan[.lostEvents] ?? 0) == record.lostEvents)
      return true
    }
  }

  private func hasRepeatedName(_ line: [UInt8]) -> Bool {
    do { _ = try JSONValue(parsing: line) } catch { return error.problem == .duplicateName }
    return false
  }

  @Test("the summary of many threads is that of one reader, whatever the size of the parts")
  func threads() throws {
    var records: [Record] = []
    for number in 0..<600 {
      records.append(denied("h\(number % 37).example.test", at: someTime + Int64(number) * 30_000))
      records.append(closing("h\(number % 11).example.test", out: UInt64(number)))
    }
    let log = try WrittenLog(rotateAt: 20_000, records)
    try log.append(Array("not a record\n{\"seq\":1".utf8))
    var single = LineSummarizer(RecordFilter()), reader = try LogReader(path: log.path)
    while let line = try reader.next() { line.bytes.withUnsafeBytes { single.add($0) } }
    for size in [50, 777, 4096, 1 << 20] as [Int64] {
      var parts = LineSummarizer(RecordFilter())
      for extent in try LogExtent.all(ofLogAt: log.path).flatMap({ $0.split(by: size) }) {
        parts.skip(try extent.forEachLine { parts.add($0) })
      }
      #expect(sorted(parts.summary) == sorted(single.summary), "parts of \(size) bytes")
      #expect(parts.summary.unreadable == 1)
    }
    #expect(try sorted(log.summary()) == sorted(single.summary))
  }

  private func sorted(_ summary: LogSummary) -> Set<Tally> { Set(summary.tallies) }

  @Test(
    "a log that is rotated while it is summed up loses no record that was there, and shows none twice",
    .timeLimit(.minutes(10)))
  func rotation() async throws {
    let log = try WrittenLog([]), path = log.path
    let writer = Task.detached {
      let log = try AuditLog.open(AuditOptions(path: path, rotateAt: 5000))
      for number in 1...2000 {
        log.append(decision("h\(number % 50).test", flow: UInt64(number)))
        #expect(log.commit())
      }
      log.close()
    }
    var counts: [UInt64] = []
    repeat {
      let summary = try LogSummary.of(logAt: path)
      #expect(summary.unreadable == 0)
      counts.append(summary.tallies.filter { $0.kind.event == .decision }.reduce(0) { $0 + $1.records })
    } while counts.last != 2000 && !Task.isCancelled
    try await writer.value
    #expect(counts == counts.sorted() && counts.count > 3, "\(counts)")
  }

  @Test("a line longer than a block is counted as none, and the next one is read")
  func longLine() throws {
    let log = try WrittenLog([denied("before.test")])
    let record = try #require(try log.records().first { $0.isBlocked }).line.bytes
    try log.append(
      [UInt8](repeating: UInt8(ascii: "x"), count: LogExtent.blockSize * 2 + 5) + [0x0a] + record + [0x0a])
    let summary = try log.summary()
    #expect(summary.unreadable == 1)
    #expect(BlockedReport(summary).groups.map(\.count) == [2])
  }

  static let filters: [(RecordFilter, Int, String)] = [
    (RecordFilter(since: Timestamp(milliseconds: 600), reason: "deny-rule"), 1, "since, at its edge"),
    (RecordFilter(since: Timestamp(milliseconds: 601), reason: "deny-rule"), 0, "since, past its edge"),
    (RecordFilter(agent: "other"), 1, "agent"), (RecordFilter(agent: "nobody"), 0, "no such agent"),
    (
      RecordFilter(
        destination: (try? Hostname("example.test")).map { .subdomains(of: $0) }, reason: "no-rule"),
      4, "pattern"
    ),
    (RecordFilter(destination: (try? Hostname("api.example.test")).map { .exact($0) }), 40, "host"),
    (RecordFilter(destination: IPPrefix("192.0.2.0/24").map { .prefix($0) }), 1, "prefix"),
    (RecordFilter(layer: .dns), 0, "layer"),
  ]

  @Test("filters let the same records through one by one and summed up", arguments: filters)
  func filter(filter: RecordFilter, count: Int, because: String) throws {
    let log = try WrittenLog(try BlockedTests.records() + [denied("192.0.2.9")])
    #expect(try log.records().count { filter.admits($0) } == count, "\(because)")
    #expect(try log.summary(filter).tallies.reduce(0) { $0 + $1.records } == UInt64(count), "\(because)")
  }

  @Test("a log that is not there is an error with its place")
  func missing() throws {
    let error = #expect(throws: AuditError.self) { try LogSummary.of(logAt: "/nonexistent/audit.jsonl") }
    #expect(error?.path == "/nonexistent/audit.jsonl")
  }
}

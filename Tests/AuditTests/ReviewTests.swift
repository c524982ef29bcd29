import Addressing
import LogFixtures
import Policy
import Testing

@testable import Audit

@Suite("What people read out of a log")
struct ReviewTests {
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

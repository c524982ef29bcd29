import Foundation
import Policy
import Testing

@testable import Audit
@testable import Shipping

@Suite struct RecordQueueTests {
  /// The sample's log with `lines` in its place.
  func log(_ change: ([String]) -> [String]) throws -> SampleLog {
    let log = try SampleLog()
    let lines = try log.records().map(\.text)
    try Data((change(lines).joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: log.log))
    return log
  }

  @Test("no more is read than a batch holds, and it goes on behind what was taken out")
  func bounded() throws {
    let log = try SampleLog((0..<700).map { _ in SampleLog.decision(.connect, .allow, to: "api.example") })
    var queue = try RecordQueue(path: log.log, behind: nil), numbers: [UInt64] = []
    while true {
      #expect(try queue.fill() == [])
      #expect(queue.records.count <= RecordQueue.recordLimit)
      let bytes = queue.records.dropLast().reduce(0) { $0 + $1.record.text.utf8.count }
      #expect(bytes < RecordQueue.byteLimit)
      guard !queue.isEmpty else { break }
      numbers += queue.records.prefix(100).map(\.record.sequence)
      queue.remove(min(100, queue.records.count))
    }
    let total = try log.records().count
    #expect(total > 700)
    #expect(numbers == Array(1...UInt64(total)))
  }

  @Test("what is missing, no record, or rewritten is told once, however often the log is read again")
  func notices() throws {
    let log = try log { lines in
      Array(lines[..<5]) + ["garbage", "{\"seq\":6}"] + Array(lines[9...])
    }
    var queue = try RecordQueue(path: log.log, behind: nil)
    let told = try queue.fill()
    #expect(
      told == [
        .unreadable(file: log.log, line: 6, isFirst: true),
        .unreadable(file: log.log, line: 7, isFirst: false),
        .lost(6, 9),
      ])
    let first = try #require(queue.records.first).end
    var again = try RecordQueue(path: log.log, behind: first, seen: queue.seen)
    #expect(try again.fill() == [] && again.records.map(\.end) == queue.records.dropFirst().map(\.end))
    // A process that knows nothing of what was told before tells it.
    var other = try RecordQueue(path: log.log, behind: first)
    #expect(try other.fill().count == 3)
    var foreign = first
    foreign.hash = .zero
    var rewritten = try RecordQueue(path: log.log, behind: foreign, seen: queue.seen)
    #expect(try rewritten.fill().first == .rewritten(1) && rewritten.records.first?.record.sequence == 1)
  }
}

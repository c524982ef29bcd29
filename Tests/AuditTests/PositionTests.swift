import Foundation
import LogFixtures
import Testing

@testable import Audit

@Suite("A log is read on where it was left")
struct PositionTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  func write(_ flows: ClosedRange<Int>, settingAside: Bool = false) throws {
    let log = try AuditLog.open(scratch.options())
    for flow in flows { log.append(.decision(decision(flow: UInt64(flow)))) }
    #expect(log.commit())
    if settingAside { log.setAside() }
    log.close()
  }

  func positions() throws -> [LogPosition] {
    var reader = try LogReader(path: scratch.log), found: [LogPosition] = []
    while let line = try reader.next() { found.append(try #require(LogPosition(behind: line))) }
    return found
  }

  func rest(behind position: LogPosition) throws -> (numbers: [UInt64], continuation: LogContinuation) {
    var (reader, continuation) = try LogReader.behind(position, ofLogAt: scratch.log)
    var numbers: [UInt64] = []
    while let line = try reader.next() { numbers.append(try #require(SealedLine(line.bytes)).sequence) }
    return (numbers, continuation)
  }

  @Test("from every record on, also across files and after these were renamed")
  func everywhere() throws {
    for run in 0..<3 { try write(1...4, settingAside: run < 2) }
    let all = try positions()
    #expect(Set(all.map(\.file)) == ["audit.jsonl.000001", "audit.jsonl.000002", "audit.jsonl"])
    for position in all {
      var renamed = position
      renamed.file = "audit.jsonl"
      for known in [position, renamed] {
        let (numbers, continuation) = try rest(behind: known)
        #expect(continuation == .found && numbers == Array((known.sequence + 1)..<UInt64(all.count + 1)))
      }
    }
  }

  @Test("what was taken away is said")
  func gone() throws {
    for run in 0..<3 { try write(1...4, settingAside: run < 2) }
    let all = try positions()
    try FileManager.default.removeItem(atPath: scratch.log + ".000001")
    let first = try #require(all.first { $0.file != "audit.jsonl.000001" }).sequence
    #expect(try rest(behind: all[2]).continuation == .gone(first: first))
    #expect(try rest(behind: all[2]).numbers.first == first)
    // The record itself is gone, and everything behind it is there.
    #expect(try rest(behind: all[Int(first) - 2]).continuation == .gone(first: first))
  }

  @Test("AUD-08: a log that was changed, cut off or written anew is not taken for the one that was left")
  func changed() throws {
    for _ in 0..<2 { try write(1...4) }
    let all = try positions(), good = scratch.read()
    let last = try #require(all.last)
    scratch.write(Array(good.prefix(Int(all[5].offset))))
    #expect(try rest(behind: last).continuation == .changed)
    #expect(try rest(behind: last).numbers.first == 1)
    try FileManager.default.removeItem(atPath: scratch.path)
    let other = try Scratch()
    let log = try AuditLog.open(other.options())
    for flow in 1...40 { log.append(.decision(decision("evil.test", flow: UInt64(flow)))) }
    log.close()
    let (_, continuation) = try LogReader.behind(all[5], ofLogAt: other.log)
    #expect(continuation == .changed)
  }

  @Test("the last record is found, whatever stands behind it")
  func last() throws {
    try write(1...4, settingAside: true)
    let count = UInt64(try positions().count)
    #expect(try LogReader.last(ofLogAt: scratch.log)?.sequence == count)
    scratch.write(scratch.read() + Array("{\"seq\":".utf8))
    #expect(try LogReader.last(ofLogAt: scratch.log)?.sequence == count)
  }
}

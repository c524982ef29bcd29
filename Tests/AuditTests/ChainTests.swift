import Crypto
import Dispatch
import Foundation
import LogFixtures
import Policy
import Testing

@testable import Audit

@Suite("The chain: every record seals the one before")
struct ChainTests {
  @Test("a line is what the format says, checked without the code that writes it")
  func format() throws {
    let scratch = try Scratch()
    let log = try AuditLog.open(scratch.options())
    for flow in 1...20 { log.append(.decision(decision(flow: UInt64(flow)))) }
    log.close()
    var previous = String(repeating: "0", count: 64)
    for (index, line) in scratch.lines().enumerated() {
      let text = String(decoding: line, as: UTF8.self)
      let cut = try #require(text.range(of: #","hash":""#, options: .backwards))
      let digest = SHA256.hash(data: Data(text[..<cut.lowerBound].utf8)).map { String(format: "%02x", $0) }
        .joined()
      #expect(text.hasPrefix(#"{"seq":\#(index + 1),"prev":"\#(previous)","#))
      #expect(text[cut.upperBound...] == digest + "\"}")
      previous = digest
    }
    #expect(scratch.lines().count == 24)
  }

  @Test("records are in order: start, checkpoint, what happened, stop, checkpoint")
  func order() throws {
    let scratch = try Scratch()
    let log = try AuditLog.open(scratch.options())
    log.append(.decision(decision()))
    log.append(.close(closing()))
    log.close()
    #expect(
      try scratch.records().map(\.event) == [
        "start", "checkpoint", "decision", "close", "stop", "checkpoint",
      ])
    let result = try scratch.verify()
    #expect(result.isIntact && result.checkpoints == 2 && result.signedThrough == 6)
  }

  @Test("two threads that append and commit leave one valid chain")
  func twoThreads() throws {
    let scratch = try Scratch()
    let log = try AuditLog.open(scratch.options(rotateAt: 200_000))
    DispatchQueue.concurrentPerform(iterations: 2) { thread in
      for index in 0..<3000 {
        let mark = log.append(.decision(decision(flow: UInt64(thread * 10_000 + index))))
        if index.isMultiple(of: 7) { #expect(log.commit(since: mark)) }
      }
    }
    log.close()
    let result = try scratch.verify()
    #expect(result.findings == [])
    let flows = try scratch.records().compactMap { $0.event == "decision" ? $0.flow : nil }
    #expect(flows.count == 6000 && Set(flows).count == 6000)
    #expect(try Segments(path: scratch.log).numbers().count > 5)
  }

  @Test("rotation carries the chain over, and names sort as they were written")
  func rotation() throws {
    let scratch = try Scratch()
    let log = try AuditLog.open(scratch.options(rotateAt: 4000))
    for flow in 1...100 {
      log.append(.decision(decision(flow: UInt64(flow))))
      #expect(log.commit())
    }
    log.close()
    #expect(try scratch.verify().isIntact)
    let names = try Segments(path: scratch.log).existing().map { FileAccess.name(of: $0) }
    #expect(names.prefix(2) == ["audit.jsonl.000001", "audit.jsonl.000002"] && names.last == "audit.jsonl")
    #expect(names.dropLast() == names.dropLast().sorted()[...])
    let second = try #require(scratch.lines("audit.jsonl.000002").first)
    #expect(String(decoding: second, as: UTF8.self).contains("continues audit.jsonl.000001"))
  }

  @Test("a checkpoint comes each 1000 records and after 60 seconds, never without news")
  func checkpoints() throws {
    let scratch = try Scratch(), clock = ManualClock()
    let log = try AuditLog.open(scratch.options(), clock: clock.clock) { $0 }
    for flow in 1...2500 {
      log.append(.decision(decision(flow: UInt64(flow))))
      if flow.isMultiple(of: 50) { #expect(log.commit()) }
    }
    let events = { try scratch.records().filter { $0.event == "checkpoint" }.count }
    #expect(try events() == 3)
    clock.advance(milliseconds: 59_000)
    log.tick(clock.now)
    #expect(try events() == 3)
    clock.advance(milliseconds: 1000)
    log.tick(clock.now)
    #expect(try events() == 4)
    clock.advance(milliseconds: 120_000)
    log.tick(clock.now)
    #expect(try events() == 4)
    log.close()
    #expect(try scratch.verify().isIntact)
  }

  @Test("a log that is opened again goes on with its chain, without a 'recovered' after an orderly stop")
  func reopen() throws {
    let scratch = try Scratch()
    for _ in 0..<3 {
      let log = try AuditLog.open(scratch.options())
      log.append(.decision(decision()))
      log.close()
    }
    #expect(try scratch.verify().isIntact)
    #expect(try scratch.records().contains { $0.event == "recovered" } == false)
    #expect(try scratch.records().last?.sequence == 15)
  }

  @Test("a file that is large begins a new one; one that was moved or removed is followed by a new one")
  func movedAway() throws {
    let scratch = try Scratch(), clock = ManualClock()
    let log = try AuditLog.open(scratch.options(), clock: clock.clock) { $0 }
    log.append(.decision(decision()))
    log.setAside()
    #expect(try Segments(path: scratch.log).numbers() == [1])
    try FileManager.default.moveItem(atPath: scratch.log, toPath: scratch.log + ".000002")
    #expect(log.tick(clock.now))
    log.append(.decision(decision()))
    log.close()
    #expect(try scratch.verify().findings == [])
    #expect(try scratch.records().filter { $0.event == "rotated" }.count == 2)
  }

  @Test("an empty file put in the log's place is taken over, any other stops the log")
  func replaced() throws {
    let scratch = try Scratch(), clock = ManualClock()
    let log = try AuditLog.open(scratch.options(), clock: clock.clock) { $0 }
    try FileManager.default.moveItem(atPath: scratch.log, toPath: scratch.log + ".000001")
    scratch.write([])
    #expect(log.tick(clock.now))
    try FileManager.default.moveItem(atPath: scratch.log, toPath: scratch.log + ".000002")
    scratch.write(Array("mine".utf8))
    #expect(!log.tick(clock.now) && !log.isAvailable && !log.commit())
    #expect(scratch.read() == Array("mine".utf8))
    try FileManager.default.removeItem(atPath: scratch.log)
    clock.advance(milliseconds: 101)
    #expect(log.commit() && log.isAvailable)
    log.close()
    #expect(try scratch.verify().findings == [])
  }
}

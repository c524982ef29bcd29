import Addressing
import Foundation
import LogFixtures
import Testing

@testable import Audit

@Suite("Only so many files are kept where somebody says so")
struct RetentionTests {
  let scratch: Scratch, clock = ManualClock(), disk = Disk()

  init() throws { scratch = try Scratch() }

  private func open(keep: Int?) throws -> AuditLog {
    var options = scratch.options()
    options.keep = keep
    let disk = disk
    return try AuditLog.open(options, clock: clock.clock) { DiskFile($0, disk) }
  }

  /// Six files and the log: the denial of each number stands at the start of the file behind.
  private func fill(_ log: AuditLog) {
    for number in 1...6 {
      log.append(.decision(denial("n\(number).test")))
      log.setAside()
    }
  }

  private var kept: [UInt64] {
    get throws { try Segments(path: scratch.log).numbers() }
  }

  @Test("all are kept unless told otherwise")
  func all() throws {
    let log = try open(keep: nil)
    fill(log)
    log.tick(clock.now)
    log.close()
    #expect(try kept == [1, 2, 3, 4, 5, 6])
    #expect(try scratch.verify().firstSequence == 1)
  }

  @Test("the oldest go, each after a record that says so; the rest verifies and says where it begins")
  func oldest() throws {
    let log = try open(keep: 2)
    fill(log)
    #expect(try kept.count == 6, "nothing goes while the log is written to")
    #expect(log.tick(clock.now))
    #expect(try kept == [5, 6])
    let removed = try scratch.records().filter { $0.event == "removed" }
    #expect(removed.count == 4)
    for number in 1...4 { #expect(scratch.text.contains("removes audit.jsonl.00000\(number)\"")) }
    log.append(.decision(denial("last.test")))
    log.setAside()
    log.tick(clock.now)
    log.close()
    #expect(try kept == [6, 7], "the numbers go on")
    let found = try scratch.verify()
    #expect(found.isIntact && (found.firstSequence ?? 0) > 1, "\(found.findings)")
  }

  @Test("what is too many at the start goes, too, and a log told to keep nothing keeps its newest")
  func atTheStart() throws {
    let log = try open(keep: nil)
    fill(log)
    log.close()
    let next = try open(keep: 0)
    next.tick(clock.now)
    next.close()
    #expect(try kept == [6])
    #expect(try scratch.verify().isIntact)
  }

  @Test("AUD-05: what cannot be recorded is not removed")
  func full() throws {
    let log = try open(keep: 1)
    fill(log)
    disk.set { $0.room = 0 }
    #expect(!log.tick(clock.now))
    #expect(try kept.count == 6)
    disk.set { $0.room = .max }
    clock.advance(milliseconds: 1000)
    #expect(log.tick(clock.now))
    log.tick(clock.now)
    log.close()
    #expect(try kept == [6])
    #expect(try scratch.verify().isIntact)
  }

  @Test("a reader goes on behind a file that is taken away under it")
  func reading() throws {
    let log = try open(keep: 3)
    fill(log)
    var reader = try LogReader(path: scratch.log), hosts: [String] = []
    let first = try reader.next()
    #expect(first?.file.hasSuffix(".000001") == true)
    #expect(log.tick(clock.now))
    while let line = try reader.next() {
      let record = try LogRecord(line)
      if record.isBlocked, let host = record.destination?.description { hosts.append(host) }
    }
    log.close()
    #expect(
      hosts == [3, 4, 5, 6].map { "https://n\($0).test:443" }, "with the oldest that is there, not the newest"
    )
  }

  @Test("a directory that has the name of a file is left alone")
  func directory() throws {
    let log = try open(keep: 2)
    fill(log)
    try FileManager.default.removeItem(atPath: scratch.log + ".000001")
    try FileManager.default.createDirectory(
      atPath: scratch.log + ".000001", withIntermediateDirectories: false)
    log.tick(clock.now)
    log.close()
    #expect(try kept == [1, 5, 6])
    #expect(log.statistics.lastError == nil)
  }
}

extension Scratch {
  fileprivate var text: String { String(decoding: read(), as: UTF8.self) }
}

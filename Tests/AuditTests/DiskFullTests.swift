import Foundation
import Glibc
import LogFixtures
import Policy
import Synchronization
import SystemPackage
import Testing

@testable import Audit

@Suite("A log that cannot be written refuses, counts, and comes back")
struct DiskFullTests {
  let scratch: Scratch, clock = ManualClock(), disk = Disk(), log: AuditLog

  init() throws {
    scratch = try Scratch()
    let disk = disk
    log = try AuditLog.open(scratch.options(), clock: clock.clock) { DiskFile($0, disk) }
  }

  @Test(
    "AUD-05: with the disk full, commit is false, no part of a line stays, and room brings it back",
    arguments: [0, 1, 700])
  func full(room: Int) throws {
    log.append(.decision(decision(flow: 1)))
    #expect(log.commit() && log.isAvailable)
    let before = scratch.read()
    disk.set { $0.room = room }
    let mark = log.append(.decision(decision(flow: 2)))
    log.append(.decision(decision(flow: 3)))
    #expect(!log.commit(since: mark) && !log.isAvailable)
    #expect(scratch.read() == before)
    for index in 0..<50 { log.append(.decision(denial("n\(index).example.test"))) }
    log.append(.close(closing(out: 100, in: 200)))
    #expect(!log.commit())
    disk.set { $0.room = .max }
    #expect(!log.commit(), "no new try within 100 ms")
    clock.advance(milliseconds: 100)
    let next = log.append(.decision(decision(flow: 4)))
    #expect(log.commit(since: next) && log.isAvailable)
    #expect(!log.commit(since: mark), "the lost record stays lost for who still waits for it")
    try checkCollapsed()
  }

  private func checkCollapsed() throws {
    log.close()
    #expect(try scratch.verify().findings == [])
    let records = try scratch.records()
    #expect(records.compactMap { $0.event == "decision" ? $0.flow : nil } == ["1", "4"])
    let collapsed = try #require(records.first { $0.event == "collapsed" }?.json["unmapped"])
    #expect(collapsed["denied"] == .integer(50) && collapsed["refused"] == .integer(2))
    #expect(collapsed["allowed"] == nil, "what cannot be recorded is not allowed")
    #expect(collapsed["closed"] == .integer(1) && collapsed["bytes_out"] == .integer(100))
    #expect(collapsed["detail"]?.text?.hasPrefix("cannot write:") == true)
  }

  @Test("AUD-05: an allow that was lost is counted as refused, and its close as no connection")
  func refused() throws {
    disk.set { $0.room = 0 }
    for flow in 2...60 {
      log.append(.decision(decision(flow: UInt64(flow))))
      #expect(!log.commit())
      log.append(.close(closing(flow: UInt64(flow), out: 0, in: 0, reason: .cut(.auditUnavailable))))
    }
    log.append(.decision(decision(flow: 61)))
    log.append(.close(closing(flow: 61, out: 0, in: 0, reason: .cut(.dnsFailure))))
    log.append(.close(closing(flow: 1, out: 100, in: 200)))
    for index in 0..<10 { log.append(.decision(denial("n\(index).example.test"))) }
    #expect(!log.commit())
    disk.set { $0.room = .max }
    clock.advance(milliseconds: 100)
    #expect(log.commit())
    let collapsed = try #require(try scratch.records().first { $0.event == "collapsed" }?.json["unmapped"])
    #expect(collapsed["refused"] == .integer(60) && collapsed["denied"] == .integer(10))
    #expect(collapsed["closed"] == .integer(1) && collapsed["bytes_out"] == .integer(100))
  }

  @Test("AUD-05: an allow that another thread's commit lost is not taken for written after the recovery")
  func lostByAnother() throws {
    disk.set { $0.room = 0 }
    let mark = log.append(.decision(decision(flow: 2)))
    #expect(!log.commit(), "this could be the other event loop")
    disk.set { $0.room = .max }
    clock.advance(milliseconds: 100)
    #expect(log.commit(), "so could this")
    #expect(!log.commit(since: mark))
    #expect(log.commit(since: .nothing))
  }

  @Test("AUD-05: decisions of people and policy changes are kept for the moment the log is back")
  func urgent() throws {
    disk.set { $0.room = 10 }
    for generation in 1...70 {
      log.append(
        .policy(
          PolicyRecord(
            time: clock.now, outcome: .loaded, generation: UInt64(generation), mode: .enforce, sources: [])))
      #expect(!log.commit())
    }
    disk.set { $0.room = .max }
    clock.advance(milliseconds: 100)
    #expect(log.commit())
    log.close()
    let records = try scratch.records()
    #expect(records.compactMap { $0.event == "policy" ? $0.generation : nil } == (1...64).map(Int64.init))
    #expect(records.first { $0.event == "collapsed" }?.json["unmapped"]?["other"] == .integer(6))
    #expect(try scratch.verify().findings == [])
  }

  @Test("AUD-05: when not even the torn part can be cut off, nothing is written behind it")
  func cannotTruncate() throws {
    disk.set { ($0.room, $0.failsToTruncate) = (300, true) }
    log.append(.decision(decision()))
    #expect(!log.commit())
    disk.set { $0.room = .max }
    clock.advance(milliseconds: 100)
    #expect(!log.commit())
    disk.set { $0.failsToTruncate = false }
    clock.advance(milliseconds: 100)
    #expect(log.commit())
    log.close()
    #expect(try scratch.verify().findings == [])
  }

  @Test("AUD-05: a disk that fails to take the data counts as a log that cannot be written")
  func failingSync() throws {
    log.sync()
    disk.set { $0.failsToSync = true }
    log.append(.decision(decision()))
    #expect(log.commit())
    log.sync()
    #expect(!log.isAvailable && !log.commit())
    #expect(log.statistics.lastError?.contains("have the disk take") == true)
    disk.set { $0.failsToSync = false }
    clock.advance(milliseconds: 100)
    #expect(log.tick(clock.now))
    log.close()
    #expect(try scratch.verify().findings == [])
    #expect(try scratch.records().contains { $0.event == "collapsed" })
  }

  @Test("a full disk at the start is an error with its remedy")
  func atStart() throws {
    let scratch = try Scratch(), disk = Disk()
    disk.set { $0.room = 100 }
    let error = #expect(throws: AuditError.self) {
      _ = try AuditLog.open(scratch.options(), clock: clock.clock) { DiskFile($0, disk) }
    }
    #expect(error?.description.contains("Make room on this file system") == true)
  }

  @Test("memory stays bounded while nobody can write, whatever is appended")
  func bounded() throws {
    disk.set { $0.room = 0 }
    for flow in 0..<20_000 { log.append(.decision(decision(flow: UInt64(flow)))) }
    #expect(log.chain.withLock { $0.pending.bytes.count } <= ChainState.pendingLimit)
    #expect(log.statistics.collapsed > 10_000)
  }

  static let directoryVariable = "EXITGATE_AUDIT_TMPFS"

  @Test(
    "AUD-05: a real file system of 256 KiB fills up and is emptied again",
    .enabled(if: canMount(), "mounting needs root"))
  func realDisk() throws {
    if let path = ProcessInfo.processInfo.environment[Self.directoryVariable] {
      return try Self.fillAndEmpty(path)
    }
    let mountPoint = scratch.path + "/disk"
    try FileManager.default.createDirectory(atPath: mountPoint, withIntermediateDirectories: true)
    let script = #"mount -t tmpfs -o size=256k,mode=700 none "$1" && shift && exec "$@""#
    let child = ownProcess(
      "DiskFullTests/realDisk", Self.directoryVariable, mountPoint,
      through: ["/usr/bin/unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", mountPoint])
    try expectSuccess(of: child, proof: mountPoint)
  }

  private static func fillAndEmpty(_ directory: String) throws {
    let clock = ManualClock()
    let log = try AuditLog.open(AuditOptions(path: directory + "/audit.jsonl"), clock: clock.clock) { $0 }
    let ballast = directory + "/ballast"
    _ = FileManager.default.createFile(atPath: ballast, contents: Data(count: 120_000))
    var flow: UInt64 = 0
    repeat {
      flow += 1
      log.append(.decision(decision(flow: flow)))
    } while log.commit() && flow < 2000
    #expect(flow < 2000 && !log.isAvailable && log.statistics.lastError?.contains("space") == true)
    try FileManager.default.removeItem(atPath: ballast)
    clock.advance(milliseconds: 100)
    log.append(.decision(decision(flow: 5000)))
    #expect(log.commit())
    log.close()
    #expect(try LogVerifier(path: directory + "/audit.jsonl").verify().findings == [])
    leaveProof(directory)
  }

  static let limitVariable = "EXITGATE_AUDIT_DESCRIPTORS"

  @Test("DOS-03: with no descriptor left the log goes on in its file, and never renames it over an older one")
  func noDescriptors() throws {
    if let path = ProcessInfo.processInfo.environment[Self.limitVariable] { return try Self.exhaust(path) }
    let value = scratch.path + "/limit"
    try expectSuccess(of: ownProcess("DiskFullTests/noDescriptors", Self.limitVariable, value), proof: value)
  }

  private static func exhaust(_ directory: String) throws {
    let clock = ManualClock(), options = AuditOptions(path: directory + "/audit.jsonl", rotateAt: 3000)
    let log = try AuditLog.open(options, clock: clock.clock) { $0 }
    let append = { (flows: Range<Int>) in
      for flow in flows {
        log.append(.decision(decision(flow: UInt64(flow))))
        #expect(log.commit())
      }
    }
    append(0..<20)
    let before = try Segments(path: options.path).numbers()
    var limit = rlimit(rlim_cur: 128, rlim_max: 128)
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    var taken: [Int32] = []
    for flow in 20..<40 {
      // Each time anew: the log's own queue may have had the head file open, and closed it since.
      while case let descriptor = dup(2), descriptor >= 0 { taken.append(descriptor) }
      append(flow..<flow + 1)
    }
    // The rotation's error, or that of the head file, which the log's own queue writes meanwhile.
    #expect(log.statistics.lastError?.contains("\(Errno.tooManyOpenFiles)") == true)
    for descriptor in taken { Glibc.close(descriptor) }
    clock.advance(milliseconds: 60_000)
    append(40..<60)
    log.close()
    #expect(try LogVerifier(path: options.path).verify().findings == [])
    #expect(before.count > 1)
    #expect(try Segments(path: options.path).numbers().count > before.count)
    leaveProof(directory)
  }
}

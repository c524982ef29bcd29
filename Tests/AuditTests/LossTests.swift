import LogFixtures
import Policy
import Testing

@testable import Audit

/// What was appended, what the file holds and what `collapsed` records tell of.
private struct Ledger: Equatable {
  var denied = 0, allows = 0, closes = 0, bytesOut = 0

  static func + (left: Ledger, right: Ledger) -> Ledger {
    Ledger(
      denied: left.denied + right.denied, allows: left.allows + right.allows,
      closes: left.closes + right.closes, bytesOut: left.bytesOut + right.bytesOut)
  }

  /// Records of the file, and the counts that stand for those it lacks.
  init(_ records: [LogRecord]) throws {
    for record in records {
      switch (record.event, record.verdict) {
      case ("decision", .deny?): denied += 1
      case ("decision", _): allows += 1
      case ("close", _): closes += 1
      case ("collapsed", _):
        let counts = try #require(record.json["unmapped"])
        denied += Int(counts["denied"]?.integer ?? 0)
        allows += Int(counts["refused"]?.integer ?? 0)
        closes += Int(counts["closed"]?.integer ?? 0)
        bytesOut += Int(counts["bytes_out"]?.integer ?? 0)
      default: break
      }
    }
  }

  init(denied: Int = 0, allows: Int = 0, closes: Int = 0, bytesOut: Int = 0) {
    (self.denied, self.allows, self.closes, self.bytesOut) = (denied, allows, closes, bytesOut)
  }
}

@Suite("What is lost is told once")
struct LossTests {
  @Test(
    "AUD-05: however writes, cuts and the disk fail, each record is in the file or in one count",
    arguments: 1...40)
  func conserved(seed: UInt64) throws {
    let scratch = try Scratch(), clock = ManualClock(), disk = Disk()
    let log = try AuditLog.open(scratch.options(rotateAt: 40_000), clock: clock.clock) { DiskFile($0, disk) }
    var random = Seeded(state: seed), appended = Ledger()
    for step in 0..<400 {
      switch Int.random(in: 0..<12, using: &random) {
      case 0...2:
        log.append(.decision(denial("n\(step).example.test")))
        appended.denied += 1
      case 3...4:
        log.append(.decision(decision(flow: UInt64(1000 + step))))
        appended.allows += 1
      case 5:
        log.append(.close(closing(flow: UInt64(10_000 + step))))
        appended.closes += 1
      case 6: disk.set { $0.room = Int.random(in: 0...3000, using: &random) }
      case 7: disk.set { $0.room = .max }
      case 8: disk.set { $0.failsToSync = Bool.random(using: &random) }
      case 9: disk.set { $0.failsToTruncate = Int.random(in: 0..<4, using: &random) == 0 }
      case 10: log.sync()
      default:
        _ = Bool.random(using: &random) ? log.commit() : log.tick(clock.now)
        clock.advance(milliseconds: UInt64.random(in: 0...150, using: &random))
      }
    }
    disk.set { $0 = Disk.State() }
    clock.advance(milliseconds: 60_000)
    #expect(log.commit())
    log.close()
    #expect(try scratch.verify().findings == [])
    var told = try Ledger(try scratch.records())
    told.bytesOut = 0
    #expect(told == appended)
  }

  @Test("AUD-05: a report is written once, however often it could not be")
  func once() throws {
    let scratch = try Scratch(), clock = ManualClock(), disk = Disk()
    let log = try AuditLog.open(scratch.options(), clock: clock.clock) { DiskFile($0, disk) }
    disk.set { $0.room = 0 }
    for flow in 1...59 { log.append(.decision(decision(flow: UInt64(flow)))) }
    for room in [0, 1, 200, 300] {
      disk.set { $0.room = room }
      #expect(!log.commit())
      clock.advance(milliseconds: 100)
    }
    disk.set { $0.room = .max }
    for _ in 0..<5 {
      #expect(log.commit())
      clock.advance(milliseconds: 100)
    }
    let reports = try scratch.records().filter { $0.event == "collapsed" }
    #expect(reports.map { $0.json["unmapped"]?["refused"] } == [.integer(59)])
  }

  @Test("AUD-05: a lost roll-up of questions that were answered is no count of denials")
  func rollUps() throws {
    let scratch = try Scratch(), clock = ManualClock(), disk = Disk()
    let log = try AuditLog.open(scratch.options(), clock: clock.clock) { DiskFile($0, disk) }
    disk.set { $0.room = 0 }
    for (verdict, count) in [(Action.allow, 5), (.deny, 7)] as [(Action, UInt64)] {
      let reason: Reason = verdict == .allow ? .allowed : .noRule
      log.append(
        .rollUp(
          RollUpRecord(
            agent: .default, layer: .dns, destination: nil, reason: reason, generation: 7, count: count,
            first: clock.now, last: clock.now, verdict: verdict)))
    }
    #expect(!log.commit())
    disk.set { $0.room = .max }
    clock.advance(milliseconds: 100)
    #expect(log.commit())
    let counts = try #require(try scratch.records().first { $0.event == "collapsed" }?.json["unmapped"])
    #expect(counts["denied"] == .integer(7) && counts["other"] == .integer(5))
  }

  static let jumps: [Int64] = [-86_400_000, 0, 315_576_000_000]

  @Test("OPS-06: roll-ups and checkpoints come in time, wherever the wall clock jumps", arguments: jumps)
  func clockJump(by offset: Int64) throws {
    let scratch = try Scratch(), clock = ManualClock()
    let log = try AuditLog.open(scratch.options(), clock: clock.clock) { $0 }
    log.append(.decision(denial("a.test", at: clock.now.milliseconds)))
    log.tick(clock.now)
    clock.setWall(aheadBy: offset)
    for _ in 0..<5 { log.append(.decision(denial("a.test", at: clock.now.milliseconds))) }
    clock.advance(milliseconds: 9_000)
    log.tick(clock.now)
    #expect(try scratch.records().filter { $0.event == "rollup" }.isEmpty, "the period is not over")
    clock.advance(milliseconds: 1_000)
    log.tick(clock.now)
    let rollUp = try #require(try scratch.records().first { $0.event == "rollup" })
    #expect(rollUp.count == 5 && rollUp.first?.milliseconds == clock.now.milliseconds - 10_000)
    #expect(rollUp.time == rollUp.first, "in the wall clock's time")
    let checkpoints = { try scratch.records().count { $0.event == "checkpoint" } }
    let before = try checkpoints()
    clock.advance(milliseconds: 50_000)
    log.tick(clock.now)
    #expect(try checkpoints() == before + 1)
  }
}

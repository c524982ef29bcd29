import Audit
import Foundation
import Glibc
import LogFixtures
import Policy
import Testing

@testable import Review

/// What becomes of the index's own file, whoever made it.
@Suite("The file of an index")
struct IndexFileTests {
  static let obstacles: [(why: String, make: @Sendable (WrittenLog) throws -> Void)] = [
    (
      "is not a plain file",
      { try FileManager.default.createDirectory(atPath: $0.index, withIntermediateDirectories: false) }
    ),
    ("is not a plain file", { #expect(mkfifo($0.index, 0o600) == 0) }),
    (
      "is no index of Exitgate's",
      { $0.scratch.write(Array("my notes, not to be lost".utf8), to: "audit.jsonl.index") }
    ),
    (
      "is no index of Exitgate's",
      { log in
        let other = try Database(path: emptyFile(log.index))
        try other.run("CREATE TABLE photos (name TEXT);")
      }
    ),
    ("can be written by others", { log in _ = chmod(try emptyFile(log.index), 0o666) }),
    (
      "is not a plain file with one name",
      { log in
        let other = try emptyFile(log.scratch.path + "/other")
        #expect(link(other, log.index) == 0)
      }
    ),
  ]

  private static func emptyFile(_ path: String) throws -> String {
    #expect(
      FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]))
    return path
  }

  @Test("what is no index of ours stays as it is, and the log is read", arguments: obstacles)
  func obstacle(why: String, make: @Sendable (WrittenLog) throws -> Void) throws {
    let log = try WrittenLog(IndexTests.varied(60))
    try make(log)
    let before = FileManager.default.contents(atPath: log.index)
    try log.expectRefusal(why)
    #expect(FileManager.default.contents(atPath: log.index) == before)
  }

  @Test("no link is followed: not the index's own, nor that of a file that SQLite keeps beside it")
  func links() throws {
    for suffix in ["", "-wal", "-journal"] {
      let log = try WrittenLog(IndexTests.varied(60)), target = log.scratch.path + "/target"
      if suffix == "-wal" { _ = try log.indexed() }
      #expect(symlink(target, log.index + suffix) == 0)
      try log.write([denied("more.test")])
      let answer = try log.indexed().answer
      #expect(Facts(answer.summary) == Facts(try log.summary()))
      #expect(!FileManager.default.fileExists(atPath: target), "\(suffix)")
      if suffix.isEmpty { try log.expectRefusal("is not a plain file") }
    }
  }

  @Test("an index that another process writes is read, and not waited for where it lacks something")
  func busy() throws {
    let log = try WrittenLog(IndexTests.varied(60))
    _ = try log.indexed()
    let other = try Database(path: log.index)
    try other.run("BEGIN IMMEDIATE;")
    try log.expectAgreement(IndexTests.few)
    try log.write([denied("more.test")])
    try log.expectRefusal("locked")
    try other.run("ROLLBACK;")
    try log.expectAgreement()
  }

  @Test("an index of another layout, and one that holds something else in a row, is made anew")
  func remade() throws {
    let log = try WrittenLog(IndexTests.varied(200))
    let changes: [StaticString] = [
      "PRAGMA user_version = 99;", "UPDATE kind SET agent = 'other' WHERE id = 1;",
      "UPDATE tally SET counters = x'00';", "UPDATE file SET unreadable = 5;",
      "UPDATE block SET first = last;",
      "DELETE FROM kind WHERE id = 2;", "DROP TABLE block;", "CREATE VIEW v AS SELECT 1;",
      "UPDATE tally SET counters = zeroblob(100), sum = 1;",
      "INSERT INTO kind SELECT 900000, event, agent, layer, verdict, would_deny, reason, rule, host, port, protocol, address, record_type, method, process, fold, overflow, sum FROM kind WHERE id = 1;",
    ]
    for change in changes {
      try log.expectAgreement(IndexTests.few)
      do {
        let database = try Database(path: log.index)
        try database.run(change)
      }
      let answer = try log.indexed().answer
      guard case .remade = answer.notice else {
        Issue.record("\(change): \(String(describing: answer.notice))")
        continue
      }
      try log.expectAgreement(IndexTests.few)
    }
  }

  @Test("AUD-08: whatever bytes of the index were changed, the answer is the log's", .timeLimit(.minutes(5)))
  func mutations() throws {
    var random = Seeded(state: 20_261_130), remade = 0
    let log = try WrittenLog(rotateAt: 60_000, IndexTests.varied(400))
    _ = try log.indexed()
    let whole = log.scratch.read("audit.jsonl.index"), truth = Facts(try log.summary())
    for _ in 0..<100 {
      var bytes = whole
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes.removeSubrange(Int.random(in: bytes.indices, using: &random)...)
      case 1:
        for _ in 0..<20 {
          bytes[Int.random(in: bytes.indices, using: &random)] = .random(in: 0...255, using: &random)
        }
      default:
        bytes[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      }
      log.scratch.write(bytes, to: "audit.jsonl.index")
      let answer = try log.indexed().answer
      #expect(Facts(answer.summary) == truth)
      if answer.notice != nil { remade += 1 }
      if case .unused = answer.notice { try? FileManager.default.removeItem(atPath: log.index) }
    }
    #expect(remade > 30)
  }

  @Test("AUD-02, AUD-03: values that hostile clients choose are values, whatever they look like")
  func hostileValues() throws {
    let log = try WrittenLog(try ReadingTests.everything())
    let line = try #require(
      log.scratch.lines().first { String(decoding: $0, as: UTF8.self).contains("no-rule") })
    let text = String(decoding: line, as: UTF8.self)
    let values = [
      "'); DROP TABLE kind; --", "\\u0000", "a\\u0000b", "", "\\\"", "?1", ":name", "\\u202eevil",
      "\\u001b[2J", "\\ufffd",
      "\u{1F600}", String(repeating: "x", count: 60_000), "NULL", "%s%n", "1e999", "x'00'",
    ]
    for value in values {
      for member in ["no-rule", "default"] {
        try log.append(Array(text.replacing("\"\(member)\"", with: "\"\(value)\"").utf8) + [0x0a])
      }
    }
    try log.expectAgreement(IndexTests.few + values.prefix(3).map { RecordFilter(reason: $0) })
    let reasons = Set(try log.indexed().answer.summary.totals.compactMap(\.kind.reason))
    #expect(reasons.isSuperset(of: ["'); DROP TABLE kind; --", "a\0b", "", "\0", "\u{202e}evil", "NULL"]))
  }

  @Test(
    "AUD-04: a flood of distinct names takes bounded room, and every one is counted", .timeLimit(.minutes(10))
  )
  func flood() throws {
    let log = try WrittenLog([denied("x.flood.test")])
    let line = try #require(
      log.scratch.lines().first { String(decoding: $0, as: UTF8.self).contains("flood") })
    let parts = String(decoding: line, as: UTF8.self).split(separator: "x.flood.test", maxSplits: 1).map {
      Array($0.utf8)
    }
    var bytes: [UInt8] = []
    for number in 0..<120_000 {
      bytes += parts[0] + Array("n\(number).flood.test".utf8) + parts[1] + [0x0a]
      if bytes.count > 16 << 20 || number == 119_999 {
        try log.append(bytes)
        bytes.removeAll(keepingCapacity: true)
      }
    }
    let answer = try log.indexed().answer
    #expect(answer.notice == nil)
    #expect(answer.summary.kinds.count <= FoldTree.limit + 10)
    #expect(answer.summary.tallies.filter(\.kind.isBlocked).reduce(0) { $0 + $1.count } == 120_001)
    #expect(BlockedReport(answer.summary).groups.count == 1)
    #expect(log.size("audit.jsonl.index") < 24 << 20, "\(log.size("audit.jsonl.index")) bytes")
    let again = try log.indexed()
    #expect(again.read == 0 && Facts(again.answer.summary) == Facts(answer.summary))
  }
}

@Suite("How an index writes counters")
struct CounterCodeTests {
  static let extremes: [UInt64] = [0, 1, 0x7f, 0x80, 1 << 32, .max]

  @Test("what is written is read")
  func roundTrip() {
    var random = Seeded(state: 3), counters: [Counter] = []
    for hour in [0, 1, -1, 500_000, Int64.max / Tally.hourLength, Int64.min / Tally.hourLength] {
      counters = (0..<200).map { number in
        let times = (0..<3).map { _ in
          [hour &* Tally.hourLength, .max, .min, 0, 5].randomElement(using: &random) ?? 0
        }
        let numbers = (0..<5).map { _ in Self.extremes.randomElement(using: &random) ?? 0 }
        return Counter(
          kind: Int32(number * 7), hour: hour,
          amount: Amount(
            count: numbers[0], records: numbers[1], first: times[0], last: times[1], earliest: times[2],
            bytesOut: numbers[2], bytesIn: numbers[3], lostEvents: numbers[4]))
      }
      var read: [Counter] = []
      let isWhole = CounterCode.bytes(of: counters.shuffled(using: &random)).withUnsafeBytes {
        CounterCode.read($0, hour: hour, kinds: 2000) { read.append($0) }
      }
      #expect(isWhole && read == counters)
    }
  }

  @Test("bytes that are none are refused, and never a kind out of bounds handed over")
  func garbage() {
    var random = Seeded(state: 4)
    for _ in 0..<20_000 {
      var bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      if Bool.random(using: &random), !bytes.isEmpty { bytes[0] = 2 }
      _ = bytes.withUnsafeBytes { bytes in
        CounterCode.read(bytes, hour: 7, kinds: 100) { #expect((0..<100).contains($0.kind)) }
      }
    }
    let counter = Counter(
      kind: 5, hour: 0,
      amount: Amount(count: 1, first: 1, last: 1, earliest: 1, bytesOut: 0, bytesIn: 0, lostEvents: 0))
    let bytes = CounterCode.bytes(of: [counter])
    for end in 0..<bytes.count {
      #expect(!bytes.prefix(end).withUnsafeBytes { CounterCode.read($0, hour: 0, kinds: 6) { _ in } })
    }
    #expect(!(bytes + [0]).withUnsafeBytes { CounterCode.read($0, hour: 0, kinds: 6) { _ in } })
    #expect(!bytes.withUnsafeBytes { CounterCode.read($0, hour: 0, kinds: 5) { _ in } })
  }
}

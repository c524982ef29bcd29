import Addressing
import Audit
import Foundation
import Glibc
import LogFixtures
import Policy
import Synchronization
import Testing

@testable import Review

extension WrittenLog {
  var index: String { path + ".index" }

  /// The log's summary by its index, which is made if it is not there, however small the log is; and of how many
  /// bytes the log was read for it.
  func indexed(
    _ filter: RecordFilter = RecordFilter(), limit: Int = FoldTree.limit
  ) throws -> (answer: LogIndex.Answer, read: Int64) {
    let read = Mutex<Int64>(0)
    let answer = try LogIndex(ofLogAt: path, from: 0, limit: limit).summary(filter) { done, _ in
      read.withLock { $0 = done }
    }
    return (answer, read.withLock { $0 })
  }

  /// Checks that the index answers what the lines say, for every filter.
  func expectAgreement(
    _ filters: [RecordFilter] = IndexTests.filters, _ notice: LogIndex.Notice? = nil,
    limit: Int = FoldTree.limit, at location: SourceLocation = #_sourceLocation
  ) throws {
    for (place, filter) in filters.enumerated() {
      let answer = try indexed(filter, limit: limit).answer, truth = try summary(filter, limit: limit)
      #expect(answer.notice == (place == 0 ? notice : nil), sourceLocation: location)
      #expect(Facts(answer.summary) == Facts(truth), "\(filter)", sourceLocation: location)
    }
  }

  /// Checks that the log is read instead, for that reason.
  func expectRefusal(_ why: String, at location: SourceLocation = #_sourceLocation) throws {
    let answer = try indexed().answer
    guard case .unused(let reason) = answer.notice else {
      Issue.record("\(String(describing: answer.notice))", sourceLocation: location)
      return
    }
    #expect(reason.contains(why), sourceLocation: location)
    #expect(Facts(answer.summary) == Facts(try summary()), sourceLocation: location)
  }

  /// Does what a rotation does.
  func setAside() throws { try FileManager.default.moveItem(atPath: path, toPath: path + ".000001") }

  func removeSetAside() throws { try FileManager.default.removeItem(atPath: path + ".000001") }

  func size(_ name: String = "audit.jsonl") -> Int64 { Int64(scratch.read(name).count) }
}

/// What two summaries of one log have in common, in whatever order they were made.
struct Facts: Equatable, CustomStringConvertible {
  var tallies: Set<Tally>
  var totals: Set<Tally>
  var span: [Timestamp?]
  var unreadable: Int

  init(_ summary: LogSummary) {
    (tallies, totals) = (Set(summary.tallies), Set(summary.totals))
    (span, unreadable) = ([summary.first, summary.last], summary.unreadable)
  }

  var description: String {
    "\(records) records of \(totals.count) kinds, \(tallies.count) tallies, \(span), \(unreadable) unreadable"
  }
}

@Suite("The index beside a log")
struct IndexTests {
  static let hour = Tally.hourLength
  static let start = someTime / Tally.hourLength * Tally.hourLength

  static let filters: [RecordFilter] = {
    let times = [0, 1, hour - 1, hour, hour + 1, hour * 5 / 2, 3 * hour, 1000 * hour].map {
      Timestamp(milliseconds: start + $0)
    }
    let under = (try? Hostname("example.test")).map { HostPattern.subdomains(of: $0) }
    return [RecordFilter()] + times.map { RecordFilter(since: $0) }
      + [
        RecordFilter(since: Timestamp(milliseconds: -1)), RecordFilter(agent: "default"),
        RecordFilter(agent: "x"),
      ]
      + [RecordFilter(destination: under), RecordFilter(reason: "no-rule"), RecordFilter(layer: .dns)]
      + [
        RecordFilter(
          since: times[4], agent: "default", destination: under, reason: "no-rule", layer: .connect)
      ]
  }()

  /// One without a time, one that begins inside of an hour, one of everything.
  static let few = [filters[0], filters[5], filters.last].compactMap(\.self)

  /// Records of every sort over some hours, the clock set back and forth in between.
  static func varied(_ count: Int) throws -> [Record] {
    var records: [Record] = [], random = Seeded(state: 7)
    for number in 0..<count {
      let time = start + Int64.random(in: 0..<(5 * hour), using: &random)
      let host = "h\(number % 37).example.test"
      switch number % 6 {
      case 0: records.append(denied(host, at: time))
      case 1: records.append(closing(host, out: UInt64(number), at: time))
      case 2: records.append(question("q\(number % 11).test", "TXT", at: time))
      case 3: records.append(decision(host, 80, .http, layer: .http, rule: "a/b", method: "GET", at: time))
      case 4: records.append(passed(host, 8443, at: time))
      default: records.append(decision("10.0.0.\(number % 5)", 22, .tcp, layer: .socks, at: time))
      }
    }
    return try records + ReadingTests.everything()
  }

  @Test("answers what the lines say, for every filter, when it is made and when it is asked again")
  func agreement() throws {
    let log = try WrittenLog(rotateAt: 40_000, Self.varied(900))
    try log.append(Array("not a record\n{\"seq\":1".utf8))
    try log.expectAgreement()
    let attributes = try FileManager.default.attributesOfItem(atPath: log.index)
    #expect(attributes[.posixPermissions] as? Int == 0o600)
    let summary = try log.indexed().answer.summary
    #expect(summary.tallies.count > 400 && summary.unreadable == 1)
  }

  @Test("reads what was appended and no more, also across a rotation and after files were removed")
  func increments() throws {
    let log = try WrittenLog(Self.varied(300))
    #expect(try log.indexed().read == log.size())
    #expect(try log.indexed().read == 0)
    for _ in 0..<3 {
      let before = log.size()
      try log.write(Self.varied(50))
      #expect(try log.indexed().read == log.size() - before)
      try log.expectAgreement(Self.few)
    }
    try FileManager.default.moveItem(atPath: log.path, toPath: log.path + ".000001")
    try log.write(Self.varied(40))
    #expect(try log.indexed().read == log.size())
    try log.expectAgreement(Self.few)
    try FileManager.default.removeItem(atPath: log.path + ".000001")
    #expect(try log.indexed().read == 0)
    try log.expectAgreement(Self.few)
  }

  @Test("a line that is not finished is read once it is")
  func torn() throws {
    let log = try WrittenLog(Self.varied(60))
    let line = try #require(log.scratch.lines().last { String(decoding: $0, as: UTF8.self).contains("deny") })
    let whole = Facts(try log.indexed().answer.summary)
    try log.append(Array(line.prefix(100)))
    #expect(Facts(try log.indexed().answer.summary) == whole)
    try log.append(Array(line.dropFirst(100)) + [0x0a])
    try log.expectAgreement(Self.few)
    #expect(try log.indexed().answer.summary.tallies.reduce(0) { $0 + $1.records } == whole.records + 1)
  }

  @Test("lines longer than a block, ended or not, count as in the log")
  func tooLong() throws {
    let log = try WrittenLog(Self.varied(60)),
      long = [UInt8](repeating: 0x78, count: LogExtent.blockSize * 2 + 5)
    for bytes in [long, [0x0a], long + [0x0a] + long, [0x0a, 0x7b, 0x0a], [0x7b]] {
      try log.append(bytes)
      try log.expectAgreement(Array(Self.filters.prefix(2)))
    }
    #expect(try log.indexed().answer.summary.unreadable == 4)
    try FileManager.default.moveItem(atPath: log.path, toPath: log.path + ".000001")
    try log.write([denied("after.test")])
    try log.expectAgreement(Self.few)
    #expect(try log.indexed().answer.summary.unreadable == 5, "the line that was torn off counts now")
  }

  static let changes: [(String, @Sendable (WrittenLog) throws -> Void)] = [
    ("cut off", { log in log.scratch.write(Array(log.scratch.read().dropLast(5000))) }),
    (
      "cut off in place",
      { log in
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: log.path))
        try file.truncate(atOffset: 20_000)
      }
    ),
    (
      "replaced by a longer one",
      { log in
        log.scratch.write(try WrittenLog(varied(500)).scratch.read())
      }
    ),
    (
      "its first record removed, and written on",
      { log in
        let text = log.scratch.read()
        let first = try #require(text.firstIndex(of: 0x0a))
        try rewrite(log, Array(text[(first + 1)...]) + text[...first])
      }
    ),
    (
      "sealed anew from its first record on",
      { log in
        let other = try WrittenLog(varied(200)).scratch.read()
        try rewrite(log, other + other)
      }
    ),
    ("emptied", { log in try rewrite(log, []) }),
    (
      "one record changed in place, as long as before",
      { log in
        let text = String(decoding: log.scratch.read(), as: UTF8.self)
        try rewrite(log, Array(text.replacing("h7.example.test", with: "h7.elpmaxe.test").utf8))
      }
    ),
  ]

  /// Writes other bytes into the same file.
  private static func rewrite(_ log: WrittenLog, _ bytes: [UInt8]) throws {
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: log.path))
    try file.truncate(atOffset: 0)
    file.write(Data(bytes))
    try file.close()
  }

  @Test(
    "AUD-08: a file that was cut, rewritten or replaced is read anew, and a person told", arguments: changes)
  func changed(how: String, change: @Sendable (WrittenLog) throws -> Void) throws {
    let log = try WrittenLog(Self.varied(200))
    try log.expectAgreement(Self.few)
    try change(log)
    // A file in its place that begins otherwise is another one.
    try log.expectAgreement(Self.few, how.hasPrefix("replaced") ? nil : .changed(files: 1))
    #expect(try log.indexed().read == 0, "what was read anew is in the index")
  }

  @Test("AUD-08: a file that was set aside is read anew when anything was written to it since")
  func sealed() throws {
    let log = try WrittenLog(rotateAt: 30_000, Self.varied(400)), name = "audit.jsonl.000002"
    try log.expectAgreement()
    let text = String(decoding: log.scratch.read(name), as: UTF8.self)
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: log.scratch.path + "/" + name))
    // As long as before, its end as before.
    file.write(Data(text.replacing("\"verdict\":\"deny\"", with: "\"verdict\":\"none\"").utf8))
    try file.close()
    try log.expectAgreement(Self.few, .changed(files: 1))
  }

  /// What changes a file's stamp and nothing in it.
  static let looks: [(String, @Sendable (WrittenLog) throws -> Void)] = [
    ("another mode", { log in #expect(chmod(log.path, 0o640) == 0) }),
    (
      "a link that came and went",
      { log in
        let other = log.scratch.path + "/elsewhere"
        #expect(link(log.path, other) == 0 && unlink(other) == 0)
      }
    ),
    ("other times", { log in #expect(utimes(log.path, nil) == 0) }),
    (
      "a copy in its place",
      { log in
        let bytes = log.scratch.read()
        try FileManager.default.removeItem(atPath: log.path)
        log.scratch.write(bytes)
      }
    ),
  ]

  @Test("AUD-08: what changes only how a file looks is no change of the log", arguments: looks)
  func sameContent(how: String, change: @Sendable (WrittenLog) throws -> Void) throws {
    let log = try WrittenLog(rotateAt: 30_000, Self.varied(400))
    try log.expectAgreement(Self.few)
    try change(log)
    try log.expectAgreement(Self.few)
    #expect(chmod(log.scratch.path + "/audit.jsonl.000001", 0o600) == 0)
    try log.expectAgreement(Self.few)
    try log.write(Self.varied(30))
    try log.expectAgreement(Self.few)
  }

  @Test("AUD-08: a new file that got the number of one that is gone is no change of the log")
  func reused() throws {
    let log = try WrittenLog(rotateAt: 30_000, Self.varied(400))
    let extent = try LogExtent.all(ofLogAt: log.path)[1]
    let gone = IndexedFile(
      id: 1, stamp: FileStamp(inode: extent.stamp.inode, size: 5000, modified: 1, changed: 1), end: 5000,
      wasLast: true,
      blocks: [Block(range: 0..<5000, times: 0...1000)],
      head: RecordHash(hex: String(repeating: "0", count: 64).utf8))
    #expect(try IndexPlan([extent], known: [gone]).changed == 0)
    var later = gone
    later.blocks[0].times = 0...Int64.max
    #expect(try IndexPlan([extent], known: [later]).changed == 1, "the control: it began before that ended")
  }

  @Test("a log below the size has no index, and one above gets it")
  func threshold() throws {
    let log = try WrittenLog(Self.varied(60))
    let answer = try LogIndex(ofLogAt: log.path, from: log.size() + 1).summary()
    #expect(Facts(answer.summary) == Facts(try log.summary()) && answer.notice == nil)
    #expect(!FileManager.default.fileExists(atPath: log.index))
    _ = try LogIndex(ofLogAt: log.path, from: log.size()).summary()
    #expect(FileManager.default.fileExists(atPath: log.index))
  }
}

extension Facts {
  var records: UInt64 { tallies.reduce(0) { $0 + $1.records } }
}

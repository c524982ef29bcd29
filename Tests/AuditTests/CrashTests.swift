import Foundation
import LogFixtures
import Policy
import Testing

@testable import Audit

@Suite("A crash loses no more than the line that was being written")
struct CrashTests {
  /// Writes a log without closing it, as a process does that is killed.
  static func unfinished(_ scratch: Scratch, records: Int) throws {
    let log = try AuditLog.open(scratch.options())
    for flow in 1...records { log.append(.decision(decision(flow: UInt64(flow)))) }
    #expect(log.commit())
    log.sync()
  }

  @Test("AUD-07: cut at any byte, the log opens, says so, and verifies; whole lines stay")
  func everyCrashPoint() throws {
    let original = try Scratch()
    try Self.unfinished(original, records: 2)
    let bytes = original.read(), newline = UInt8(ascii: "\n")
    let lineLengths = Set(bytes.indices.filter { bytes[$0] == newline }.map { $0 + 1 })
    let scratch = try Scratch()
    for name in ["audit.jsonl.key", "audit.jsonl.key.pub"] { scratch.write(original.read(name), to: name) }
    for length in stride(from: 1, through: bytes.count, by: 7).map(\.self) + lineLengths {
      scratch.write(Array(bytes[..<length]))
      try? FileManager.default.removeItem(atPath: scratch.path + "/audit.jsonl.head")
      let whole = bytes[..<length].count { $0 == newline }, isTorn = !lineLengths.contains(length)
      try AuditLog.open(scratch.options()).close()
      #expect(try scratch.verify().findings == [], "\(length) bytes")
      let records = try scratch.records()
      #expect(
        records.count == whole + 5 && scratch.read().starts(with: bytes[..<length].prefix(through: newline)))
      let recovered = records[whole]
      #expect(recovered.event == "recovered" && recovered.ownText("detail")?.contains("torn") == isTorn)
    }
  }

  @Test("a stop record that is missing is noted, also when no line is torn")
  func missingStop() throws {
    let original = try Scratch()
    try Self.unfinished(original, records: 3)
    let scratch = try Scratch()
    for name in ["", ".key", ".key.pub", ".head"] {
      scratch.write(original.read("audit.jsonl" + name), to: "audit.jsonl" + name)
    }
    try AuditLog.open(scratch.options()).close()
    let recovered = try #require(try scratch.records().first { $0.event == "recovered" })
    #expect(recovered.ownText("detail") == "the run before left no stop record")
    #expect(try scratch.verify().findings == [])
  }

  @Test("a crash between renaming and the new file's first record goes on behind the segment")
  func crashInRotation() throws {
    let original = try Scratch()
    try Self.unfinished(original, records: 3)
    for hasNewFile in [true, false] {
      let scratch = try Scratch()
      for name in [".key", ".key.pub", ".head"] {
        scratch.write(original.read("audit.jsonl" + name), to: "audit.jsonl" + name)
      }
      scratch.write(original.read(), to: "audit.jsonl.000001")
      if hasNewFile { scratch.write([]) }
      try AuditLog.open(scratch.options()).close()
      #expect(try scratch.verify().findings == [])
      #expect(try scratch.records().map(\.sequence) == (1...10).map(UInt64.init))
    }
  }

  @Test("a file whose last line is not intact is kept as evidence, and named")
  func spoiltEnd() throws {
    let scratch = try Scratch()
    let log = try AuditLog.open(scratch.options())
    for flow in 1...3 { log.append(.decision(decision(flow: UInt64(flow)))) }
    log.close()
    var bytes = scratch.read()
    let digit = bytes.count - 10
    bytes[digit] = bytes[digit] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
    scratch.write(bytes)
    try AuditLog.open(scratch.options()).close()
    #expect(scratch.read("audit.jsonl.000001") == bytes)
    let findings = try scratch.verify().findings
    #expect(findings.first?.file == scratch.log + ".000001" && findings.first?.problem == .wrongHash)
    #expect(try scratch.records().contains { $0.ownText("detail")?.contains("not intact") == true })
  }

  @Test(
    "AUD-07: what a crash spoilt is found however far back it begins: a torn end, lines that are not intact")
  func longSpoiltEnd() throws {
    let scratch = try Scratch()
    try Self.unfinished(scratch, records: 1200)
    let bytes = scratch.read(), newline = UInt8(ascii: "\n"), far = Int(Recovery.glance) + 5000
    try #require(bytes.count > 2 * far)
    let whole = Array(bytes.prefix(through: newline, within: bytes.count - far))
    // Torn: one line without an end, longer than the first look.
    scratch.write(whole + [UInt8](repeating: UInt8(ascii: "x"), count: far))
    try FileManager.default.removeItem(atPath: scratch.path + "/audit.jsonl.head")
    try AuditLog.open(scratch.options()).close()
    #expect(scratch.read().starts(with: whole) && scratch.read().count < whole.count + 20_000)
    #expect(try scratch.verify().findings == [])
    // Not intact: whole lines, none of them a record's.
    let spoilt = whole + Array(repeating: Array("not a record\n".utf8), count: far / 13).joined()
    scratch.write(spoilt)
    try FileManager.default.removeItem(atPath: scratch.path + "/audit.jsonl.head")
    try AuditLog.open(scratch.options()).close()
    let last = try #require(whole.split(separator: newline).last.flatMap { SealedLine($0) })
    let next = try #require(scratch.read().split(separator: newline).first.flatMap { SealedLine($0) })
    #expect(next.sequence == last.sequence + 1 && next.previous == last.stated)
    #expect(scratch.read("audit.jsonl.000001") == spoilt)
  }

  static let childVariable = "EXITGATE_AUDIT_CHILD"

  @Test(
    "AUD-07: kill -9 under load leaves a log that recovers and holds every committed record",
    .timeLimit(.minutes(1)))
  func killed() throws {
    if let path = ProcessInfo.processInfo.environment[Self.childVariable] { try Self.writeForEver(path) }
    for pause in [30_000, 90_000, 250_000] as [UInt32] {
      let scratch = try Scratch()
      let acknowledged = try Self.killChild(writing: scratch.log, after: pause)
      let written = try scratch.records().compactMap {
        $0.event == "decision" ? $0.flow.flatMap(UInt64.init) : nil
      }
      #expect(acknowledged > 0 && written.count >= acknowledged)
      #expect(written == (1...UInt64(written.count)).map(\.self))
      try AuditLog.open(scratch.options()).close()
      #expect(try scratch.verify().findings == [])
      #expect(try scratch.records().contains { $0.event == "recovered" })
    }
  }

  /// The child's part: appends, commits, and then says so with one byte.
  static func writeForEver(_ path: String) throws -> Never {
    let log = try AuditLog.open(AuditOptions(path: path, rotateAt: 100_000))
    var flow: UInt64 = 0
    while true {
      flow += 1
      log.append(.decision(decision(flow: flow)))
      if log.commit() { FileHandle.standardOutput.write(Data([1])) }
    }
  }

  /// Runs this test binary as the writer and kills it.
  ///
  /// - Returns: how many records the writer had acknowledged.
  static func killChild(writing path: String, after pause: UInt32) throws -> Int {
    let child = ownProcess("CrashTests/killed", childVariable, path), acknowledgements = Pipe()
    child.standardOutput = acknowledgements
    try child.run()
    _ = acknowledgements.fileHandleForReading.readData(ofLength: 20)
    usleep(pause)
    kill(child.processIdentifier, SIGKILL)
    let count = acknowledgements.fileHandleForReading.readDataToEndOfFile().count { $0 == 1 }
    child.waitUntilExit()
    return count
  }
}

extension [UInt8] {
  /// Up to and with the last `byte` of the first `length`.
  fileprivate func prefix(through byte: UInt8, within length: Int) -> ArraySlice<UInt8> {
    self[..<length].prefix(through: byte)
  }
}

extension ArraySlice<UInt8> {
  /// Up to and with the last `byte`.
  fileprivate func prefix(through byte: UInt8) -> ArraySlice<UInt8> {
    self[..<(lastIndex(of: byte).map { $0 + 1 } ?? startIndex)]
  }
}

import Addressing
import Foundation
import LogFixtures
import Policy
import Testing

@testable import Audit

@Suite("Hostile bytes stay data")
struct HostileTextTests {
  static let corpus: [[UInt8]] = [
    Array("allowed.test\r\n{\"verdict\":\"allow\"}".utf8), Array("a\"},\"hash\":\"00\"}\n{\"seq\":1".utf8),
    Array("\u{1b}]52;c;ZXZpbA==\u{7}.evil.test".utf8), Array("\u{1b}[1A\u{1b}[2K".utf8), [0x9b, 0x32, 0x4a],
    Array("\u{9b}2J\u{85}\u{90}".utf8), Array("\u{202e}moc.elgoog\u{2066}\u{200b}".utf8),
    Array("\u{2028}\u{2029}\u{feff}".utf8), [0xff, 0xfe, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0xf5], Array(0...255),
    Array("%n%s%25s".utf8), Array("=cmd|'/c'!A1".utf8), Array("\\\"\\u0041\u{7f}\u{8}\u{8}".utf8), [],
    Array("\",\"signature\":\"".utf8),
  ]

  func written(_ record: Record) throws -> (file: [UInt8], records: [LogRecord]) {
    let scratch = try Scratch()
    let log = try AuditLog.open(scratch.options())
    log.append(record)
    log.close()
    #expect(try scratch.verify().findings == [])
    return (scratch.read(), try scratch.records())
  }

  @Test(
    "AUD-01, AUD-02, AUD-03, POL-08: one line, printable ASCII, and the very bytes can be read back",
    arguments: corpus)
  func rawHost(bytes: [UInt8]) throws {
    let (file, records) = try written(.decision(decision(verdict: .deny, reason: .malformed, raw: bytes)))
    #expect(file.allSatisfy { $0 == UInt8(ascii: "\n") || ($0 >= 0x20 && $0 < 0x7f) })
    #expect(records.count == 5)
    let raw = try #require(records[2].ownText("host_raw"))
    #expect(raw.unicodeScalars.map { UInt8(exactly: $0.value) } == bytes.prefix(256).map(Optional.init))
  }

  @Test("AUD-01, AUD-02: text of every other field is escaped as well", arguments: corpus)
  func otherFields(bytes: [UInt8]) throws {
    let text = String(decoding: bytes.prefix(128), as: UTF8.self)
    var record = decision(detail: text)
    (record.client, record.listener, record.method) = (text, text, text)
    let (file, records) = try written(.decision(record))
    #expect(file.allSatisfy { $0 == UInt8(ascii: "\n") || ($0 >= 0x20 && $0 < 0x7f) })
    #expect(records[2].ownText("detail") == text && records[2].ownText("method") == text)
    let control = ControlRecord(
      time: Timestamp(milliseconds: 0), processID: 1, userID: 2, operation: text, subject: text, refusal: text
    )
    #expect(try written(.control(control)).records[2].ownText("subject") == text)
    let policy = PolicyRecord(
      time: Timestamp(milliseconds: 0), outcome: .refused, generation: 1, mode: .audit, sources: [text],
      error: text)
    #expect(try written(.policy(policy)).records[2].ownText("error") == text)
  }

  @Test(
    "AUD-02, AUD-03: what tail prints is printable ASCII, in colour but for the colours", arguments: corpus)
  func tail(bytes: [UInt8]) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    var record = decision(verdict: .deny, reason: .malformed, raw: bytes, detail: text)
    record.client = text
    let line = try #require(try written(.decision(record)).records.dropFirst(2).first)
    #expect(TailFormat(isColoured: false).line(for: line).utf8.allSatisfy(isPrintable))
    let coloured = TailFormat(isColoured: true).line(for: line)
    #expect(coloured.utf8.count { $0 == 0x1b } == 2 && coloured.contains("\u{1b}[31mdeny      \u{1b}[0m"))
    #expect(line.line.text.utf8.allSatisfy(isPrintable))
  }

  @Test("AUD-02: a line that somebody put into the file is made safe as well", arguments: corpus)
  func foreignLine(bytes: [UInt8]) {
    #expect(LogLine(file: "f", number: 1, bytes: bytes).text.utf8.allSatisfy(isPrintable))
  }

  @Test("AUD-04: a field is cut at 256 bytes with its length, and no line is above 4 KiB")
  func oversized() throws {
    let huge = [UInt8](repeating: 0xff, count: 60_000), text = String(repeating: "é", count: 30_000)
    var record = decision(verdict: .deny, reason: .malformed, raw: huge, detail: text)
    (record.client, record.listener, record.method) = (text, text, text)
    let (file, records) = try written(.decision(record))
    #expect(records[2].json["unmapped"]?["truncated"] == .bool(true))
    #expect(records[2].json["unmapped"]?["len"] == .integer(60_000))
    #expect(records[2].ownText("host_raw")?.unicodeScalars.count == 256)
    #expect(records[2].ownText("detail")?.hasSuffix("…[60000 bytes]") == true)
    #expect(file.split(separator: UInt8(ascii: "\n")).allSatisfy { $0.count <= 8192 })
    let plain = try written(.decision(decision(verdict: .deny, reason: .malformed, raw: huge))).file
    #expect(plain.split(separator: UInt8(ascii: "\n")).allSatisfy { $0.count <= 4096 })
  }

  @Test("an ordinary record is small and has the members that OCSF asks for")
  func shape() throws {
    let scratch = try Scratch()
    let log = try AuditLog.open(scratch.options())
    log.append(.decision(decision()))
    log.append(.decision(decision(verdict: .allow, reason: .noRule, wouldDeny: true)))
    log.append(.decision(decision(verdict: .deny, reason: .noRule, layer: .dns)))
    log.append(.close(closing()))
    log.close()
    let records = try scratch.records()
    for record in records {
      for name in ["class_uid", "category_uid", "activity_id", "type_uid", "time", "severity_id"] {
        #expect(record.json[name]?.integer != nil, "\(name) in \(record.line.text)")
      }
      let (category, activity) = (
        record.json["class_uid"]?.integer ?? 0, record.json["activity_id"]?.integer ?? 0
      )
      #expect(record.json["type_uid"] == .integer(category * 100 + activity))
      #expect(record.line.bytes.count < 700)
    }
    #expect(records[2].json["dst_endpoint"]?["hostname"] == .string("api.example.test"))
    #expect(
      records[2].client == "127.0.0.1:50000"
        && records[2].destination?.description == "https://api.example.test:443")
    #expect(records[3].wouldDeny && records[3].json["action_id"] == .integer(3))
    #expect(records[4].json["class_uid"] == .integer(4003) && records[4].json["query"]?["hostname"] != nil)
    #expect(records[5].bytesOut == 10 && records[5].bytesIn == 20 && records[5].duration == 1500)
    #expect(records[5].address == "192.0.2.7")
  }

  @Test("CTL-16: what passes only because of audit mode says so")
  func wouldDeny() throws {
    let record = try written(.decision(decision(verdict: .allow, reason: .noRule, wouldDeny: true))).records[
      2]
    #expect(record.wouldDeny && record.isBlocked)
    #expect(TailFormat(isColoured: false).line(for: record).contains("would-deny"))
  }

  @Test(
    "AUD-10: format strings, formulas and object names stay data",
    arguments: ["%n%s%25s", "=1+1", "__proto__"])
  func consumerTricks(text: String) throws {
    let record = decision(verdict: .deny, reason: .malformed, raw: Array(text.utf8), detail: text)
    let read = try #require(try written(.decision(record)).records.dropFirst(2).first)
    #expect(read.ownText("host_raw") == text && read.ownText("detail") == text)
    #expect(throws: JSONError.self) { try JSONValue(parsing: #"{"__proto__":1,"__proto__":2}"#.utf8) }
  }

  @Test("AUD-02: a program stands in its record as OCSF has it, whatever it calls itself")
  func program() throws {
    var record = decision(verdict: .deny, reason: .refused)
    record.program = ProgramMark(
      command: "/opt/a\u{1b}[2J/x (\u{202e}git)", file: "/opt/a\u{1b}[2J/x", directory: "/w\n", processID: 7)
    let read = try #require(try written(.decision(record)).records.dropFirst(2).first)
    let process = read.json["actor"]?["process"]
    #expect(read.process == "x" && process?["pid"] == .integer(7))
    #expect(process?["cmd_line"] == .string("/opt/a\u{1b}[2J/x (\u{202e}git)"))
    #expect(process?["file"]?["path"] == .string("/opt/a\u{1b}[2J/x"))
    #expect(process?["working_directory"] == .string("/w\n") && read.json["unmapped"]?["program"] == nil)
    #expect(read.line.bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
    record.program = ProgramMark(command: "one of 2", directory: "/w")
    #expect(try written(.decision(record)).records.dropFirst(2).first?.process == nil)
  }

  @Test("AUD-09: a record has these members and no other, so there is no place for a secret")
  func members() throws {
    let own: Set = [
      "event", "agent", "protocol", "layer", "reason", "rule", "verdict", "would_deny", "generation",
      "method",
      "listener", "detail", "host_raw", "truncated", "len",
    ]
    let outer: Set = [
      "seq", "prev", "class_uid", "category_uid", "activity_id", "type_uid", "time", "severity_id",
      "action_id", "actor",
      "disposition_id", "src_endpoint", "dst_endpoint", "connection_info", "duration", "traffic", "unmapped",
      "hash",
    ]
    var full = decision(
      verdict: .deny, reason: .malformed, wouldDeny: true, raw: [UInt8](repeating: 65, count: 300))
    (full.method, full.detail) = ("GET", "a word of ours")
    full.program = ProgramMark(command: "x", file: "/x", directory: "/", processID: 1)
    for record in [Record.decision(full), .close(closing())] {
      let json = try #require(try written(record).records.dropFirst(2).first?.json)
      #expect(Set(json.members?.map(\.name) ?? []).subtracting(outer) == [])
      #expect(Set(json["unmapped"]?.members?.map(\.name) ?? []).subtracting(own) == [])
    }
  }
}

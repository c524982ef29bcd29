import Addressing
import LogFixtures
import Policy
import Testing

@testable import Audit

@Suite("Records about DNS")
struct DNSRecordTests {
  static func question(
    _ host: String, _ type: String, verdict: Action = .deny, reason: Reason = .noRule, code: UInt16? = 3,
    error: UInt16? = 18, wouldDeny: Bool = false, detail: String? = nil
  ) throws -> DecisionRecord {
    var record = decision(
      host, verdict: verdict, reason: reason, layer: .dns, wouldDeny: wouldDeny, detail: detail)
    record.destination = Destination(try Host(host.utf8), .domain, .dns)
    record.method = type
    record.responseCode = code
    record.extendedError = error
    record.rule = nil
    return record
  }

  static func rollUp(
    _ host: String, verdict: Action, reason: Reason, wouldDeny: Bool = false, count: UInt64 = 9
  ) throws -> RollUpRecord {
    RollUpRecord(
      agent: .default, layer: .dns, destination: Destination(try Host(host.utf8), .domain, .dns),
      reason: reason, generation: 7, count: count, first: Timestamp(milliseconds: 1000),
      last: Timestamp(milliseconds: 2000), verdict: verdict, wouldDeny: wouldDeny, method: "A",
      responseCode: verdict == .deny ? 3 : 0, extendedError: verdict == .deny ? 18 : nil)
  }

  static func written(_ records: [Record]) throws -> [LogRecord] {
    let scratch = try Scratch()
    let log = try AuditLog.open(scratch.options())
    for record in records { log.append(record) }
    log.close()
    return Array(try scratch.records().dropFirst(2).dropLast(2))
  }

  @Test("a question has its class, its name, its type, the answer's code and its extended error")
  func shape() throws {
    let records = try Self.written([
      .decision(try Self.question("a.test", "TXT")),
      .rollUp(try Self.rollUp("a.test", verdict: .allow, reason: .allowed)),
    ])
    for record in records {
      #expect(record.json["class_uid"] == .integer(4003) && record.json["type_uid"] == .integer(400_306))
      #expect(record.json["query"]?["hostname"] == .string("a.test"))
      #expect(record.destination?.description == "dns://a.test:53" && record.layer == .dns)
    }
    #expect(records[0].recordType == "TXT" && records[1].recordType == "A")
    #expect(records[0].json["rcode"] == .string("NXDomain") && records[0].json["rcode_id"] == .integer(3))
    #expect(records[0].answer == "NXDOMAIN, EDE 18" && records[1].answer == "NOERROR")
    #expect(records[1].verdict == .allow && records[1].count == 9 && !records[1].isBlocked)
    #expect(records[1].json["action_id"] == .integer(1) && records[1].json["severity_id"] == .integer(1))
  }

  @Test(
    "codes as OCSF and people name them",
    arguments: [
      (0, "NoError", "NOERROR"), (2, "ServError", "SERVFAIL"), (5, "Refused", "REFUSED"),
      (16, "BADVERS", "BADVERS"), (77, "Other", "Other"),
    ] as [(UInt16, String, String)])
  func codes(_ code: UInt16, _ caption: String, _ word: String) throws {
    let records = try Self.written([.decision(try Self.question("a.test", "A", code: code, error: nil))])
    #expect(records[0].json["rcode"] == .string(caption) && records[0].answer == word)
  }

  @Test("without an answer there is none in the record")
  func unanswered() throws {
    let records = try Self.written([.decision(try Self.question("a.test", "A", code: nil, error: nil))])
    #expect(records[0].answer == nil && records[0].json["rcode"] == nil)
  }

  @Test("the log counts no questions by itself: their writer does")
  func uncounted() throws {
    let record = try Self.question("a.test", "A")
    #expect(try Self.written([.decision(record), .decision(record), .decision(record)]).count == 3)
  }

  @Test("a budget that is exceeded is an alert of medium severity, also where the question passes")
  func alert() throws {
    let record = try #require(
      try Self.written([
        .decision(
          try Self.question(
            "x.good.test", "A", verdict: .allow, reason: .dnsBudget, code: 0, error: nil,
            detail: "good.test: 5000 bytes of new labels in a minute, budget 4096"))
      ]).first)
    #expect(record.isAlert && !record.isBlocked && record.json["severity_id"] == .integer(3))
    let line = TailFormat(isColoured: true).line(for: record)
    #expect(line.contains("\u{1b}[33malert     \u{1b}[0m") && line.contains("good.test: 5000 bytes"))
  }

  @Test("tail tells of name, type and answer")
  func tail() throws {
    var malformed = decision(verdict: .deny, reason: .malformed, layer: .dns, raw: Array("a b".utf8))
    malformed.rule = nil
    malformed.method = "A"
    let records = try Self.written([
      .decision(try Self.question("evil.test", "TXT")),
      .rollUp(try Self.rollUp("evil.test", verdict: .deny, reason: .noRule)), .decision(malformed),
    ])
    let lines = records.map { TailFormat(isColoured: false).line(for: $0) }
    #expect(
      lines[0].hasSuffix(
        "deny        default  evil.test TXT  no-rule  dns  NXDOMAIN, EDE 18  from 127.0.0.1:50000"))
    #expect(lines[1].hasSuffix("deny        default  evil.test A  no-rule  dns  NXDOMAIN, EDE 18  9 times"))
    #expect(lines[2].hasSuffix(#"default  "a b" A  malformed-request  dns  from 127.0.0.1:50000"#))
  }
}

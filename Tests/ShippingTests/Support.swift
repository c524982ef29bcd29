import Addressing
import Foundation
import Policy
import Testing

@testable import Audit
@testable import Shipping

/// A log with records of every kind, in a directory that goes away with it.
final class SampleLog {
  let path: String
  var log: String { path + "/audit.jsonl" }

  init(_ records: [Record] = SampleLog.all) throws {
    path = FileManager.default.temporaryDirectory.path + "/shipping-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let log = try AuditLog.open(AuditOptions(path: self.log))
    for record in records { log.append(record) }
    log.close()
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func records() throws -> [ExportRecord] {
    var reader = try LogReader(path: log), found: [ExportRecord] = []
    while let line = try reader.next() { found.append(try #require(ExportRecord(line))) }
    return found
  }

  static let source = ExportSource(host: "gate.example", version: "1.2.3")
  static let now = Timestamp(milliseconds: 1_795_600_000_123)

  /// Bytes that could break a line, a field or a screen.
  static let hostile: [String] = [
    "a\r\nb", "\u{1b}]52;c;ZXZpbA==\u{7}", "\"] [x=\"", "\\\"]\\", "\u{202e}moc", "\u{9b}2J", "é]\"", "x]",
    "%n%s",
  ]

  static var all: [Record] { decisions + closes + operations }

  static func decision(
    _ layer: Layer, _ verdict: Action, to text: String?, _ traffic: TrafficProtocol = .https,
    client: String = "127.0.0.1:50000",
    raw: String? = nil, detail: String? = nil, wouldDeny: Bool = false, code: UInt16? = nil
  ) -> Record {
    let destination = text.flatMap { text in
      (try? Host(text.utf8)).map { Destination($0, .https, traffic) }
    }
    return .decision(
      DecisionRecord(
        time: now, flow: 7, agent: .default, client: client, listener: "127.0.0.1:3128",
        destination: destination,
        rawHost: raw.map { Array($0.utf8) }, layer: layer, verdict: verdict, wouldDeny: wouldDeny,
        reason: verdict == .deny ? .noRule : .allowed, rule: verdict == .allow ? RuleID("list/rule") : nil,
        generation: 3, method: layer == .dns ? "AAAA" : layer == .http ? "GET" : nil,
        address: text == nil ? nil : IPAddress("2001:db8::7"), responseCode: code,
        extendedError: code.map { _ in 18 },
        detail: detail))
  }

  static var decisions: [Record] {
    let verdicts: [Action] = [.allow, .ask, .deny]
    let plain = Layer.allCases.flatMap { layer in
      verdicts.map {
        decision(
          layer, $0, to: "api.example.com", layer == .dns ? .dns : .http, code: layer == .dns ? 3 : nil)
      }
    }
    let odd: [Record] = [
      decision(.connect, .allow, to: "192.0.2.7", .tcp, wouldDeny: true),
      decision(.connect, .deny, to: "[2001:db8::9]", client: "[2001:db8::1]:9"),
      decision(.connect, .deny, to: nil, client: "unix pid 12"), decision(.dns, .deny, to: nil, code: 77),
      decision(.kernel, .deny, to: nil), decision(.kernel, .deny, to: "192.0.2.9", .udp),
    ]
    var held = odd
    for file in ["/usr/bin/python3.11", nil] {
      guard case .decision(var record) = decision(.connect, .deny, to: "asked.example") else { continue }
      record.program = ProgramMark(command: "\u{1b}x", file: file, directory: "/home/agent", processID: 42)
      held.append(.decision(record))
    }
    let rollUps: [Record] = [true, false].map { overflow in
      .rollUp(
        RollUpRecord(
          agent: .default, layer: overflow ? .connect : .dns,
          destination: overflow
            ? nil : (try? Host("evil.example".utf8)).map { Destination($0, .domain, .dns) },
          reason: .noRule, generation: 3, count: 900, first: now, last: now, isOverflow: overflow,
          method: overflow ? nil : "TXT", responseCode: overflow ? nil : 3))
    }
    return plain + held + rollUps
      + hostile.map { decision(.connect, .deny, to: nil, client: $0, raw: $0, detail: $0) }
  }

  static var closes: [Record] {
    let reasons: [CloseReason] = [
      .finished, .idle, .clientReset, .upstreamReset, .shutdown, .cut(.connectRefused), .cut(.noRule),
    ]
    return reasons.map { reason in
      .close(
        CloseRecord(
          time: now, flow: 7, agent: .default, client: "127.0.0.1:50000",
          destination: (try? Host("api.example.com".utf8)).map { Destination($0, .https, .https) },
          rule: RuleID("list/rule"), generation: 3, reason: reason,
          address: IPAddress("192.0.2.7").map { Endpoint($0, .https) }, bytesOut: 10, bytesIn: 20,
          duration: .milliseconds(1500)))
    }
  }

  static var operations: [Record] {
    let events: [LifecycleRecord.Event] = [
      .start, .stop, .recovered, .collapsed, .rotated, .removed, .notice,
    ]
    let outcomes: [PolicyRecord.Outcome] = [.loaded, .refused]
    return outcomes.map { outcome in
      .policy(
        PolicyRecord(
          time: now, outcome: outcome, generation: 4, mode: .enforce, sources: ["a.yaml"], error: "x\ny"))
    }
      + events.map {
        .lifecycle(
          LifecycleRecord(time: now, event: $0, detail: "d", agent: .default, reason: "r", counts: [("n", 1)])
        )
      }
      + [nil, "no"].map { refusal in
        .control(
          ControlRecord(
            time: now, processID: 5, userID: 6, operation: "reload", subject: "s", refusal: refusal))
      }
  }
}

/// A JSON text as Foundation reads it.
func parsed(_ text: String) throws -> [String: Any] {
  try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}

import Foundation
import Testing

@testable import Audit
@testable import Shipping

/// Documents held to the field sets of ECS 8.17 that are used: every field by its full name, with its type and the
/// values it may have. A field that is not listed here is an error; below `exitgate` stands what ECS has no field for.
@Suite struct ECSTests {
  enum Kind: Sendable {
    case keyword, long, date, address
    case one(of: Set<String>)
    case many(of: Set<String>)
  }

  static let categories: Set<String> = ["network", "configuration", "process"]
  /// `expected_event_types` of each category.
  static let types: [String: Set<String>] = [
    "network": ["access", "allowed", "connection", "denied", "end", "info", "protocol", "start"],
    "configuration": ["access", "change", "creation", "deletion", "info"],
    "process": ["access", "change", "end", "info", "start"],
  ]

  static let fields: [String: Kind] = [
    "@timestamp": .date, "message": .keyword, "ecs.version": .one(of: ["8.17.0"]),
    "event.kind": .one(of: ["alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error"]),
    "event.category": .many(of: categories), "event.type": .many(of: Set(types.values.flatMap(\.self))),
    "event.outcome": .one(of: ["success", "failure", "unknown"]), "event.action": .keyword,
    "event.reason": .keyword, "event.severity": .long, "event.module": .keyword, "event.dataset": .keyword,
    "event.sequence": .long, "event.hash": .keyword, "event.duration": .long, "event.start": .date,
    "event.end": .date, "event.original": .keyword, "observer.product": .keyword, "observer.vendor": .keyword,
    "observer.type": .keyword, "observer.version": .keyword, "observer.hostname": .keyword,
    "source.address": .keyword, "source.ip": .address, "source.port": .long, "source.bytes": .long,
    "destination.address": .keyword, "destination.domain": .keyword, "destination.ip": .address,
    "destination.port": .long, "destination.bytes": .long,
    "network.direction": .one(of: [
      "ingress", "egress", "inbound", "outbound", "internal", "external", "unknown",
    ]),
    "network.transport": .one(of: ["tcp", "udp"]), "network.protocol": .one(of: ["tls", "http", "dns"]),
    "network.bytes": .long, "dns.question.name": .keyword, "dns.question.type": .keyword,
    "dns.response_code": .keyword, "http.request.method": .keyword, "rule.id": .keyword, "process.pid": .long,
    "process.name": .keyword, "process.executable": .keyword,
    "process.command_line": .keyword, "process.working_directory": .keyword,
    "user.id": .keyword,
  ]

  static func flat(_ object: [String: Any], below place: String = "") -> [(String, Any)] {
    object.flatMap { name, value in
      guard let inner = value as? [String: Any], place + name != "exitgate" else {
        return [(place + name, value)]
      }
      return flat(inner, below: place + name + ".")
    }
  }

  static func faults(_ document: [String: Any]) -> [String] {
    let all = flat(document), names = Set(all.map(\.0))
    var found = ["@timestamp", "ecs.version", "event.kind", "event.category", "event.type", "exitgate"].filter
    { !names.contains($0) }
    for (name, value) in all where name != "exitgate" {
      guard let kind = fields[name] else {
        found.append("\(name): no such field")
        continue
      }
      if !isRight(value, kind) { found.append("\(name): \(value)") }
    }
    let event = document["event"] as? [String: Any]
    for category in event?["category"] as? [String] ?? [] {
      let allowed = types[category] ?? []
      for type in event?["type"] as? [String] ?? [] where !allowed.contains(type) {
        found.append("\(category)/\(type)")
      }
    }
    return found
  }

  private static func isRight(_ value: Any, _ kind: Kind) -> Bool {
    switch kind {
    case .keyword: return (value as? String)?.isEmpty == false
    case .long: return value is Int && !(value is String)
    case .date: return (value as? String)?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil
    case .address:
      var room = in6_addr()
      let text = value as? String ?? ""
      return inet_pton(AF_INET, text, &room) == 1 || inet_pton(AF_INET6, text, &room) == 1
    case .one(let allowed): return (value as? String).map(allowed.contains) == true
    case .many(let allowed):
      return (value as? [String]).map { !$0.isEmpty && allowed.isSuperset(of: $0) } == true
    }
  }

  @Test("AUD-10: every kind of record is a document of ECS, printable ASCII on one line")
  func documents() throws {
    for record in try SampleLog().records() {
      let line = ExportFormat.ecs.line(for: [record], from: SampleLog.source)
      #expect(line.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
      let document = try parsed(line)
      #expect(Self.faults(document) == [], "\(line)")
      let event = document["event"] as? [String: Any]
      #expect(event?["sequence"] as? Int == Int(record.sequence) && event?["hash"] as? String == record.hash)
      if record.isCheckpoint { #expect(event?["original"] as? String == record.text) }
    }
  }

  @Test("the checker finds what is wrong")
  func control() throws {
    let record = try #require(try SampleLog().records().first { $0.event == "decision" })
    let good = try parsed(ExportFormat.ecs.line(for: [record], from: SampleLog.source))
    #expect(Self.faults(good) == [])
    let bad: [[String: Any]] = [
      ["ecs": ["version": 8]], ["source": ["ip": "x"]], ["verdict": "deny"], ["@timestamp": 1],
      ["event": ["kind": "event", "category": ["network"], "type": ["creation"]]],
    ]
    for change in bad { #expect(!Self.faults(good.merging(change) { $1 }).isEmpty, "\(change)") }
  }
}

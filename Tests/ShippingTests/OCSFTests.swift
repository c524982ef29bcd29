import Foundation
import Testing

@testable import Audit
@testable import Shipping

/// Documents held to the schema: a small strict checker, and the part of OCSF 1.8.0 that is used.
///
/// - Source: OCSF 1.8.0: base_event, the five classes, the profile security_control, and the objects below, each with
///   what it requires, its types and its enums. An attribute that is not listed here is an error.
@Suite struct OCSFTests {
  indirect enum Kind: Sendable {
    case text, integer, port, address, milliseconds, anything
    case one(of: Set<Int>)
    case object(Schema)
    case list(Kind)
  }

  struct Schema: Sendable {
    var required: [String: Kind] = [:]
    var optional: [String: Kind] = [:]
    var atLeastOne: [String] = []
  }

  static let product = Schema(
    required: ["name": .text], optional: ["vendor_name": .text, "version": .text, "uid": .text])
  static let metadata = Schema(
    required: ["product": .object(product), "version": .text],
    optional: ["profiles": .list(.text), "sequence": .integer, "uid": .text, "log_name": .text])
  static let endpoint = Schema(
    optional: ["ip": .address, "port": .port, "hostname": .text, "name": .text],
    atLeastOne: ["ip", "hostname", "name"])
  static let connection = Schema(
    required: ["direction_id": .one(of: [0, 1, 2, 3, 4, 99])],
    optional: ["protocol_name": .text, "uid": .text])
  static let rule = Schema(optional: ["uid": .text, "name": .text], atLeastOne: ["uid", "name"])
  static let file = Schema(
    required: ["name": .text, "type_id": .one(of: Set(0...7).union([99]))], optional: ["path": .text])
  static let process = Schema(
    optional: [
      "pid": .integer, "name": .text, "cmd_line": .text, "working_directory": .text, "file": .object(file),
    ], atLeastOne: ["pid", "name", "cmd_line"])
  static let actor = Schema(
    optional: [
      "process": .object(process),
      "user": .object(Schema(optional: ["uid": .text, "name": .text], atLeastOne: ["uid", "name"])),
    ], atLeastOne: ["process", "user"])
  static let device = Schema(
    required: ["type_id": .one(of: Set(0...15).union([99]))], optional: ["hostname": .text, "name": .text],
    atLeastOne: ["hostname", "name"])

  static func base(_ number: Int, _ activities: Set<Int>) -> Schema {
    Schema(
      required: [
        "class_uid": .one(of: [number]), "category_uid": .one(of: [number / 1000]),
        "activity_id": .one(of: activities.union([0, 99])), "metadata": .object(metadata),
        "severity_id": .one(of: [0, 1, 2, 3, 4, 5, 6, 99]), "time": .milliseconds, "type_uid": .integer,
      ],
      optional: [
        "activity_name": .text, "message": .text, "raw_data": .text, "unmapped": .anything, "count": .integer,
        "duration": .integer, "start_time": .milliseconds, "end_time": .milliseconds,
        "status_id": .one(of: [0, 1, 2, 99]),
        // The profile security_control.
        "action_id": .one(of: [0, 1, 2, 3, 4, 99]), "disposition_id": .one(of: Set(0...27).union([99])),
        "firewall_rule": .object(rule),
      ])
  }

  static let network: [String: Kind] = [
    "src_endpoint": .object(endpoint), "dst_endpoint": .object(endpoint), "actor": .object(actor),
    "connection_info": .object(connection),
    "traffic": .object(Schema(optional: ["bytes_in": .integer, "bytes_out": .integer])),
  ]

  static func schema(of number: Int) throws -> Schema {
    var schema: Schema
    switch number {
    case 4001:
      schema = base(4001, Set(1...7))
      schema.optional.merge(network) { $1 }
      schema.atLeastOne = ["src_endpoint", "dst_endpoint"]
    case 4003:
      schema = base(4003, [1, 2, 6])
      schema.optional.merge(network) { $1 }
      schema.atLeastOne = ["src_endpoint", "dst_endpoint"]
      schema.optional["query"] = .object(
        Schema(required: ["hostname": .text], optional: ["type": .text, "class": .text]))
      schema.optional["rcode_id"] = .one(of: Set(0...11).union(16...25).union([99]))
      schema.optional["rcode"] = .text
    case 5019:
      schema = base(5019, [1])
      schema.required["device"] = .object(device)
    case 6002:
      schema = base(6002, Set(1...8))
      schema.required["app"] = .object(product)
    case 6003:
      schema = base(6003, Set(1...4))
      schema.required["actor"] = .object(actor)
      schema.required["api"] = .object(Schema(required: ["operation": .text]))
      schema.required["src_endpoint"] = .object(endpoint)
    default: throw CancellationError()
    }
    return schema
  }

  static func faults(_ value: Any?, _ kind: Kind, at place: String) -> [String] {
    let isText = value is String, number = value as? Int
    switch kind {
    case .anything: return value is [String: Any] ? [] : ["\(place): no object"]
    case .text: return isText && (value as? String)?.isEmpty == false ? [] : ["\(place): no text"]
    case .integer: return number == nil ? ["\(place): no integer"] : []
    case .milliseconds:
      return number.map { $0 > 1_700_000_000_000 && $0 < 2_500_000_000_000 } == true
        ? [] : ["\(place): no time"]
    case .port: return number.map { (0...65535).contains($0) } == true ? [] : ["\(place): no port"]
    case .address:
      var room = in6_addr()
      let text = value as? String ?? ""
      return inet_pton(AF_INET, text, &room) == 1 || inet_pton(AF_INET6, text, &room) == 1
        ? [] : ["\(place): no address"]
    case .one(let allowed):
      return number.map(allowed.contains) == true ? [] : ["\(place): \(number ?? -1) is not in the enum"]
    case .list(let kind):
      guard let list = value as? [Any] else { return ["\(place): no list"] }
      return list.flatMap { faults($0, kind, at: place + "[]") }
    case .object(let schema):
      guard let object = value as? [String: Any] else { return ["\(place): no object"] }
      return faults(object, schema, at: place)
    }
  }

  static func faults(_ object: [String: Any], _ schema: Schema, at place: String) -> [String] {
    var found = schema.required.keys.filter { object[$0] == nil }.map { "\(place).\($0): is required" }
    if !schema.atLeastOne.isEmpty, !schema.atLeastOne.contains(where: { object[$0] != nil }) {
      found.append("\(place): one of \(schema.atLeastOne) is required")
    }
    for (name, value) in object {
      guard let kind = schema.required[name] ?? schema.optional[name] else {
        found.append("\(place).\(name): no such attribute")
        continue
      }
      found += faults(value, kind, at: "\(place).\(name)")
    }
    return found
  }

  static func faults(_ document: [String: Any]) throws -> [String] {
    let number = try #require(document["class_uid"] as? Int), activity = document["activity_id"] as? Int ?? -1
    var found = faults(document, try schema(of: number), at: "")
    if document["type_uid"] as? Int != number * 100 + activity { found.append("type_uid does not fit") }
    let profiles = (document["metadata"] as? [String: Any])?["profiles"] as? [String] ?? []
    if (document["action_id"] != nil) != profiles.contains("security_control") {
      found.append("the profile is not named")
    }
    return found
  }

  @Test("AUD-10: every kind of record is a document of OCSF 1.8.0, printable ASCII on one line")
  func documents() throws {
    let records = try SampleLog().records()
    var classes: Set<Int> = []
    for record in records {
      let line = ExportFormat.ocsf.line(for: [record], from: SampleLog.source)
      #expect(line.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
      let document = try parsed(line)
      #expect(try Self.faults(document) == [], "\(line)")
      classes.insert(document["class_uid"] as? Int ?? 0)
      let metadata = document["metadata"] as? [String: Any]
      #expect(
        metadata?["sequence"] as? Int == Int(record.sequence) && metadata?["uid"] as? String == record.hash)
    }
    #expect(classes == [4001, 4003, 5019, 6002, 6003] && records.count > 50)
  }

  @Test("the checker finds what is wrong")
  func control() throws {
    let record = try #require(try SampleLog().records().first { $0.event == "decision" })
    let good = try parsed(ExportFormat.ocsf.line(for: [record], from: SampleLog.source))
    #expect(try Self.faults(good) == [])
    for (name, value) in [("severity_id", 9), ("verdict", "deny"), ("time", "now"), ("connection_info", [:])]
      as [(String, Any)]
    {
      #expect(try !Self.faults(good.merging([name: value]) { $1 }).isEmpty, "\(name)")
    }
    for name in ["metadata", "activity_id"] {
      var bad = good
      bad[name] = nil
      #expect(try !Self.faults(bad).isEmpty, "\(name)")
    }
  }

  @Test("a checkpoint's document holds its line, and nothing the log says is lost")
  func checkpoint() throws {
    let record = try #require(try SampleLog().records().last { $0.isCheckpoint })
    let document = try parsed(ExportFormat.ocsf.line(for: [record], from: SampleLog.source))
    #expect(document["raw_data"] as? String == record.text)
    let own = document["unmapped"] as? [String: Any]
    #expect(own?["prev"] as? String != nil && own?["signature"] as? String != nil)
  }
}

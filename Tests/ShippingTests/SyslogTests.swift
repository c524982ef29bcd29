import Foundation
import Policy
import Testing

@testable import Audit
@testable import Shipping

/// Messages held to the grammar of RFC 5424 §6 by a parser that takes nothing else.
@Suite struct SyslogTests {
  struct Message {
    var priority: Int
    var header: [String]
    var elements: [(id: String, parameters: [(String, String)])] = []
    var text: String
  }

  static func parse(_ line: String) throws -> Message {
    let match = try #require(
      line.wholeMatch(
        of:
          /<([1-9]\d{0,2})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) (\[.*)/
      ),
      "\(line)")
    var message = Message(
      priority: try #require(Int(match.1)),
      header: [match.2, match.3, match.4, match.5, match.6].map(String.init), text: "")
    var rest = Array(match.7.utf8)[...]
    while rest.first == UInt8(ascii: "[") { message.elements.append(try element(&rest)) }
    #expect(rest.popFirst() == UInt8(ascii: " "))
    message.text = String(decoding: rest, as: UTF8.self)
    return message
  }

  /// `[SD-ID *(SP SD-PARAM)]`; in a value `"`, `\` and `]` are escaped.
  private static func element(_ rest: inout ArraySlice<UInt8>) throws -> (String, [(String, String)]) {
    rest.removeFirst()
    let name = rest.prefix { ![32, UInt8(ascii: "]")].contains($0) }
    #expect(
      (1...32).contains(name.count) && name.allSatisfy { $0 > 32 && $0 < 127 && !"=\"]".utf8.contains($0) })
    rest = rest.dropFirst(name.count)
    var parameters: [(String, String)] = []
    while rest.popFirst() == 32 {
      let key = rest.prefix { $0 != UInt8(ascii: "=") }
      #expect(
        (1...32).contains(key.count) && key.allSatisfy { $0 > 32 && $0 < 127 && !"\"]".utf8.contains($0) })
      rest = rest.dropFirst(key.count)
      #expect(rest.popFirst() == UInt8(ascii: "=") && rest.popFirst() == UInt8(ascii: "\""))
      var value: [UInt8] = []
      while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
        try #require(byte != UInt8(ascii: "]"), "a bracket that is not escaped")
        let escaped = byte == UInt8(ascii: "\\") ? rest.popFirst() : byte
        value.append(try #require(escaped))
      }
      parameters.append((String(decoding: key, as: UTF8.self), String(decoding: value, as: UTF8.self)))
    }
    return (String(decoding: name, as: UTF8.self), parameters)
  }

  @Test("AUD-01: every kind of record is one message of RFC 5424, its text the line of the log byte for byte")
  func messages() throws {
    for record in try SampleLog().records() {
      let line = ExportFormat.syslog.line(for: [record], from: SampleLog.source)
      #expect(line.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
      let message = try Self.parse(line)
      #expect(message.priority / 8 == 13 && (3...6).contains(message.priority % 8))
      #expect(message.header == ["\(record.time)", "gate.example", "exitgate", "-", record.event])
      #expect(message.elements.map(\.id) == ["exitgate@32473", "meta"] && message.text == record.text)
      let values = Dictionary(uniqueKeysWithValues: try #require(message.elements.first).parameters)
      #expect(
        values["seq"] == "\(record.sequence)" && values["hash"] == record.hash
          && values["reason"] == record.record.reason)
      #expect(message.elements.last?.parameters.first?.1 == "\(record.sequence)")
    }
  }

  @Test(
    "AUD-01, AUD-02: whatever a log's fields hold is data in the message, and can be read back",
    arguments: SampleLog.hostile)
  func hostile(text: String) throws {
    // A log that others wrote: the gate itself puts no such thing into these fields.
    var json = JSONWriter()
    json.beginObject()
    json.field("hash", text)
    json.key("seq")
    json.integer(3)
    json.key("time")
    json.integer(SampleLog.now.milliseconds)
    json.object("unmapped") { json in
      for name in ["agent", "reason", "rule", "event", "protocol"] as [StaticString] {
        json.field(name, text)
      }
    }
    json.endObject()
    let record = try #require(ExportRecord(LogLine(file: "", number: 1, bytes: json.bytes)))
    let message = try Self.parse(
      ExportFormat.syslog.line(for: [record], from: ExportSource(host: text, version: "1")))
    let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
    for (name, value) in try #require(message.elements.first).parameters
    where ["agent", "reason", "rule"].contains(name) {
      let read =
        isPlain
        ? value
        : try #require(JSONSerialization.jsonObject(with: Data("[\"\(value)\"]".utf8)) as? [String]).first
      #expect(read == text)
    }
    for format in ExportFormat.allCases {
      #expect(format.line(for: [record], from: SampleLog.source).utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
    }
  }

  @Test("the signed head is a message too, and octets are counted")
  func head() throws {
    let log = try SampleLog()
    let head = try #require(SignedHead(ofLogAt: log.log))
    let message = try Self.parse(SyslogMessage(head, from: SampleLog.source).text)
    #expect(message.text == head.text && message.header.last == "head")
    let frame = String(decoding: SyslogCourier.frame("<110>1 x"), as: UTF8.self)
    #expect(frame == "8 <110>1 x")
  }
}

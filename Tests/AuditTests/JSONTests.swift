import Foundation
import LogFixtures
import Testing

@testable import Audit

@Suite("JSON: one way to read, one way to write")
struct JSONTests {
  static let refused: [(String, JSONError.Problem, String)] = [
    ("", .truncated, "nothing"), ("{", .truncated, "open object"), ("[1,", .truncated, "open array"),
    (#"{"a":1,"a":2}"#, .duplicateName, "two readers could see two values"),
    (#"{"a":1,"\u0061":2}"#, .duplicateName, "the same name in another spelling"),
    ("01", .badNumber, "leading zero"), ("-", .badNumber, "no digits"), ("1.", .badNumber, "no fraction"),
    ("1e", .badNumber, "no exponent"), ("1e999", .badNumber, "beyond a double"),
    ("+1", .unexpectedByte, "plus"),
    ("NaN", .unexpectedByte, "not JSON"), ("1 2", .unexpectedByte, "two values"),
    ("[1,]", .unexpectedByte, "comma"),
    (#"{"a":1,}"#, .unexpectedByte, "comma"), (#""\ud800""#, .badString, "half a pair"),
    (#""\udc00""#, .badString, "the wrong half"),
    (#""\ud800\u0041""#, .badString, "half a pair, then a letter"),
    (#""\x41""#, .badString, "not an escape"), ("\"\n\"", .badString, "raw control byte"),
    ("'a'", .unexpectedByte, "single quotes"), ("{a:1}", .unexpectedByte, "bare name"),
    ("tru", .truncated, "cut word"), ("nulL", .unexpectedByte, "case"), ("/**/1", .unexpectedByte, "comment"),
    (String(repeating: "[", count: 33), .tooDeep, "33 deep"),
    (String(repeating: "[", count: 60_000), .tooDeep, "so deep that recursion would end the process"),
    (String(repeating: #"{"a":"#, count: 33), .tooDeep, "33 objects"),
  ]

  @Test("refuses what two readers could take differently", arguments: refused)
  func refuses(text: String, problem: JSONError.Problem, because: String) {
    let error = #expect(throws: JSONError.self) { try JSONValue(parsing: text.utf8) }
    #expect(error?.problem == problem, "\(because)")
  }

  @Test(
    "invalid UTF-8 is refused",
    arguments: [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x80]] as [[UInt8]])
  func invalidUTF8(bytes: [UInt8]) {
    #expect(throws: JSONError(problem: .badString, offset: bytes.count + 2)) {
      try JSONValue(parsing: [0x22] + bytes + [0x22])
    }
  }

  static let taken: [(String, JSONValue)] = [
    (" 1 ", .integer(1)), ("-0", .integer(0)), ("1e2", .number(100)), ("9223372036854775807", .integer(.max)),
    ("9223372036854775808", .number(9_223_372_036_854_775_808)), (#""\ud83d\ude00\n""#, .string("😀\n")),
    ("[]", .array([])), ("{}", .object([])), (#"{"":null}"#, .object([.init("", .null)])),
    (#"{"a":[true,false]}"#, .object([.init("a", .array([.bool(true), .bool(false)]))])),
  ]

  @Test("reads what RFC 8259 allows", arguments: taken)
  func reads(text: String, value: JSONValue) throws {
    #expect(try JSONValue(parsing: text.utf8) == value)
  }

  @Test("32 deep is fine, and a limit is a limit")
  func limits() throws {
    let deep = String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
    #expect(throws: Never.self) { try JSONValue(parsing: deep.utf8) }
    #expect(throws: JSONError(problem: .tooLarge, offset: 63)) {
      try JSONValue(parsing: deep.utf8, limit: 63)
    }
  }

  @Test("what is written reads back the same, in printable ASCII", arguments: 0..<40)
  func roundTrip(seed: UInt64) throws {
    var generator = Seeded(state: seed)
    for _ in 0..<50 {
      let value = Self.value(depth: 0, &generator)
      var json = JSONWriter()
      json.value(value)
      #expect(json.bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
      #expect(try JSONValue(parsing: json.bytes, limit: 1 << 20) == value)
      #expect(throws: Never.self) {
        try JSONSerialization.jsonObject(with: Data(json.bytes), options: .fragmentsAllowed)
      }
    }
  }

  @Test("no bytes make it trap, and what it takes Foundation takes", arguments: 0..<20)
  func mutations(seed: UInt64) throws {
    var generator = Seeded(state: seed)
    let alphabet = Array(#"{}[]",:\u0eE+-.19dDabtrufalsn "#.utf8) + [0x00, 0x1f, 0x7f, 0x80, 0xc2, 0xff]
    for _ in 0..<300 {
      var json = JSONWriter()
      json.value(Self.value(depth: 0, &generator))
      var bytes = json.bytes
      for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] =
          alphabet.randomElement(using: &generator) ?? 0
      }
      guard (try? JSONValue(parsing: bytes)) != nil else { continue }
      #expect(throws: Never.self) {
        try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
      }
    }
  }

  static func value(depth: Int, _ generator: inout Seeded) -> JSONValue {
    switch Int.random(in: 0..<(depth < 4 ? 8 : 5), using: &generator) {
    case 0: return .null
    case 1: return .bool(.random(using: &generator))
    case 2: return .integer(.random(in: .min...(.max), using: &generator))
    case 3: return .number(Double.random(in: -1e9...1e9, using: &generator) + 0.5e-3)
    case 4, 5: return .string(text(&generator))
    case 6:
      return .array(
        (0..<Int.random(in: 0..<4, using: &generator)).map { _ in value(depth: depth + 1, &generator) })
    default:
      return .object(
        (0..<Int.random(in: 0..<4, using: &generator)).map {
          .init("\($0)" + text(&generator), value(depth: depth + 1, &generator))
        })
    }
  }

  static func text(_ generator: inout Seeded) -> String {
    let scalars = (0..<Int.random(in: 0..<6, using: &generator)).compactMap { _ in
      Unicode.Scalar(
        UInt32.random(in: 0..<(Bool.random(using: &generator) ? 0x100 : 0x11_0000), using: &generator))
    }
    return String(String.UnicodeScalarView(scalars))
  }

  @Test(
    "a client's address and port are taken apart, and anything else is a name",
    arguments: [
      ("10.0.0.1:80", #""ip":"10.0.0.1","port":80"#),
      ("[2001:db8::5]:443", #""ip":"2001:db8::5","port":443"#),
      ("[::1]:65535", #""ip":"::1","port":65535"#), ("2001:db8::5", #""name":"2001:db8::5""#),
      ("[::1]:80x", #""name":"[::1]:80x""#), ("[::1]x:80", #""name":"[::1]x:80""#),
      ("10.0.0.1:080", #""name":"10.0.0.1:080""#), ("10.0.0.1:65536", #""name":"10.0.0.1:65536""#),
      ("10.0.0.1:0", #""name":"10.0.0.1:0""#), ("unix", #""name":"unix""#), ("", #""name":"""#),
      ("1\":80", #""name":"1\":80""#),
    ])
  func client(_ text: String, is members: String) {
    var json = JSONWriter()
    json.client(text)
    #expect(String(decoding: json.bytes, as: UTF8.self) == #""src_endpoint":{"# + members + "}")
  }

  @Test(
    "a duration is its whole milliseconds, none below zero and none beyond what fits",
    arguments: [
      (Duration.zero, 0), (.milliseconds(-5), 0), (.nanoseconds(999_999), 0), (.microseconds(1_000), 1),
      (.milliseconds(61_234), 61_234), (.seconds(Int64.max), .max),
    ] as [(Duration, UInt64)])
  func milliseconds(_ duration: Duration, is number: UInt64) {
    #expect(duration.wholeMilliseconds == number)
  }
}

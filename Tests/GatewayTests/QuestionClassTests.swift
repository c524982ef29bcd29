import Policy
import Testing
import Wire

@testable import Gateway

@Suite("Classes of questions")
struct QuestionClassTests {
  static func of(_ number: UInt16) -> QuestionClass { QuestionClass(DNSRecordType(rawValue: number)) }

  static let known: [(name: String, class: QuestionClass)] = [
    ("A", .resolve), ("AAAA", .resolve), ("CNAME", .resolve), ("HTTPS", .noData), ("SVCB", .noData),
    ("ANY", .any), ("AXFR", .refused), ("IXFR", .refused), ("NULL", .refused), ("MAILA", .refused),
    ("MAILB", .refused), ("TKEY", .refused), ("TSIG", .refused), ("OPT", .refused), ("TYPE0", .refused),
    ("TYPE128", .refused), ("TYPE127", .byRule("TYPE127")), ("TYPE65279", .byRule("TYPE65279")),
    ("TYPE65280", .refused), ("TYPE65535", .refused), ("TXT", .byRule("TXT")), ("PTR", .byRule("PTR")),
    ("URI", .byRule("URI")), ("DLV", .byRule("DLV")), ("TYPE1234", .byRule("TYPE1234")),
  ]

  @Test("types by name", arguments: known)
  func byName(_ name: String, _ expected: QuestionClass) throws {
    #expect(Self.of(try #require(RecordTypes.number(of: name))) == expected)
  }

  @Test("all 65,536: four kinds are few, the rest is left to the rules under its own name")
  func all() {
    var resolved = 0, empty = 0, any = 0, refused = 0
    for number in UInt16.min...UInt16.max {
      switch Self.of(number) {
      case .resolve: resolved += 1
      case .noData: empty += 1
      case .any: any += 1
      case .refused: refused += 1
      case .byRule(let name): #expect(RecordTypes.number(of: name) == number)
      }
    }
    #expect(resolved == 3 && empty == 2 && any == 1 && refused == 5 + 127 + 256)
  }

  @Test("what a rule can open is left to the rules", arguments: RecordTypes.open)
  func open(_ name: String) throws {
    #expect(Self.of(try #require(RecordTypes.number(of: name))) == .byRule(name))
  }
}

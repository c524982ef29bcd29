import Policy
import Testing

@Suite("Types of DNS records")
struct RecordTypesTests {
  @Test("every number has a name, and the name leads back")
  func roundTrip() {
    for number in UInt16.min...UInt16.max {
      #expect(RecordTypes.number(of: RecordTypes.name(of: number)) == number)
    }
  }

  @Test(
    "names and numbers as IANA has them",
    arguments: [
      ("A", 1), ("CNAME", 5), ("TXT", 16), ("AAAA", 28), ("SVCB", 64), ("HTTPS", 65), ("ANY", 255),
      ("CAA", 257),
      ("TYPE65280", 65280), ("TYPE0", 0), ("TYPE16", 16), ("TYPE65535", 65535),
    ] as [(String, UInt16)])
  func numbers(_ name: String, _ number: UInt16) {
    #expect(RecordTypes.number(of: name) == number)
  }

  @Test(
    "anything else is no type",
    arguments: [
      "", "txt", "TYPE", "TYPE65536", "TYPE999999", "TYPE-1", "TYPE+1", "TYPE1 ", "16", "TYPE\u{661}",
    ])
  func noType(_ name: String) {
    #expect(RecordTypes.number(of: name) == nil)
  }

  @Test("what a rule can open is a type with a name, and never an address")
  func open() {
    #expect(RecordTypes.open.allSatisfy { RecordTypes.number(of: $0).map(RecordTypes.name) == $0 })
    #expect(
      Set(RecordTypes.open).isDisjoint(
        with: RecordTypes.addresses + ["HTTPS", "SVCB", "ANY", "AXFR", "NULL"]))
  }
}

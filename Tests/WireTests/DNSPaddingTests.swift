import Addressing
import Testing

@testable import Wire

@Suite("Padded queries")
struct DNSPaddingTests {
  @Test("RFC 8467: every query is a multiple of 128 bytes long, and says what it said before")
  func blocks() throws {
    for length in 1...240 {
      let label = String(repeating: "a", count: min(length, 63))
      let rest = stride(from: 63, to: length, by: 63).map {
        String(repeating: "b", count: min(63, length - $0))
      }
      let name = DNSName(try Hostname(([label] + rest).joined(separator: ".")))
      let query = DNSQuery(id: 9, question: DNSQuestion(name, .a))
      #expect(query.padded.count % 128 == 0, "\(length)")
      #expect(query.padded.count < query.encoded.count + 4 + 128)
      #expect(try DNSQuery.parse(query.padded) == query)
    }
  }

  @Test("two names whose queries fit into one block are of one length on the wire")
  func hidden() throws {
    let lengths = try ["a.test", "a-longer-name.example.test"].map {
      DNSQuery(id: 1, question: DNSQuestion(DNSName(try Hostname($0)), .aaaa)).padded.count
    }
    #expect(lengths == [128, 128])
  }

  @Test("the option is number 12, all zeros, and nothing is behind it")
  func option() throws {
    let query = DNSQuery(id: 1, question: DNSQuestion(DNSName(try Hostname("a.test")), .a))
    let option = Array(query.padded[(query.encoded.count - 2)...])
    #expect(option.count == 2 + Int(option[1]))
    #expect(Array(option[2...5]) == [0, 12, 0, UInt8(option.count - 6)])
    #expect(option[6...].allSatisfy { $0 == 0 })
  }

  @Test("a query without EDNS is sent as it is")
  func plain() throws {
    var query = DNSQuery(id: 1, question: DNSQuestion(DNSName(try Hostname("a.test")), .a))
    query.edns = nil
    #expect(query.padded == query.encoded)
  }
}

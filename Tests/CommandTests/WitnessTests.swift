import Addressing
import Approvals
import Testing

@testable import exitgate

@Suite("What the gate and the process that sees programs tell each other")
struct WitnessTests {
  @Test(
    "a question comes out as it went in",
    arguments: [("127.0.0.1:40000", "127.0.0.1:3128"), ("[::1]:9", "[::1]:3128")])
  func questions(_ client: String, _ gate: String) throws {
    let (own, peer) = (try #require(Endpoint(client)), try #require(Endpoint(gate)))
    let read = try #require(WitnessMessage.question(Array(WitnessMessage.question(7, own, peer).utf8)))
    #expect(read.number == 7 && read.client == own && read.gate == peer)
  }

  @Test(
    "what a program calls itself moves no border",
    arguments: ["sh -c true", "", "a\nb\u{1b}[2J", "0\n1", String(repeating: "x", count: 256)])
  func answers(_ name: String) throws {
    for file in ["/usr/bin/x \n", nil] {
      let program = Program(command: name, file: file, workingDirectory: "/somewhere \n", processID: 42)
      let read = try #require(WitnessMessage.answer(WitnessMessage.answer(3, program)))
      #expect(read.number == 3 && read.program == program)
    }
    let none = try #require(WitnessMessage.answer(WitnessMessage.answer(4, nil)))
    #expect(none.number == 4 && none.program == nil)
  }

  @Test(
    "what is neither ends the asking",
    arguments: [
      "", "x", "1\n2", "1\n127.0.0.1:1\nlocalhost:3", "-1\n127.0.0.1:1\n127.0.0.1:2",
      "1\n127.0.0.1:0\n127.0.0.1:2",
    ])
  func garbage(_ text: String) {
    #expect(WitnessMessage.question(Array(text.utf8)) == nil)
    #expect(WitnessMessage.answer(Array("x\0\(text)".utf8)) == nil)
  }
}

import Foundation
import LogFixtures
import Policy
import Testing

@testable import Audit

@Suite("The order to stop outlives the gate")
struct StopFileTests {
  let scratch: Scratch, file: StopFile

  init() throws {
    scratch = try Scratch()
    file = StopFile(ofLog: scratch.path + "/audit.jsonl")
  }

  @Test(
    "what is written is read, and an order that is taken back leaves no file",
    arguments: [StopOrder(everybody: true), StopOrder(agents: [.default])])
  func roundTrip(_ order: StopOrder) throws {
    #expect(file.read() == StopOrder())
    try file.write(order)
    #expect(file.read() == order)
    try file.write(StopOrder())
    try file.write(StopOrder())
    #expect(file.read() == StopOrder() && !FileManager.default.fileExists(atPath: file.path))
  }

  @Test(
    "a file that makes no sense stops everybody",
    arguments: ["", "*\n", "ci\n../x\n", "CI\n", "ci\u{0}\n", String(repeating: "ci\n", count: 40_000)])
  func nonsense(_ text: String) {
    scratch.write(Array(text.utf8), to: "audit.jsonl.stop")
    #expect(file.read() == StopOrder(everybody: true))
  }

  @Test("so does one that cannot be read as the gate's own: a link, a directory")
  func strange() throws {
    scratch.write(Array("ci\n".utf8), to: "elsewhere")
    try FileManager.default.createSymbolicLink(
      atPath: file.path, withDestinationPath: scratch.path + "/elsewhere")
    #expect(file.read() == StopOrder(everybody: true))
    try FileManager.default.removeItem(atPath: file.path)
    try FileManager.default.createDirectory(atPath: file.path, withIntermediateDirectories: false)
    #expect(file.read() == StopOrder(everybody: true))
  }

  @Test("more names than fit stop everybody")
  func crowd() throws {
    let agents = Set((0..<5000).compactMap { AgentName("an-agent-with-a-long-name-\($0)") })
    #expect(agents.count == 5000)
    try file.write(StopOrder(agents: agents))
    #expect(file.read() == StopOrder(everybody: true))
  }
}

import Foundation
import Policy
import Testing

@testable import PolicyFile

/// DOS-07: no text makes the reader trap, hang, or fill the memory.
@Suite struct RobustnessTests {
  private static let texts = (FixtureTests.good.map { "good/" + $0 } + FixtureTests.bad.map { "bad/" + $0 })
    .compactMap {
      try? Data(contentsOf: Repository.root.appending(path: "\(FixtureTests.directory)/\($0).yaml"))
    }

  private func load(_ bytes: [UInt8]) {
    let run = LoadRun(loader(.sidecar))
    run.readMain(bytes: bytes, named: "p")
    _ = try? run.finish()
  }

  @Test("DOS-07: policies with bytes changed, doubled and cut are read or refused")
  func mutations() {
    var random = SystemRandomNumberGenerator()
    let interesting = Array("[]{}:,-*&!|>'\"%@`#?\n\t\\ 0a~".utf8) + [0, 0x80, 0xff, 0xc3, 0xef]
    for _ in 0..<1500 {
      var bytes = Array(Self.texts.randomElement(using: &random) ?? Data())
      for _ in 0..<Int.random(in: 1...6, using: &random) where !bytes.isEmpty {
        let index = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0...3, using: &random) {
        case 0: bytes[index] = interesting.randomElement(using: &random) ?? 0
        case 1: bytes.insert(interesting.randomElement(using: &random) ?? 0, at: index)
        case 2: bytes.remove(at: index)
        default: bytes += bytes[index...].prefix(40)
        }
      }
      load(bytes)
    }
  }

  @Test(
    "DOS-07, CTL-15: nesting ten thousand deep is refused at once",
    arguments: ["[", "{a: ", "- ", "? ", "[{", "&a [", "!t {a: "])
  func nesting(_ opening: String) {
    let start = ContinuousClock.now
    #expect(!errors("version: 1\nrules: " + String(repeating: opening, count: 10_000)).isEmpty)
    #expect(!errors("version: 1\nrules:\n" + String(repeating: opening, count: 10_000)).isEmpty)
    #expect(ContinuousClock.now - start < .seconds(5))
  }

  @Test(
    "DOS-07, CTL-15: a whole MiB of anything is read or refused in bounded time",
    arguments: [
      "a", "[],", "a: ", "- a\n", "&a a\n", "\"\\", "# \n", "{a: b},", "? \n", "- - ", ": ", "a:\n ", "'",
      "|\n ",
    ])
  func large(_ piece: String) {
    let room = (1 << 20) - 100
    let body = String(repeating: piece, count: room / piece.utf8.count)
    let start = ContinuousClock.now
    for head in ["version: 1\nrules: [", "version: 1\nrules:\n"] { _ = errors(head + body) }
    #expect(ContinuousClock.now - start < .seconds(60))
  }

  @Test("errors are bounded, however many there are")
  func manyErrors() {
    let keys = (0..<20_000).map { "k\($0): 1\n" }.joined()
    #expect(errors(keys).count == DiagnosticSink.limit)
  }

  @Test("ten thousand agents, known and unknown, are refused in bounded time")
  func manyAgents() {
    let agents = (0..<1024).map { "  a\($0): { listen: 127.0.0.1:\($0 + 1024) }\n" }.joined()
    let names = (0..<10_000).map { "b\($0)" }.joined(separator: ", ")
    let rule = "rules:\n  - { id: r, action: allow, to: [a.example], agents: [\(names)] }\n"
    #expect(errors("version: 1\nagents:\n" + agents + rule).count == DiagnosticSink.limit)
    #expect(errors("version: 1\nagents:\n" + agents + "  one-more: { listen: 127.0.0.1:9 }\n").count == 1)
  }

  @Test("DOS-07: ten thousand rules load, in less than a second when optimised")
  func manyRules() throws {
    let rules = (0..<10_000).map {
      "- {id: r\($0), action: allow, to: [\"*.h\($0).example\", a\($0).example]}\n"
    }
    let text = "version: 1\nrules:\n" + rules.joined()
    let start = ContinuousClock.now
    let loaded = try loader().load(text: text, named: "p")
    let elapsed = ContinuousClock.now - start
    #expect(loaded.policy.rules.count == 10_000)
    #expect(elapsed < .seconds(isOptimised ? 1 : 20), "\(elapsed)")
  }

  private var isOptimised: Bool {
    var isDebug = false
    assert(
      {
        isDebug = true; return true
      }())
    return !isDebug
  }
}

import Addressing
import Policy
import Testing
import Wire

@testable import Gateway

@Suite("Who gets what of a resolver")
struct ResolverShareTests {
  @Test("DOS-06: one agent's flood ends at its own part; it is told so, and the others are served")
  func oneAgent() throws {
    var bench = try ResolverBench()
    for number in 0..<64 { #expect(try bench.ask("n\(number).test") == nil) }
    #expect(try bench.ask("n64.test") == .failure(.overload))
    #expect(ResolveFailure.overload.reason == .overload)
    for number in 0..<64 { #expect(try bench.ask("m\(number).test", for: "a2") == nil) }
    #expect(bench.core.statistics.overflows == 1)
    // Its own names, too, once the first are over.
    try bench.wait(4500)
    #expect(bench.core.lookupsInFlight == 0 && bench.alarms.isEmpty && bench.open.isEmpty)
    #expect(try bench.ask("n64.test") == nil)
  }

  @Test("DOS-06: however many agents flood, one that asked for nothing yet is served", arguments: [1, 4, 15])
  func manyAgents(flooders: Int) throws {
    var bench = try ResolverBench()
    for number in 0..<256 {
      for agent in 0..<flooders { try bench.ask("n\(number).a\(agent).test", for: "a\(agent)") }
    }
    #expect(bench.core.lookupsInFlight <= 256 && bench.open.count <= 512)
    for number in 0..<(256 / (flooders + 1) / 2) {
      #expect(try bench.ask("n\(number).late.test", for: "late") == nil, "\(number)")
    }
  }

  @Test("Whoever waits for a name that is being resolved already begins no lookup, but is counted")
  func waiters() throws {
    var bench = try ResolverBench()
    for _ in 0..<1024 { #expect(try bench.ask("www.test") == nil) }
    #expect(try bench.ask("www.test") == .failure(.overload))
    #expect(try bench.ask("www.test", for: "a2") == nil)
    #expect(bench.sent.count == 1)
    try bench.reply(.a, ResolverCoreTests.answer("www.test 60 A 11.11.0.10"))
    #expect(bench.told == bench.waiters)
    for _ in 0..<64 { try bench.ask("next.test") }
    #expect(bench.waiters.count == 1025 + 64)
  }

  @Test("DOS-06: a lookup that nobody waits for any more is dropped, and its room is free")
  func cancelled() throws {
    var bench = try ResolverBench(ipv6: true)
    for number in 0..<64 { try bench.ask("n\(number).test") }
    for place in 0..<64 { try bench.cancel(place) }
    #expect(bench.open.isEmpty && bench.alarms.isEmpty && bench.core.lookupsInFlight == 0)
    for number in 64..<128 { #expect(try bench.ask("n\(number).test") == nil) }
    try bench.cancel(0)
    #expect(bench.core.lookupsInFlight == 64)
  }

  @Test("Who goes away takes no answer from those who still wait, whoever began the lookup")
  func othersWait() throws {
    var bench = try ResolverBench()
    try bench.ask("www.test")
    try bench.ask("www.test", for: "a2")
    try bench.ask("www.test")
    try bench.cancel(0)
    try bench.cancel(0)
    #expect(bench.open.count == 1)
    try bench.reply(.a, ResolverCoreTests.answer("www.test 60 A 11.11.0.10"))
    #expect(bench.told == Array(bench.waiters.dropFirst()))
    try bench.cancel(1)
    #expect(bench.core.lookupsInFlight == 0)
  }

  @Test("A family that is still out when everybody was told gives way to names that somebody waits for")
  func idleGivesWay() throws {
    var bench = try ResolverBench(ipv6: true)
    for batch in 0..<6 {
      for number in 0..<50 {
        #expect(try bench.ask("n\(number).b\(batch).test") == nil)
        try bench.reply(.a, ResolverCoreTests.answer("n\(number).b\(batch).test 60 A 11.11.0.10"))
      }
      try bench.wait(51)
    }
    #expect(bench.told.count == 300)
    #expect(bench.core.lookupsInFlight == 256 && bench.open.count == 256)
    #expect(bench.core.statistics.overflows == 0)
  }
}

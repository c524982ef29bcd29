import Audit
import Firewall
import Policy
import Testing

@testable import Gateway

/// What the kernel counted, against what was heard.
@Suite struct PacketLossTests {
  private static let denied = Heldback(.denied, of: 0), other = Heldback(.denied, of: 1)

  /// The sum of what was told of one kind.
  private func sum(_ told: [(Heldback, UInt64)], _ kind: Heldback) -> UInt64 {
    told.filter { $0.0 == kind }.reduce(0) { $0 + $1.1 }
  }

  @Test("a sample that is on its way is not lost; one that has not come by the next count is")
  func late() {
    var losses = PacketLosses()
    #expect(losses.count([Self.denied: 3]).isEmpty)
    losses.hear(Self.denied)
    losses.hear(Self.denied)
    #expect(sum(losses.count([Self.denied: 3]), Self.denied) == 1)
    #expect(losses.count([Self.denied: 3]).isEmpty, "told once")
  }

  @Test("kinds are counted apart: none makes up for another")
  func apart() {
    var losses = PacketLosses()
    for _ in 0..<50 { losses.hear(Self.denied) }
    _ = losses.count([Self.denied: 50, Self.other: 7])
    let told = losses.count([Self.denied: 50, Self.other: 7])
    #expect(told.map(\.0) == [Self.other] && told.map(\.1) == [7])
  }

  @Test("AUD-06 whatever comes when, what is heard and what is told make the sum, and never more")
  func sums() {
    var numbers = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      var losses = PacketLosses(), sent: UInt64 = 0, heard: UInt64 = 0, told: UInt64 = 0, onTheirWay = 0
      for _ in 0..<30 {
        // All samples of the last second are there before the next count is compared.
        for _ in 0..<onTheirWay { losses.hear(Self.denied) }
        heard += UInt64(onTheirWay)
        let burst = UInt64.random(in: 0...3000, using: &numbers)
        let sampled = UInt64.random(in: 0...min(burst, 70), using: &numbers)
        let early = UInt64.random(in: 0...sampled, using: &numbers)
        for _ in 0..<early { losses.hear(Self.denied) }
        (sent, heard, onTheirWay) = (sent + burst, heard + early, Int(sampled - early))
        told += sum(losses.count([Self.denied: sent]), Self.denied)
        #expect(heard + UInt64(onTheirWay) + told <= sent)
      }
      for _ in 0..<onTheirWay { losses.hear(Self.denied) }
      heard += UInt64(onTheirWay)
      told += sum(losses.countLast([Self.denied: sent]), Self.denied)
      #expect(heard + told == sent)
    }
  }

  @Test("AUD-06 a packet that came behind the last count but one is none of those that it lost")
  func last() {
    var losses = PacketLosses(), told: UInt64 = 0
    told += sum(losses.count([Self.denied: 100]), Self.denied)
    losses.hear(Self.denied)
    told += sum(losses.countLast([Self.denied: 101]), Self.denied)
    #expect(1 + told == 101)
  }

  @Test("AUD-06 where the last count cannot be had, what the one before it lost is told")
  func unanswered() {
    var losses = PacketLosses()
    _ = losses.count([Self.denied: 100])
    #expect(sum(losses.countLast(nil), Self.denied) == 100)
  }

  @Test("AUD-06 a packet that is not recorded since the last count has it is told where there is none")
  func missed() {
    var losses = PacketLosses()
    losses.hear(Self.denied)
    _ = losses.count([Self.denied: 1, Self.other: 5])
    losses.miss(Self.denied)
    losses.miss(Self.other)
    let told = losses.countLast(nil)
    #expect(sum(told, Self.denied) == 1 && sum(told, Self.other) == 5)
  }

  @Test("the record says whose they were, why, and how many")
  func record() throws {
    let record = LifecycleRecord.losses(1234, Heldback(.spoofed, of: 0), of: .default)
    #expect(record.agent == .default && record.reason == "spoofed-source")
    #expect(record.counts.map(\.name) == ["events_lost"] && record.counts.map(\.value) == [1234])
  }
}

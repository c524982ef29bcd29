import Testing

@testable import Firewall

/// What of the kernel's room for flows each agent gets.
@Suite struct FlowRoomTests {
  struct Case: Sendable {
    var most: Int?
    var agents: Int, limit: UInt32, because: String
  }

  static let cases = [
    Case(most: 262_144, agents: 1, limit: 8192, because: "there is room for more"),
    Case(most: 262_144, agents: 16, limit: 8192, because: "half of it is just enough"),
    Case(most: 262_144, agents: 17, limit: 7710, because: "half of it is not"),
    Case(most: 65_536, agents: 8, limit: 4096, because: "a small host"),
    Case(most: 3, agents: 8, limit: 1, because: "none at all would count for no limit"),
    Case(most: 0, agents: 0, limit: 1, because: "nonsense"),
    Case(most: nil, agents: 90, limit: 8192, because: "nobody knows"),
  ]

  @Test("NFT-26: all agents together have half of what the kernel tracks", arguments: cases)
  func limits(_ test: Case) {
    #expect(FlowRoom(most: test.most).limit(agents: test.agents) == test.limit, "\(test.because)")
  }
}

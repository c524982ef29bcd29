import Firewall
import Policy
import Testing

@testable import Gateway

/// What becomes of the links that agents are behind.
@Suite struct FencedLinkTests {
  struct Case: Sendable {
    var links: [NetworkLink], state: FencedLink.State, because: String
  }

  static let cases = [
    Case(links: [.init("lo", index: 1), .init("a0", index: 7)], state: .up, because: "as it was"),
    Case(links: [.init("a0", index: 7, isUp: false)], state: .down, because: "down, and still the same"),
    Case(links: [.init("lo", index: 1)], state: .lost(.gone), because: "neither name nor number"),
    Case(links: [.init("a0", index: 9)], state: .lost(.gone), because: "the name with another number"),
    Case(links: [.init("b0", index: 7)], state: .renamed("b0"), because: "the number with another name"),
    Case(
      links: [.init("a0", index: 9), .init("b0", index: 7)], state: .renamed("b0"),
      because: "renamed, and another takes the name"),
    Case(
      links: [.init("a0", index: 7, master: 3)], state: .lost(.enslaved), because: "the port of a bridge"),
    Case(links: [], state: .lost(.gone), because: "nothing"),
  ]

  @Test("OPS-04: a link is itself by name and number alone", arguments: cases)
  func states(_ test: Case) {
    let link = FencedLink("a0", index: 7, agent: .default)
    #expect(link.state(among: test.links) == test.state, "\(test.because)")
    #expect(test.state.isWhole == (test.state == .up || test.state == .down))
  }
}

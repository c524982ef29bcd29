import Audit
import Control
import Firewall
import Logging
import Policy

/// A link that an agent is behind, as it was when the gate started.
public struct FencedLink: Hashable, Sendable {
  /// The interface's name.
  public var name: String
  /// The kernel's number of it: one that is made anew under its name has another.
  public var index: UInt32
  /// Who is behind it.
  public var agent: AgentName

  /// Makes a link.
  public init(_ name: String, index: UInt32, agent: AgentName) {
    (self.name, self.index, self.agent) = (name, index, agent)
  }

  /// What became of a link; all but `up` and `down` are for as long as the gate runs.
  enum State: Hashable {
    case up, down, gone, remade
    case renamed(String)

    /// Whether what comes by it is the agent's.
    var isWhole: Bool { self == .up || self == .down }

    var words: String {
      switch self {
      case .up: "up"
      case .down: "down"
      case .gone: "gone"
      case .remade: "made anew"
      case .renamed(let name): "renamed to \(name)"
      }
    }
  }

  /// Finds the link among those that are there.
  func state(among links: [NetworkLink]) -> State {
    if let own = links.first(where: { $0.index == index }) {
      return own.name == name ? (own.isUp ? .up : .down) : .renamed(own.name)
    }
    return links.contains { $0.name == name } ? .remade : .gone
  }
}

extension GateConfiguration {
  /// Whose packet it is that came by an interface; the first agent's where there is but one, or no other.
  func agent(behind index: UInt32?) -> AgentName {
    fencedLinks.first { $0.index == index }?.agent ?? fencedAgents.first ?? .default
  }
}

extension Gate {
  /// What `status` shows of the links.
  var linkStatuses: [LinkStatus] {
    configuration.fencedLinks.map { link in
      let state = linkStates[link] ?? .up
      return LinkStatus(
        interface: link.name, agent: link.agent.description, state: state.words, isWhole: state.isWhole)
    }
  }

  /// Looks whether the links are still those that were enrolled; called each
  /// second. The table takes nothing from any other, so this only has to be said.
  func lookAtLinks() {
    guard !configuration.fencedLinks.isEmpty, let links = try? NetworkLink.all() else { return }
    for link in configuration.fencedLinks {
      let state = link.state(among: links)
      defer { linkStates[link] = state }
      guard state != linkStates[link] ?? .up else { continue }
      tell(of: link, state)
    }
  }

  private func tell(of link: FencedLink, _ state: FencedLink.State) {
    let whose = "the interface \(link.name) of agent \(link.agent)"
    guard !state.isWhole else { return words.notice("\(whose) is \(state.words)") }
    alarm(
      "\(whose) is \(state.words): nothing that comes by it is taken. Start the gateway anew once it is back")
  }
}

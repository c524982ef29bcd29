import Audit
import Control
import Firewall
import Logging
import Policy

/// A link that an agent is behind, as it was when the gate started.
public struct FencedLink: Hashable, Sendable {
  /// The interface's name.
  public var name: String
  /// The kernel's number of it, as long as it is there; another may get both later.
  public var index: UInt32
  /// Who is behind it.
  public var agent: AgentName

  /// Makes a link.
  public init(_ name: String, index: UInt32, agent: AgentName) {
    (self.name, self.index, self.agent) = (name, index, agent)
  }

  /// What became of a link.
  enum State: Hashable {
    case up, down
    case renamed(String)
    /// For as long as the gate runs, whatever comes under its name and number.
    case lost(LinkLoss)

    /// Whether what comes by it is the agent's.
    var isWhole: Bool { self == .up || self == .down }

    var isFinal: Bool { if case .lost = self { true } else { false } }

    var words: String {
      switch self {
      case .up: "up"
      case .down: "down"
      case .renamed(let name): "renamed to \(name)"
      case .lost(let loss): loss.words
      }
    }
  }

  /// Finds the link among those that are there.
  func state(among links: [NetworkLink]) -> State {
    guard let own = links.first(where: { $0.index == index }) else { return .lost(.gone) }
    guard own.master == nil else { return .lost(.enslaved) }
    return own.name == name ? (own.isUp ? .up : .down) : .renamed(own.name)
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

  /// Looks how the links fare; called each second. What is lost the keeper closes
  /// and tells at once, so this only has to be said.
  func lookAtLinks() {
    guard !configuration.fencedLinks.isEmpty, let links = try? NetworkLink.all() else { return }
    for link in configuration.fencedLinks { note(link, link.state(among: links)) }
  }

  /// Hears of a link that the table takes nothing from any more.
  func lose(_ index: UInt32, _ loss: LinkLoss) {
    for link in configuration.fencedLinks where link.index == index { note(link, .lost(loss)) }
  }

  private func note(_ link: FencedLink, _ state: FencedLink.State) {
    let last = linkStates[link] ?? .up
    guard state != last, !last.isFinal else { return }
    linkStates[link] = state
    tell(of: link, state)
  }

  private func tell(of link: FencedLink, _ state: FencedLink.State) {
    let whose = "the interface \(link.name) of agent \(link.agent)"
    guard !state.isWhole else { return words.notice("\(whose) is \(state.words)") }
    alarm(
      "\(whose) is \(state.words): nothing that comes by it is taken. Start the gateway anew once it is back")
  }
}

import Policy
import Synchronization

/// How many connections the gate and each of its users hold, over all loops:
/// what is above the caps is refused, so that one agent cannot starve the
/// others, also before it has said who it is.
final class Admittance: Sendable {
  /// On whose account a place is held.
  enum Party: Hashable, Sendable {
    case agent(AgentName)
    /// Whoever has not shown a token yet on a listener that several share.
    case newcomer(ListenAddress)
  }

  private struct Counts {
    var total = 0
    var byParty: [Party: Int] = [:]

    /// Takes one place off an account; empty accounts are not kept.
    mutating func leave(_ party: Party) {
      let left = byParty[party, default: 1] - 1
      byParty[party] = left > 0 ? left : nil
    }
  }

  private let capacity: Int
  private let counts = Mutex(Counts())

  /// - Parameter capacity: Connections at once; an agent may hold 3/4 of them,
  ///   and the newcomers of one listener half.
  init(capacity: Int) {
    self.capacity = capacity
  }

  var open: Int { counts.withLock { $0.total } }

  /// Takes a place for a new connection; nil when there is none left, or when
  /// `party` holds as many as it may.
  ///
  /// - Parameter owner: The agent whose listener it came by.
  func enter(as party: Party, owner: AgentName?) -> ConnectionTicket? {
    let entered = counts.withLock { counts in
      guard counts.total < capacity, counts.byParty[party, default: 0] < limit(of: party) else {
        return false
      }
      counts.total += 1
      counts.byParty[party, default: 0] += 1
      return true
    }
    return entered ? ConnectionTicket(self, party, owner: owner) : nil
  }

  /// Books the place of `former` to `party`; false when it holds as many as it may.
  fileprivate func book(_ party: Party, from former: Party) -> Bool {
    counts.withLock { counts in
      guard counts.byParty[party, default: 0] < limit(of: party) else { return false }
      counts.byParty[party, default: 0] += 1
      counts.leave(former)
      return true
    }
  }

  fileprivate func leave(_ party: Party) {
    counts.withLock { counts in
      counts.total -= 1
      counts.leave(party)
    }
  }

  private func limit(of party: Party) -> Int {
    switch party {
    case .agent: capacity / 4 * 3
    case .newcomer: capacity / 2
    }
  }
}

/// A connection's place; given back when the last owner of the connection is
/// gone. Confined to the connection's loop.
final class ConnectionTicket {
  private let admission: Admittance
  private var party: Admittance.Party
  /// The address that stands for the destination's name; it does as long as the connection lives.
  var syntheticHold: SyntheticHold?
  /// The agent whose listener the connection came by; it stays that agent's,
  /// whoever gets the listener later.
  let owner: AgentName?

  fileprivate init(_ admission: Admittance, _ party: Admittance.Party, owner: AgentName?) {
    self.admission = admission
    self.party = party
    self.owner = owner
  }

  deinit { admission.leave(party) }

  /// Whom the place is booked to; nil for a newcomer.
  var agent: AgentName? {
    if case .agent(let name) = party { name } else { nil }
  }

  /// Books the place to `agent`, and to no other any more; false when it holds
  /// as many as it may.
  func book(to agent: AgentName) -> Bool {
    if party == .agent(agent) { return true }
    guard admission.book(.agent(agent), from: party) else { return false }
    party = .agent(agent)
    return true
  }
}

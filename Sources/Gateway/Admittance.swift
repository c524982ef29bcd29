import Policy
import Synchronization

/// How many connections the gate and each agent hold, over all loops: what is
/// above the caps is refused, so that one agent cannot starve the others.
final class Admittance: Sendable {
  private struct Counts {
    var total = 0
    var byAgent: [AgentName: Int] = [:]
  }

  private let capacity: Int
  private let counts = Mutex(Counts())

  /// - Parameter capacity: Connections at once; an agent may hold 3/4 of them.
  init(capacity: Int) {
    self.capacity = capacity
  }

  var open: Int { counts.withLock { $0.total } }

  /// Takes a place for a connection whose agent is not known yet; nil when
  /// there is none left.
  func enter() -> ConnectionTicket? {
    let entered = counts.withLock { counts in
      guard counts.total < capacity else { return false }
      counts.total += 1
      return true
    }
    return entered ? ConnectionTicket(self) : nil
  }

  /// Books the place of `former` to `agent`; false when it holds as many as it may.
  fileprivate func book(_ agent: AgentName, from former: AgentName?) -> Bool {
    counts.withLock { counts in
      guard counts.byAgent[agent, default: 0] < capacity / 4 * 3 else { return false }
      counts.byAgent[agent, default: 0] += 1
      if let former { counts.byAgent[former, default: 1] -= 1 }
      return true
    }
  }

  fileprivate func leave(_ agent: AgentName?) {
    counts.withLock { counts in
      counts.total -= 1
      if let agent { counts.byAgent[agent, default: 1] -= 1 }
    }
  }
}

/// A connection's place; given back when the last owner of the connection is
/// gone. Confined to the connection's loop.
final class ConnectionTicket {
  private let admission: Admittance
  private(set) var agent: AgentName?

  fileprivate init(_ admission: Admittance) {
    self.admission = admission
  }

  deinit { admission.leave(agent) }

  /// Books the place to `agent`, and to no other any more; false when it holds
  /// as many as it may.
  func book(to agent: AgentName) -> Bool {
    if self.agent == agent { return true }
    guard admission.book(agent, from: self.agent) else { return false }
    self.agent = agent
    return true
  }
}

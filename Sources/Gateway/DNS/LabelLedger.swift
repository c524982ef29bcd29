import Addressing
import EventLoop
import Policy
import Synchronization

/// What each agent spends of each domain's budget for names never asked before.
/// One for the whole process: names count alike that are asked over DNS and
/// those that a request makes the gate resolve.
///
/// Where a wildcard lets every name under a domain pass, the names themselves can
/// carry data out, a few dozen bytes each. Such names are never asked twice, so
/// what is counted is what is new: the bytes of every label at a place in the
/// tree of names that was never seen. Labels alone would not do: sixteen of them,
/// put together in ever new ways, say anything.
///
/// A domain over its budget is told of once a minute; over twice the budget, or
/// over it in two minutes running, its new names are refused until the policy
/// changes. Names that were seen go on being answered.
final class LabelLedger: Sendable {
  /// In bytes a minute, unless a rule says otherwise (DESIGN 5).
  static let budget: UInt64 = 4096

  /// What becomes of a name.
  enum Verdict: Hashable, Sendable {
    /// It may be resolved.
    case within
    /// It may be resolved, and the domain has just gone over its budget: so many
    /// bytes in this minute.
    case alert(bytes: UInt64)
    /// It is refused. `first`: its domain has just been turned by it, or, where
    /// domains share an account, the first of this minute was refused.
    case suspended(first: Bool, bytes: UInt64)
  }

  /// What is known now.
  struct Status: Hashable, Sendable {
    /// Agents' domains with an account of their own.
    var accounts: Int
    /// Places in the tree of names that are remembered.
    var remembered: Int
    /// Whose new names are refused where, in order.
    var suspended: [Suspension]
  }

  /// A domain whose new names are refused to one agent.
  struct Suspension: Hashable, Sendable {
    var agent: AgentName
    var domain: Hostname
  }

  private let state: Mutex<LabelAccounts>

  /// Makes an empty ledger.
  init() {
    state = Mutex(LabelAccounts(stock: LabelAccounts.stock))
  }

  /// Makes one that remembers less, for tests.
  init(stock: Int, domainsPerAgent: Int, namesPerDomain: Int) {
    state = Mutex(
      LabelAccounts(stock: stock, domainsPerAgent: domainsPerAgent, namesPerDomain: namesPerDomain))
  }

  /// Counts a name that a wildcard admitted.
  ///
  /// - Parameters:
  ///   - domain: The registered domain that it lies under, or the name itself
  ///     where it is none.
  ///   - budget: In bytes a minute; nil: none is kept.
  func note(
    _ name: Hostname, agent: AgentName, domain: Hostname, budget: UInt64?, at now: MonotonicTime
  ) -> Verdict {
    guard let budget else { return .within }
    return state.withLock { $0.note(name, agent: agent, domain: domain, budget: budget, at: now) }
  }

  /// Gives every domain a new start, since the policy changed; names that were
  /// seen stay so.
  func reset() { state.withLock { $0.reset() } }

  /// What is known now.
  var status: Status { state.withLock { $0.status } }
}

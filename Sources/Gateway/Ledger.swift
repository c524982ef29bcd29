import EventLoop
import Policy
import Synchronization

/// What each agent has used of each rule's limits, over all loops.
///
/// Bytes are counted over the life of the process: a budget that a reconnect
/// refilled would be none. A rule whose limits changed starts afresh.
final class Ledger: Sendable {
  /// One agent's account under one rule.
  final class Account: Sendable {
    let out: ByteBudget
    let `in`: ByteBudget
    private let open = Atomic<Int>(0)
    private let connectionLimit: Int

    fileprivate init(_ limits: Limits) {
      out = ByteBudget(limit: limits.bytesOut)
      `in` = ByteBudget(limit: limits.bytesIn)
      connectionLimit = limits.connections ?? .max
    }

    /// Takes one of the rule's connections; false when all are in use.
    func takeConnection() -> Bool {
      if open.add(1, ordering: .relaxed).newValue <= connectionLimit { return true }
      returnConnection()
      return false
    }

    /// Why nothing can pass any more; nil while both budgets have something left.
    var spentBudget: Reason? {
      if out.remaining == 0 { return .bytesOutLimit }
      return `in`.remaining == 0 ? .bytesInLimit : nil
    }

    func returnConnection() {
      open.subtract(1, ordering: .relaxed)
    }
  }

  private struct Key: Hashable {
    var agent: AgentName
    var rule: RuleID
    var limits: Limits
  }

  private let accounts = Mutex<[Key: Account]>([:])

  /// The account of `agent` under `rule`; nil when the rule has no limit that
  /// is counted.
  func account(of agent: AgentName, under rule: Rule?) -> Account? {
    guard let rule, rule.limits.isCounted else { return nil }
    let key = Key(agent: agent, rule: rule.id, limits: rule.limits)
    return accounts.withLock { accounts in
      if let account = accounts[key] { return account }
      let account = Account(rule.limits)
      accounts[key] = account
      return account
    }
  }
}

extension Limits {
  /// Whether something is counted across connections.
  var isCounted: Bool { connections != nil || bytesOut != nil || bytesIn != nil }
}

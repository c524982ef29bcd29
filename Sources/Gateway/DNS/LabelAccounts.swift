import Addressing
import EventLoop
import Policy

/// The accounts behind `LabelLedger`. Pure: time is an argument.
///
/// Everything is bounded, and no bound helps who spends: an account that counts
/// or that is suspended is never given up for another. An agent beyond its
/// bounds has all further domains on one account together, which refuses new
/// names for the rest of a minute, and labels that there is no room for count as
/// new each time.
struct LabelAccounts: Sendable {
  /// Entries that are remembered at most, of 8 bytes and their place in a table:
  /// some 30 MB. However many agents take all they can get, some are left.
  static let stock = 1 << 20
  /// What an account counts for in the stock.
  static let accountCost = 16
  /// In nanoseconds: budgets are for one minute of the clock.
  static let window: UInt64 = 60_000_000_000

  private struct Account {
    /// The minute that is counted.
    var minute: UInt64
    /// Bytes of new labels in it.
    var bytes: UInt64 = 0
    var isOver = false
    /// Whether the minute before was over the budget.
    var wasOver = false
    var isSuspended = false
    var seen: SeenLabels

    init(_ minute: UInt64, limit: Int) {
      self.minute = minute
      seen = SeenLabels(limit: limit)
    }

    mutating func move(to minute: UInt64) {
      // Loops read the clock one after the other: it may seem to go back.
      guard minute > self.minute else { return }
      wasOver = isOver && minute == self.minute + 1
      (self.minute, bytes, isOver) = (minute, 0, false)
    }

    mutating func startAfresh() { (bytes, isOver, wasOver, isSuspended) = (0, false, false, false) }
  }

  private struct Book {
    var domains: [Hostname: Account] = [:]
    /// For the domains that found no room.
    var crowd: Account
    /// How much of the stock this agent has.
    var held = 0
    /// The minute in which idle accounts were last given up.
    var swept: UInt64?
  }

  private let stock: Int
  private let domainsPerAgent: Int
  private let namesPerDomain: Int
  private var books: [AgentName: Book] = [:]
  private var taken = 0

  init(stock: Int, domainsPerAgent: Int = 1024, namesPerDomain: Int = 1 << 14) {
    self.stock = stock
    self.domainsPerAgent = domainsPerAgent
    self.namesPerDomain = namesPerDomain
  }

  mutating func note(
    _ name: Hostname, agent: AgentName, domain: Hostname, budget: UInt64, at now: MonotonicTime
  ) -> LabelLedger.Verdict {
    let minute = now.nanoseconds / Self.window
    var book = books.removeValue(forKey: agent) ?? Book(crowd: Account(minute, limit: namesPerDomain))
    defer { books[agent] = book }
    openAccount(of: domain, in: &book, minute)
    if var account = book.domains.removeValue(forKey: domain) {
      defer { book.domains[domain] = account }
      return judge(name, domain, &account, &book.held, budget, minute, isShared: false)
    }
    return judge(name, domain, &book.crowd, &book.held, budget, minute, isShared: true)
  }

  mutating func reset() {
    for (agent, var book) in books {
      book.crowd.startAfresh()
      for domain in book.domains.keys { book.domains[domain]?.startAfresh() }
      books[agent] = book
    }
  }

  var status: LabelLedger.Status {
    var status = LabelLedger.Status(accounts: 0, remembered: 0, suspended: [])
    for (agent, book) in books {
      status.accounts += book.domains.count
      status.remembered += book.crowd.seen.count + book.domains.values.reduce(0) { $0 + $1.seen.count }
      for (domain, account) in book.domains where account.isSuspended {
        status.suspended.append(.init(agent: agent, domain: domain))
      }
    }
    status.suspended.sort { ($0.agent.text, $0.domain.text) < ($1.agent.text, $1.domain.text) }
    return status
  }

  /// Gives a domain an account where there is room, or can be made.
  private mutating func openAccount(of domain: Hostname, in book: inout Book, _ minute: UInt64) {
    guard book.domains[domain] == nil else { return }
    let isFull = book.domains.count >= domainsPerAgent
    if isFull || !hasRoom(for: Self.accountCost, book.held) { dropIdle(in: &book, minute) }
    guard book.domains.count < domainsPerAgent, hasRoom(for: Self.accountCost, book.held) else { return }
    book.domains[domain] = Account(minute, limit: namesPerDomain)
    take(Self.accountCost, for: &book.held)
  }

  /// Gives up what says nothing about this minute or the next.
  private mutating func dropIdle(in book: inout Book, _ minute: UInt64) {
    // Once a minute, since nothing falls idle in between.
    guard book.swept != minute else { return }
    book.swept = minute
    for (domain, account) in book.domains where !account.isSuspended && account.minute + 1 < minute {
      book.domains[domain] = nil
      let count = Self.accountCost + account.seen.count
      book.held -= count
      taken -= count
    }
  }

  private func hasRoom(for count: Int, _ held: Int) -> Bool { held + count <= stock - taken }

  private mutating func take(_ count: Int, for held: inout Int) {
    held += count
    taken += count
  }

  private mutating func judge(
    _ name: Hostname, _ domain: Hostname, _ account: inout Account, _ held: inout Int, _ budget: UInt64,
    _ minute: UInt64, isShared: Bool
  ) -> LabelLedger.Verdict {
    account.move(to: minute)
    if !account.isSuspended { account.seen.refresh(name, below: domain) }
    let new = account.seen.unseen(of: name, below: domain)
    guard new.bytes > 0 else { return .within }
    guard !account.isSuspended else { return .suspended(first: false, bytes: account.bytes) }
    let wasRefusing = isShared && account.bytes > twice(budget)
    account.bytes = clampedSum(account.bytes, new.bytes)
    guard account.bytes <= twice(budget) && !(account.wasOver && account.bytes > budget && !isShared) else {
      account.isSuspended = !isShared
      return .suspended(first: !wasRefusing, bytes: account.bytes)
    }
    let before = account.seen.count
    if hasRoom(for: new.places.count, held) { account.seen.insert(new.places) }
    take(account.seen.count - before, for: &held)
    guard account.bytes > budget, !account.isOver else { return .within }
    account.isOver = true
    return .alert(bytes: account.bytes)
  }
}

private func twice(_ budget: UInt64) -> UInt64 { clampedSum(budget, budget) }

private func clampedSum(_ left: UInt64, _ right: UInt64) -> UInt64 {
  let (sum, overflow) = left.addingReportingOverflow(right)
  return overflow ? .max : sum
}

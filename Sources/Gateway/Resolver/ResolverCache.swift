import Addressing
import EventLoop
import Wire

/// What is known about both address families of a name.
struct FamilyAnswers: Sendable {
  var v4: InquiryAnswer?
  var v6: InquiryAnswer?

  subscript(type: DNSRecordType) -> InquiryAnswer? {
    get { type == .aaaa ? v6 : v4 }
    set { if type == .aaaa { v6 = newValue } else { v4 = newValue } }
  }

  /// Puts both families together; nil when nothing is known.
  ///
  /// Where one family has addresses, that the other could not be learned is
  /// only worth another look once the first has run out.
  var combined: (result: Result<Resolution, ResolveFailure>, until: MonotonicTime)? {
    let known = [v6, v4].compactMap { $0 }
    let positive = known.filter { !$0.addresses.isEmpty }
    guard let until = (positive.isEmpty ? known : positive).map(\.until).min() else { return nil }
    guard !positive.isEmpty else { return (.failure(failure), until) }
    return (.success(Resolution(addresses: addresses, chain: chain(of: positive))), until)
  }

  /// Both families' aliases, one that is in both but once.
  private func chain(of answers: [InquiryAnswer]) -> [Hostname] {
    answers.reduce(into: []) { chain, answer in
      for alias in answer.chain where !chain.contains(alias) { chain.append(alias) }
    }
  }

  /// At most 64, IPv6 first; each family keeps at least half the room.
  private var addresses: [IPAddress] {
    let first = v6?.addresses ?? [], second = v4?.addresses ?? []
    let half = ResolverLimit.addresses / 2
    let kept = first.prefix(max(half, ResolverLimit.addresses - second.count))
    return Array(kept + second.prefix(ResolverLimit.addresses - kept.count))
  }

  /// Why there are no addresses. That the name does not exist settles it for
  /// both families; trouble tells more than that there is nothing.
  private var failure: ResolveFailure {
    let failures = [v4, v6].compactMap { answer -> ResolveFailure? in
      guard case .failure(let failure)? = answer?.result else { return nil }
      return failure
    }
    if failures.contains(.nameDoesNotExist) { return .nameDoesNotExist }
    return failures.first { $0 != .noAddresses } ?? .noAddresses
  }
}

/// The names that were resolved, at most `capacity`.
///
/// When it is full, the entry that goes is the next one round the clock that
/// is over or was not used since the hand last passed: one bit a hit instead
/// of a list to keep in order.
struct ResolverCache: Sendable {
  private struct Entry {
    let name: Hostname
    var answers: FamilyAnswers
    var result: Result<Resolution, ResolveFailure>
    var until: MonotonicTime
    var isUsed: Bool
  }

  private let capacity: Int
  private var index: [Hostname: Int] = [:]
  private var entries: [Entry] = []
  private var hand = 0

  init(capacity: Int) {
    self.capacity = capacity
  }

  var count: Int { entries.count }

  /// What `name` resolves to, if that is known and not over.
  mutating func result(for name: Hostname, at now: MonotonicTime) -> Result<Resolution, ResolveFailure>? {
    guard let place = index[name], now < entries[place].until else { return nil }
    entries[place].isUsed = true
    return entries[place].result
  }

  /// What of `name` is known and not over.
  func answers(for name: Hostname, at now: MonotonicTime) -> FamilyAnswers {
    guard let place = index[name] else { return FamilyAnswers() }
    let known = entries[place].answers
    return FamilyAnswers(
      v4: known.v4.flatMap { now < $0.until ? $0 : nil }, v6: known.v6.flatMap { now < $0.until ? $0 : nil })
  }

  /// Remembers what is known about `name`. Returns whether another name had to go.
  mutating func store(_ answers: FamilyAnswers, for name: Hostname, at now: MonotonicTime) -> Bool {
    guard let (result, until) = answers.combined, capacity > 0 else { return false }
    let entry = Entry(name: name, answers: answers, result: result, until: until, isUsed: false)
    if let place = index[name] {
      entries[place] = entry
      return false
    }
    guard entries.count == capacity else {
      index[name] = entries.count
      entries.append(entry)
      return false
    }
    let place = nextVictim(at: now)
    index[entries[place].name] = nil
    index[name] = place
    entries[place] = entry
    return true
  }

  mutating func removeAll() {
    index.removeAll()
    entries.removeAll()
    hand = 0
  }

  private mutating func nextVictim(at now: MonotonicTime) -> Int {
    while true {
      defer { hand = (hand + 1) % capacity }
      guard entries[hand].isUsed, now < entries[hand].until else { return hand }
      entries[hand].isUsed = false
    }
  }
}

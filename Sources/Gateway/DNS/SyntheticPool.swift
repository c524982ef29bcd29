import Addressing
import EventLoop
import Policy
import Synchronization

/// Addresses that stand for names: an agent is given one instead of the name's
/// own, and the connection to it carries the name. One for the whole process.
///
/// Every name has two, one of each family, with the same place in their blocks,
/// so both run out together. Addresses are drawn in an order that nobody can
/// foretell: who was given one learns nothing about those of others.
final class SyntheticPool: Sendable {
  /// 198.18.0.0/15: benchmark addresses, which nothing on the Internet has (RFC
  /// 2544, appendix C.2.2).
  static let block = IPPrefix(.v4(0xc612_0000), length: 15)
  /// How long an answer with such an address may be kept, at most (DESIGN 5).
  static let answerLifetime: Duration = .seconds(30)
  /// How much longer a name keeps its address: programs connect some time after
  /// they asked, and keep answers beyond their lifetime (curl for 60 s, whatever
  /// the answer says: CURLOPT_DNS_CACHE_TIMEOUT(3)).
  static let grace: Duration = .seconds(60)
  /// How long an address rests before another name gets it: a program that
  /// kept it too long must not reach another host by it.
  static let rest: Duration = .seconds(3600)

  /// The two addresses of one name.
  struct Lease: Hashable, Sendable {
    let v4: IPAddress
    let v6: IPAddress
  }

  /// How the pool is doing.
  struct Status: Hashable, Sendable {
    /// How many names can have an address.
    var size: Int
    /// How many have one.
    var mapped: Int
    /// How many addresses wait until another name may have them.
    var resting: Int
    /// How often a name got none.
    var exhausted: UInt64
  }

  let v4: IPPrefix
  let v6: IPPrefix
  private let state: Mutex<SyntheticLeases>

  /// Makes an empty pool.
  ///
  /// - Parameters:
  ///   - v6: A block of unique local addresses, random unless it is given.
  ///   - random: Even bits that nobody can foretell.
  /// - Returns: nil when the blocks are not one of each family, when one of them
  ///   is too small, or IPv4's larger than IPv6's.
  init?(
    v4: IPPrefix? = SyntheticPool.block, v6: IPPrefix? = nil, grace: Duration = SyntheticPool.grace,
    rest: Duration = SyntheticPool.rest,
    random: @escaping @Sendable () -> UInt64 = { UInt64.random(in: .min ... .max) }
  ) {
    guard let v4, let v6 = v6 ?? Self.uniqueLocal(random()), v4.address.isV4, !v6.address.isV4,
      v4.length <= 30,
      128 - v6.length >= 32 - v4.length
    else { return nil }
    self.v4 = v4
    self.v6 = v6
    // The first and the last are the network's own name and its broadcast address (RFC 919 §7).
    let size = (1 << (32 - v4.length)) - 2
    state = Mutex(
      SyntheticLeases(size: size, lifetime: Self.answerLifetime + grace, rest: rest, random: random))
  }

  /// A block of unique local addresses with 40 of the random bits (RFC 4193 §3.2.2).
  static func uniqueLocal(_ random: UInt64) -> IPPrefix? {
    IPPrefix(.v6(high: 0xfd << 56 | (random >> 24) << 16, low: 0), length: 48)
  }

  /// The addresses of `name`: the same as long as it has some, and from now on
  /// at least as long as an answer may be kept and the grace behind it.
  ///
  /// - Parameter agent: Who is charged where the name had none.
  /// - Returns: nil when there are none left, or none for this agent.
  func lease(_ name: Hostname, agent: AgentName, at now: MonotonicTime) -> Lease? {
    guard let place = state.withLock({ $0.lease(name, agent: agent, at: now) }) else { return nil }
    return Lease(v4: address(v4, at: place), v6: address(v6, at: place))
  }

  /// The name that has this address now; nil when none has.
  func name(of address: IPAddress, at now: MonotonicTime) -> Hostname? {
    guard let place = place(of: address) else { return nil }
    return state.withLock { $0.name(at: place, now) }
  }

  /// Keeps an address with its name for as long as a connection uses it; each
  /// call that gives a name needs one `release`.
  ///
  /// - Returns: The name; nil when none has this address now.
  func hold(_ address: IPAddress, at now: MonotonicTime) -> Hostname? {
    guard let place = place(of: address) else { return nil }
    return state.withLock { $0.hold(place, at: now) }
  }

  /// Ends one `hold`; the name keeps the address as if it had just been asked for.
  func release(_ address: IPAddress, at now: MonotonicTime) {
    guard let place = place(of: address) else { return }
    state.withLock { $0.release(place, at: now) }
  }

  /// The blocks that the addresses are of.
  var prefixes: [IPPrefix] { [v4, v6] }

  /// Whether an address is of the pool, with a name or without.
  func contains(_ address: IPAddress) -> Bool { v4.contains(address) || v6.contains(address) }

  /// How the pool is doing.
  func status(at now: MonotonicTime) -> Status { state.withLock { $0.status(at: now) } }

  private func address(_ block: IPPrefix, at place: UInt32) -> IPAddress {
    switch block.address {
    case .v4(let value): .v4(value | place)
    case .v6(let high, let low): .v6(high: high, low: low | UInt64(place))
    }
  }

  /// What stands behind the block; nil for an address outside, and for one
  /// whose bits between block and place are not zero.
  private func place(of address: IPAddress) -> UInt32? {
    switch (address, v4.address, v6.address) {
    case (.v4(let value), .v4(let base), _): v4.contains(address) ? value ^ base : nil
    case (.v6(let high, let low), _, .v6(let baseHigh, let baseLow)):
      high == baseHigh ? UInt32(exactly: low ^ baseLow) : nil
    default: nil
    }
  }
}

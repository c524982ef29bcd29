import Addressing
import EventLoop
import Policy
import Synchronization
import Testing

@testable import Gateway

@Suite("Synthetic addresses")
struct SyntheticPoolTests {
  static let alice = agent("alice"), bob = agent("bob"), carol = agent("carol")

  static func agent(_ text: String) -> AgentName { AgentName(text) ?? .default }

  static func at(_ seconds: Double) -> MonotonicTime {
    MonotonicTime(nanoseconds: UInt64(seconds * 1e9) + 1_000_000_000)
  }

  static func name(_ number: Int) -> Hostname {
    guard let name = try? Hostname("n\(number).test") else { preconditionFailure("digits make a label") }
    return name
  }

  /// A pool of `2^bits - 2` addresses whose order a seed fixes.
  static func pool(bits: Int = 4, seed: UInt64 = 1) throws -> SyntheticPool {
    let block = try #require(IPPrefix(.v4(0xc612_0000), length: 32 - bits))
    let state = Mutex(SeededStory(seed: seed))
    let pool = SyntheticPool(v4: block, random: { state.withLock { $0.next() } })
    return try #require(pool)
  }

  @Test("the blocks are 198.18.0.0/15 and a random /48 of unique local addresses, another each time")
  func blocks() throws {
    var seen: Set<IPPrefix> = []
    for _ in 0..<50 {
      let pool = try #require(SyntheticPool())
      #expect("\(pool.v4)" == "198.18.0.0/15" && pool.v6.length == 48)
      #expect(try #require(IPPrefix("fd00::/8")).contains(pool.v6.address))
      seen.insert(pool.v6)
    }
    #expect(seen.count == 50)
    #expect("\(try #require(SyntheticPool.uniqueLocal(.max)))" == "fdff:ffff:ffff::/48")
    #expect("\(try #require(SyntheticPool.uniqueLocal(0)))" == "fd00::/48")
  }

  @Test(
    "blocks that do not go together make no pool",
    arguments: [
      ("fd00::/48", "fd01::/48"), ("198.18.0.0/31", "fd00::/48"), ("198.18.0.0/15", "fd00::/112"),
      ("198.18.0.0/15", "10.0.0.0/8"),
    ])
  func unfit(_ v4: String, _ v6: String) throws {
    let first = try #require(IPPrefix(v4)), second = try #require(IPPrefix(v6))
    let pool = SyntheticPool(v4: first, v6: second)
    #expect(pool == nil)
  }

  @Test("a name has one address of each family, and both lead back to it")
  func lease() throws {
    let pool = try Self.pool(), name = Self.name(1)
    let lease = try #require(pool.lease(name, agent: Self.alice, at: Self.at(0)))
    #expect(pool.v4.contains(lease.v4) && pool.v6.contains(lease.v6))
    for address in [lease.v4, lease.v6] {
      #expect(pool.contains(address) && pool.name(of: address, at: Self.at(1)) == name)
    }
    #expect(pool.lease(name, agent: Self.bob, at: Self.at(2)) == lease, "whoever asks")
    let other = try #require(pool.lease(Self.name(2), agent: Self.alice, at: Self.at(2)))
    #expect(other.v4 != lease.v4 && other.v6 != lease.v6)
  }

  @Test("what no name has leads nowhere")
  func foreign() throws {
    let pool = try Self.pool(),
      lease = try #require(pool.lease(Self.name(1), agent: Self.alice, at: Self.at(0)))
    guard case .v6(let high, let low) = lease.v6 else { throw POSIXError.notV6 }
    let foreign: [IPAddress] = [
      .v4(0xc612_0000), .v4(0xc612_000f), .v4(0x0a00_0001), .v6(high: high ^ 1, low: low),
      .v6(high: high, low: low | 1 << 40), .v6(high: high ^ 1 << 63, low: low), .v6(high: 0, low: low),
    ]
    for address in foreign { #expect(pool.name(of: address, at: Self.at(1)) == nil, "\(address)") }
    #expect(pool.contains(.v4(0xc612_0000)) && !pool.contains(.v4(0x0a00_0001)))
    #expect(pool.contains(.v6(high: high | 7, low: .max)) && !pool.contains(.v6(high: 0, low: low)))
  }

  private enum POSIXError: Error { case notV6 }

  @Test("a mapping outlives every answer that carries it, and ends 90 s after the last")
  func end() throws {
    let pool = try Self.pool(), name = Self.name(1)
    let lease = try #require(pool.lease(name, agent: Self.alice, at: Self.at(0)))
    #expect(pool.name(of: lease.v4, at: Self.at(59.9)) == name)
    #expect(pool.lease(name, agent: Self.alice, at: Self.at(60)) == lease)
    #expect(pool.name(of: lease.v6, at: Self.at(149.9)) == name)
    #expect(
      pool.name(of: lease.v6, at: Self.at(150)) == nil && pool.name(of: lease.v4, at: Self.at(150)) == nil)
    #expect(pool.status(at: Self.at(150)) == .init(size: 14, mapped: 0, resting: 1, exhausted: 0))
    #expect(pool.lease(name, agent: Self.bob, at: Self.at(3000)) == lease, "the same name may have it again")
    #expect(pool.name(of: lease.v4, at: Self.at(3001)) == name)
    #expect(pool.status(at: Self.at(6689)).resting == 1 && pool.status(at: Self.at(6690)).resting == 0)
  }

  @Test("a clock that another loop reads later does not end anything early")
  func skew() throws {
    let pool = try Self.pool(), name = Self.name(1)
    let lease = try #require(pool.lease(name, agent: Self.alice, at: Self.at(100)))
    #expect(pool.name(of: lease.v4, at: Self.at(99)) == name)
    #expect(pool.lease(name, agent: Self.alice, at: Self.at(50)) == lease)
    #expect(pool.name(of: lease.v4, at: Self.at(189)) == name)
  }

  @Test("a connection keeps the address with the name, however long, and each of several")
  func hold() throws {
    let pool = try Self.pool(), name = Self.name(1)
    let lease = try #require(pool.lease(name, agent: Self.alice, at: Self.at(0)))
    #expect(pool.hold(lease.v4, at: Self.at(80)) == name && pool.hold(lease.v6, at: Self.at(80)) == name)
    #expect(pool.name(of: lease.v4, at: Self.at(10_000)) == name)
    pool.release(lease.v4, at: Self.at(10_000))
    #expect(pool.lease(name, agent: Self.alice, at: Self.at(15_000)) == lease)
    pool.release(lease.v6, at: Self.at(20_000))
    pool.release(lease.v6, at: Self.at(20_001))
    #expect(pool.name(of: lease.v4, at: Self.at(20_089)) == name)
    #expect(pool.name(of: lease.v4, at: Self.at(20_090)) == nil)
    #expect(pool.hold(lease.v4, at: Self.at(20_091)) == nil, "a resting address carries nothing")
  }

  @Test("when all are taken, nobody gets one; the network's own and the broadcast address are never given")
  func exhaustion() throws {
    let pool = try Self.pool()
    var given: Set<IPAddress> = []
    // Alone, an agent leaves a quarter; each further one leaves a smaller part.
    for number in 0..<60 {
      let agent = [Self.alice, Self.bob, Self.carol][number / 20]
      if let lease = pool.lease(Self.name(number), agent: agent, at: Self.at(0)) { given.insert(lease.v4) }
    }
    var extra = 0
    while let agent = AgentName("extra\(extra)"),
      let lease = pool.lease(Self.name(1000 + extra), agent: agent, at: Self.at(0))
    {
      given.insert(lease.v4)
      extra += 1
    }
    #expect(given == Set((1...14).map { .v4(0xc612_0000 + UInt32($0)) }))
    let status = pool.status(at: Self.at(0))
    #expect(status.mapped == 14 && status.exhausted == UInt64(60 - (14 - extra) + 1))
    #expect(
      pool.lease(Self.name(0), agent: Self.carol, at: Self.at(1)) != nil, "a name that has one keeps it")
    #expect(pool.lease(Self.name(2000), agent: Self.carol, at: Self.at(3689)) == nil, "they rest an hour")
    #expect(pool.lease(Self.name(2000), agent: Self.carol, at: Self.at(3690)) != nil)
  }

  @Test("the whole pool serves 131,070 names; one agent has three quarters of it, others the rest")
  func whole() throws {
    let state = Mutex(SeededStory(seed: 7))
    let made = SyntheticPool(random: { state.withLock { $0.next() } })
    let pool = try #require(made)
    var count = 0
    while pool.lease(Self.name(count), agent: Self.alice, at: Self.at(0)) != nil { count += 1 }
    #expect(count == 98_303 && pool.status(at: Self.at(0)).size == 131_070)
    var others = 0
    while pool.lease(Self.name(200_000 + others), agent: Self.bob, at: Self.at(0)) != nil { others += 1 }
    #expect(others == 24_576, "and a third agent still finds some")
    #expect(pool.lease(Self.name(300_000), agent: Self.carol, at: Self.at(0)) != nil)
    #expect(pool.status(at: Self.at(4000)).mapped == 0 && pool.status(at: Self.at(4000)).resting == 0)
  }

  @Test("addresses come in no order, and never twice")
  func order() throws {
    let pool = try Self.pool(bits: 12)
    var last: UInt32 = 0, ascending = 0, seen: Set<UInt32> = []
    for number in 0..<3000 {
      let lease = try #require(pool.lease(Self.name(number), agent: Self.alice, at: Self.at(0)))
      guard case .v4(let value) = lease.v4 else { continue }
      #expect(seen.insert(value).inserted)
      if value > last { ascending += 1 }
      last = value
    }
    #expect((1300...1700).contains(ascending))
  }

  @Test(
    "a draw gives each number once, whatever is put back between", arguments: 1...20 as ClosedRange<UInt64>)
  func draw(_ seed: UInt64) {
    let state = Mutex(SeededStory(seed: seed))
    var draw = RandomDraw(count: 40, random: { state.withLock { $0.next() } })
    var random = SeededStory(seed: seed &* 77), out: Set<UInt32> = []
    for _ in 0..<2000 {
      if Bool.random(using: &random), let number = draw.take() {
        #expect(number < 40 && out.insert(number).inserted)
      } else if let number = out.sorted().randomElement(using: &random) {
        out.remove(number)
        draw.give(number)
      }
      #expect(draw.count + out.count == 40)
    }
    while let number = draw.take() { #expect(out.insert(number).inserted) }
    #expect(out.count == 40)
  }
}

extension SyntheticPoolTests {
  /// The naive twin: what every name had, and when.
  private struct Ledger {
    struct Entry {
      var name: Hostname
      var end: UInt64
      var holds = 0
    }
    var entries: [IPAddress: Entry] = [:]

    func owner(of address: IPAddress, at now: UInt64) -> Hostname? {
      entries[address].flatMap { $0.holds > 0 || $0.end > now ? $0.name : nil }
    }

    /// Whether another name may have the address.
    func isFree(_ address: IPAddress, at now: UInt64) -> Bool {
      entries[address].map { $0.holds == 0 && $0.end + 3_600_000_000_000 <= now } ?? true
    }
  }

  @Test(
    "whatever happens, the pool agrees with a list of everything", arguments: 1...30 as ClosedRange<UInt64>)
  func property(_ seed: UInt64) throws {
    let pool = try Self.pool(seed: seed)
    var random = SeededStory(seed: seed &* 31), ledger = Ledger(), now = Self.at(0).nanoseconds
    var held: [IPAddress] = []
    let agents = [Self.alice, Self.bob, Self.carol]
    for _ in 0..<3000 {
      now += UInt64.random(
        in: 0...[1_000_000_000, 40_000_000_000, 600_000_000_000].randomElement(using: &random)!,
        using: &random)
      let moment = MonotonicTime(nanoseconds: now), name = Self.name(Int.random(in: 0..<40, using: &random))
      let known = ledger.entries.first { $0.value.name == name }
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5:
        let lease = pool.lease(name, agent: agents.randomElement(using: &random)!, at: moment)
        guard let address = lease?.v4 else {
          #expect(known == nil || ledger.isFree(known!.key, at: now), "a name that has one keeps it")
          let free = (1...14).filter { ledger.isFree(.v4(0xc612_0000 + $0), at: now) }
          #expect(free.count <= 4, "the greediest leaves a quarter")
          continue
        }
        if let known, !ledger.isFree(known.key, at: now) { #expect(address == known.key) }
        if ledger.entries[address]?.name != name {
          #expect(ledger.isFree(address, at: now), "an address rests an hour")
          if let known { ledger.entries[known.key] = nil }
          ledger.entries[address] = .init(name: name, end: 0)
        }
        ledger.entries[address]?.end = now + 90_000_000_000
      case 5..<7:
        guard let known else { continue }
        #expect(pool.hold(known.key, at: moment) == ledger.owner(of: known.key, at: now))
        guard ledger.owner(of: known.key, at: now) != nil else { continue }
        ledger.entries[known.key]?.holds += 1
        held.append(known.key)
      case 7..<9:
        guard let index = held.indices.randomElement(using: &random) else { continue }
        let address = held.remove(at: index)
        pool.release(address, at: moment)
        ledger.entries[address]?.holds -= 1
        ledger.entries[address]?.end = now + 90_000_000_000
      default:
        for place in 0..<16 as Range<UInt32> {
          let address = IPAddress.v4(0xc612_0000 + place)
          #expect(pool.name(of: address, at: moment) == ledger.owner(of: address, at: now))
        }
        let status = pool.status(at: moment)
        #expect(status.mapped == ledger.entries.keys.filter { ledger.owner(of: $0, at: now) != nil }.count)
      }
    }
  }
}

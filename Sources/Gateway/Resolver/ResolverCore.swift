import Addressing
import EventLoop
import Policy
import Wire

/// What a resolver decides, without sockets and clock: events go in, effects
/// come out, the time is an argument.
struct ResolverCore {
  /// Names one attempt among all of a resolver.
  struct QueryToken: Hashable, Sendable {
    let name: Hostname
    let type: DNSRecordType
    let serial: UInt64
  }

  /// What happened.
  enum Event: Sendable {
    /// A datagram came to the socket of an attempt.
    case datagram([UInt8], from: Endpoint, QueryToken)
    /// A whole message came over the connection of an attempt.
    case message([UInt8], QueryToken)
    /// The socket or connection of an attempt failed, and why.
    case failed(QueryToken, because: String = "its socket failed")
    /// The time of a name's alarm has come.
    case alarm(Hostname)
  }

  /// What is to be done, in this order.
  enum Effect: Sendable {
    /// Send one datagram from a fresh socket.
    case sendDatagram(QueryToken, to: Endpoint, [UInt8])
    /// Connect, and send one message.
    case sendMessage(QueryToken, to: Endpoint, [UInt8])
    /// Send one message over the connection that TLS upstream has, or gets.
    case sendSecure(QueryToken, to: Upstream, [UInt8])
    /// Close the socket or connection of an attempt.
    case close(QueryToken)
    /// Ring for a name at a time, instead of any earlier appointment; nil: never.
    case alarm(Hostname, at: MonotonicTime?)
    /// Tell everyone who waits for the name, in the order in which they asked.
    case finish(Hostname, Result<Resolution, ResolveFailure>, [ResolveToken])
  }

  /// What `ask` says.
  enum Reply: Sendable {
    /// It is known.
    case known(Result<Resolution, ResolveFailure>)
    /// It will be a `.finish` effect, unless the token is cancelled before.
    case later(ResolveToken, [Effect])
  }

  private(set) var hosts: HostsFile
  private let types: [DNSRecordType]
  private var resources: InquiryResources
  private var cache: ResolverCache
  private var lookups: [Hostname: Lookup] = [:]
  private let maximumLookups: Int
  /// The lookups that somebody waits for, by who began them.
  private var lookupStock: FairStock<AgentName>
  private var waiterStock = FairStock<AgentName>(
    total: ResolverLimit.waiters, each: ResolverLimit.waitersPerAgent)
  private var lastToken: UInt64 = 0

  init(
    _ configuration: ResolverConfiguration, board: UpstreamBoard = UpstreamBoard(),
    cachedNames: Int = ResolverLimit.cachedNames,
    random: @escaping @Sendable () -> UInt64
  ) {
    hosts = configuration.hosts
    types = configuration.ipv6 ? [.aaaa, .a] : [.a]
    resources = InquiryResources(routes: configuration.routes, board: board, random: random)
    cache = ResolverCache(capacity: cachedNames)
    maximumLookups = configuration.lookupsInFlight
    lookupStock = FairStock(
      total: maximumLookups, each: ResolverLimit.lookupsPerAgent(of: maximumLookups))
  }

  var statistics: ResolverStatistics { resources.statistics }
  var cachedNames: Int { cache.count }
  var lookupsInFlight: Int { lookups.count }

  /// Takes another hosts file; what it says now counts before what was cached.
  mutating func replaceHosts(_ hosts: HostsFile) {
    self.hosts = hosts
    cache.removeAll()
  }

  /// Forgets every answer.
  mutating func flush() {
    cache.removeAll()
  }

  /// Asks for the addresses of a name.
  ///
  /// - Parameter agent: Who is charged with a lookup that this begins.
  mutating func ask(_ name: Hostname, for agent: AgentName, at now: MonotonicTime) -> Reply {
    if let result = cache.result(for: name, at: now) {
      resources.statistics.cacheHits += 1
      return .known(result)
    }
    if let result = localResult(for: name) { return .known(result) }
    if let failure = resources.routes.refusal(of: name) { return .known(.failure(failure)) }
    guard waiterStock.take(for: agent) else { return overflow() }
    lastToken += 1
    let token = ResolveToken(name: name, serial: lastToken)
    if lookups[name]?.isAwaited == true {
      lookups[name]?.waiters.append((token, agent))
      return .later(token, [])
    }
    guard lookupStock.take(for: agent) else {
      waiterStock.give(of: agent)
      return overflow()
    }
    let room = makeRoom(for: name)
    return .later(token, room + start(name, for: agent, token, at: now))
  }

  /// Takes somebody off the list of those who wait. A lookup that nobody waits
  /// for any more ends: it would hold its sockets and its agent's part for nothing.
  mutating func cancel(_ token: ResolveToken) -> [Effect] {
    guard let place = lookups[token.name]?.waiters.firstIndex(where: { $0.token == token }),
      let waiter = lookups[token.name]?.waiters.remove(at: place)
    else { return [] }
    waiterStock.give(of: waiter.agent)
    return lookups[token.name]?.isAwaited == true ? [] : drop(token.name)
  }

  /// Takes an event. One that concerns no attempt under way has no effect.
  mutating func handle(_ event: Event, at now: MonotonicTime) -> [Effect] {
    switch event {
    case .datagram(let bytes, let sender, let token):
      advance(token, at: now) { $0.receive(datagram: bytes, from: sender, at: now, &$1) }
    case .message(let bytes, let token):
      advance(token, at: now) { $0.receive(message: bytes, at: now, &$1) }
    case .failed(let token, let cause):
      advance(token, at: now) { $0.socketFailed(because: cause, at: now, &$1) }
    case .alarm(let name): ring(name, at: now)
    }
  }

  /// What is known of a name's addresses now; nobody is asked, and nothing changes.
  func rememberedAddresses(of name: Hostname, at now: MonotonicTime) -> [IPAddress] {
    let known = localResult(for: name) ?? cache.answers(for: name, at: now).combined?.result
    guard case .success(let found)? = known else { return [] }
    return found.addresses
  }

  /// The addresses of a name that is known without any upstream, from the hosts
  /// file or by its definition (RFC 6761 §6.3).
  func localResult(for name: Hostname) -> Result<Resolution, ResolveFailure>? {
    if let addresses = hosts.addresses(of: name) {
      return .success(Resolution(addresses: addresses, fromHosts: true))
    }
    guard SpecialName.isThisHost(name) else { return nil }
    let loopback: [IPAddress] = [.v6(high: 0, low: 1), .v4(0x7f00_0001)]
    return .success(Resolution(addresses: loopback, fromHosts: true))
  }

  private mutating func overflow() -> Reply {
    resources.statistics.overflows += 1
    return .known(.failure(.overload))
  }

  /// Ends a lookup that nobody waits for, where there is no room for `name`
  /// beside it. There is one then: those that somebody waits for never fill it.
  private mutating func makeRoom(for name: Hostname) -> [Effect] {
    guard lookups[name] == nil, lookups.count >= maximumLookups,
      let idle = lookups.first(where: { !$0.value.isAwaited })
    else { return [] }
    return drop(idle.key)
  }

  private mutating func drop(_ name: Hostname) -> [Effect] {
    guard let lookup = lookups.removeValue(forKey: name) else { return [] }
    if let owner = lookup.owner { lookupStock.give(of: owner) }
    let alarm: [Effect] = lookup.alarm == nil ? [] : [.alarm(name, at: nil)]
    return alarm
      + lookup.inquiries.map {
        .close(QueryToken(name: name, type: $0.type, serial: $0.attempt.serial))
      }
  }

  private mutating func start(
    _ name: Hostname, for agent: AgentName, _ token: ResolveToken, at now: MonotonicTime
  ) -> [Effect] {
    resources.statistics.lookups += 1
    var lookup = lookups.removeValue(forKey: name) ?? Lookup(answers: cache.answers(for: name, at: now))
    lookup.waiters = [(token, agent)]
    lookup.owner = agent
    lookup.patience = nil
    var effects: [Effect] = []
    for type in types
    where lookup.answers[type] == nil && !lookup.inquiries.contains(where: { $0.type == type }) {
      guard let inquiry = Inquiry(name, type, at: now, &resources) else { continue }
      lookup.inquiries.append(inquiry)
      effects.append(send(inquiry.attempt, for: name))
    }
    return effects + conclude(name, lookup, at: now)
  }

  private mutating func advance(
    _ token: QueryToken, at now: MonotonicTime,
    by step: (inout Inquiry, inout InquiryResources) -> Inquiry.Step
  ) -> [Effect] {
    guard let place = lookups[token.name]?.inquiries.firstIndex(where: { $0.attempt.serial == token.serial }),
      var lookup = lookups.removeValue(forKey: token.name)
    else { return [] }
    let effects = advance(&lookup, place, of: token.name, by: step)
    return effects + conclude(token.name, lookup, at: now)
  }

  private mutating func ring(_ name: Hostname, at now: MonotonicTime) -> [Effect] {
    guard var lookup = lookups.removeValue(forKey: name) else { return [] }
    lookup.alarm = nil
    var effects: [Effect] = []
    for place in lookup.inquiries.indices.reversed() {
      effects += advance(&lookup, place, of: name) { $0.wake(at: now, &$1) }
    }
    return effects + conclude(name, lookup, at: now)
  }

  private mutating func advance(
    _ lookup: inout Lookup, _ place: Int, of name: Hostname,
    by step: (inout Inquiry, inout InquiryResources) -> Inquiry.Step
  ) -> [Effect] {
    let inquiry = lookup.inquiries[place]
    let before = QueryToken(name: name, type: inquiry.type, serial: inquiry.attempt.serial)
    switch step(&lookup.inquiries[place], &resources) {
    case .wait: return []
    case .send:
      return [.close(before), send(lookup.inquiries[place].attempt, for: name)]
    case .finish(let answer):
      let type = lookup.inquiries.remove(at: place).type
      lookup.answers[type] = answer
      return [.close(before)]
    }
  }

  /// Tells those who wait if it is time, remembers what they were told, and
  /// keeps the lookup while one family is still out.
  private mutating func conclude(_ name: Hostname, _ lookup: Lookup, at now: MonotonicTime) -> [Effect] {
    var lookup = lookup
    var effects: [Effect] = []
    let isComplete = lookup.inquiries.isEmpty
    if let combined = lookup.answers.combined, isComplete || lookup.isReady(combined.result, at: now) {
      remember(lookup.answers, for: name, at: now)
      if lookup.isAwaited { effects.append(.finish(name, combined.result, release(&lookup))) }
      lookup.patience = nil
    }
    let alarm = (lookup.inquiries.map(\.attempt.deadline) + [lookup.patience].compactMap { $0 }).min()
    if alarm != lookup.alarm { effects.insert(.alarm(name, at: alarm), at: 0) }
    lookup.alarm = alarm
    if !isComplete { lookups[name] = lookup }
    return effects
  }

  /// Gives back what those who wait hold. Returns their tokens.
  private mutating func release(_ lookup: inout Lookup) -> [ResolveToken] {
    for waiter in lookup.waiters { waiterStock.give(of: waiter.agent) }
    if let owner = lookup.owner { lookupStock.give(of: owner) }
    defer { (lookup.waiters, lookup.owner) = ([], nil) }
    return lookup.waiters.map(\.token)
  }

  /// The cache is looked at first, so it must not hold a name that the hosts
  /// file took over meanwhile.
  private mutating func remember(_ answers: FamilyAnswers, for name: Hostname, at now: MonotonicTime) {
    guard hosts.addresses(of: name) == nil else { return }
    if cache.store(answers, for: name, at: now) { resources.statistics.evictions += 1 }
  }

  private func send(_ attempt: Attempt, for name: Hostname) -> Effect {
    let token = QueryToken(name: name, type: attempt.query.question.type, serial: attempt.serial)
    return switch attempt.transport {
    case .datagram: .sendDatagram(token, to: attempt.upstream.endpoint, attempt.query.encoded)
    case .stream: .sendMessage(token, to: attempt.upstream.endpoint, attempt.query.encoded)
    case .secure: .sendSecure(token, to: attempt.upstream, attempt.query.encoded)
    }
  }
}

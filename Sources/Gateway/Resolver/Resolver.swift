import Addressing
import EventLoop
import Policy
import Wire

/// Resolves names for the sessions of one loop, and is confined to it.
///
/// It asks the configured upstreams and nobody else, for absolute names only.
/// Ask only for names that the policy let through: the query itself tells the
/// world.
public final class Resolver {
  /// Takes what a name resolved to.
  public typealias Completion = (Result<Resolution, ResolveFailure>) -> Void

  private let loop: EventLoop
  private let hostsPath: String?
  private var core: ResolverCore
  private var waiting: [ResolveToken: Completion] = [:]
  private var alarms: [Hostname: TimerID] = [:]
  private var exchanges: [ResolverCore.QueryToken: any UpstreamExchange] = [:]
  /// Attempts whose socket could not be opened, for the end of `perform`.
  private var unopened: [(token: ResolverCore.QueryToken, cause: String)] = []
  /// The loop's connections to TLS upstreams, for all who ask on it.
  let secureUpstreams: SecureUpstreams
  private var hostsStamp: FileStamp?
  private var nextHostsCheck: MonotonicTime

  /// How often it is looked whether the hosts file has changed, at most.
  private static let hostsInterval: Duration = .seconds(1)

  /// What the loop knows of its upstreams, for all who ask on it.
  let board: UpstreamBoard

  /// Makes a resolver without anything in its cache.
  ///
  /// - Parameter notice: Told when an upstream goes down or comes back.
  public init(
    loop: EventLoop, configuration: ResolverConfiguration,
    notice: @escaping (UpstreamNotice) -> Void = { _ in }
  ) {
    self.loop = loop
    secureUpstreams = SecureUpstreams(loop: loop, settings: configuration.secure)
    board = UpstreamBoard(notice: notice)
    core = ResolverCore(configuration, board: board, random: { SystemRandomNumberGenerator.bits() })
    hostsPath = configuration.hostsPath
    hostsStamp = configuration.hostsPath.flatMap { FileStamp($0) }
    nextHostsCheck = MonotonicTime.now() + Self.hostsInterval
  }

  /// Resolves an absolute name.
  ///
  /// - Parameters:
  ///   - agent: On whose account; one that has too many names in flight gets
  ///     `.overload`, and the others what they ask for.
  ///   - completion: Called once, on the loop; before this returns when the
  ///     answer is known already.
  /// - Returns: For `cancel`; nil when `completion` was called.
  @discardableResult
  public func resolve(
    _ name: Hostname, for agent: AgentName, _ completion: @escaping Completion
  ) -> ResolveToken? {
    let now = loop.now
    if now >= nextHostsCheck { reloadHostsIfChanged() }
    switch core.ask(name, for: agent, at: now) {
    case .known(let result):
      completion(result)
      return nil
    case .later(let token, let effects):
      waiting[token] = completion
      perform(effects)
      return waiting[token] == nil ? nil : token
    }
  }

  /// Waits no longer: the completion is not called any more, and the sockets of
  /// a lookup that nobody else waits for are closed. Harmless once it was called.
  public func cancel(_ token: ResolveToken) {
    guard waiting.removeValue(forKey: token) != nil else { return }
    perform(core.cancel(token))
  }

  /// Reads the hosts file again if it is not the one that was read: for a reload.
  public func reloadHostsIfChanged() {
    nextHostsCheck = loop.now + Self.hostsInterval
    guard let hostsPath else { return }
    let stamp = FileStamp(hostsPath)
    guard stamp != hostsStamp else { return }
    hostsStamp = stamp
    core.replaceHosts(HostsFile.load(path: hostsPath))
  }

  /// The answer to a question that no upstream is asked about; nil for any other.
  /// A name of the hosts file has no records but addresses.
  func localAnswer(to name: Hostname, _ type: DNSRecordType) -> InquiryAnswer? {
    let now = loop.now
    if now >= nextHostsCheck { reloadHostsIfChanged() }
    let until = now + .seconds(Int64(ResolverLimit.timeToLive.lowerBound))
    switch core.localResult(for: name) {
    case nil: return nil
    case .failure(let failure): return InquiryAnswer(result: .failure(failure), chain: [], until: until)
    case .success(let found):
      let family = found.addresses.filter { type == ($0.isV4 ? .a : .aaaa) }
      return InquiryAnswer(
        result: family.isEmpty ? .failure(.noAddresses) : .success(.addresses(family)), chain: [],
        until: until)
    }
  }

  /// The addresses of a name that nobody need be asked for, in the order in which they would be dialled; empty where it is not known.
  func rememberedAddresses(of name: Hostname) -> [IPAddress] {
    core.rememberedAddresses(of: name, at: loop.now)
  }

  /// Forgets every answer.
  public func flush() { core.flush() }

  /// What it has done since its start.
  public var statistics: ResolverStatistics { core.statistics }
  /// The number of names being resolved.
  public var lookupsInFlight: Int { core.lookupsInFlight }
  /// The number of sockets that lookups hold.
  public var openSockets: Int { exchanges.count }
  /// The number of names remembered.
  public var cachedNames: Int { core.cachedNames }

  private func handle(_ event: ResolverCore.Event) {
    perform(core.handle(event, at: loop.now))
  }

  private func perform(_ effects: [ResolverCore.Effect]) {
    for effect in effects { perform(effect) }
    // Not before: what a failure brings about must not be overtaken by an older effect.
    while let (token, cause) = unopened.popLast() { handle(.failed(token, because: cause)) }
  }

  private func perform(_ effect: ResolverCore.Effect) {
    switch effect {
    case .sendDatagram(let token, let upstream, let bytes):
      open(token) { try DatagramExchange($0, bytes, to: upstream, on: self.loop) }
    case .sendMessage(let token, let upstream, let bytes):
      open(token) { try StreamExchange($0, bytes, to: upstream, on: self.loop) }
    case .sendSecure(let token, let upstream, let bytes):
      open(token) { try self.secureUpstreams.exchange($0, bytes, with: upstream) }
    case .close(let token): exchanges.removeValue(forKey: token)?.close()
    case .alarm(let name, let time): setAlarm(name, at: time)
    case .finish(_, let result, let tokens):
      for token in tokens { waiting.removeValue(forKey: token)?(result) }
    }
  }
}

extension Resolver {
  /// Opens the socket of an attempt; that this fails is an event like any other.
  private func open(_ token: ResolverCore.QueryToken, _ make: (ExchangeEvents) throws -> any UpstreamExchange)
  {
    let events = ExchangeEvents(
      datagram: { [weak self] in self?.handle(.datagram($0, from: $1, token)) },
      message: { [weak self] in self?.handle(.message($0, token)) },
      failed: { [weak self] in self?.handle(.failed(token, because: $0)) })
    do { exchanges[token] = try make(events) } catch {
      unopened.append((token, "it cannot be sent to: \(error)"))
    }
  }

  private func setAlarm(_ name: Hostname, at time: MonotonicTime?) {
    if let alarm = alarms.removeValue(forKey: name) { loop.cancel(alarm) }
    guard let time else { return }
    alarms[name] = loop.schedule(after: time - loop.now) { [weak self] in
      guard let self else { return }
      alarms[name] = nil
      handle(.alarm(name))
    }
  }
}

extension SystemRandomNumberGenerator {
  /// 64 bits of getrandom(2).
  fileprivate static func bits() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }
}

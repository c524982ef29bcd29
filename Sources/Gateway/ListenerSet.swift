import Addressing
import EventLoop
import Policy
import PolicyFile

/// The proxy listeners that are bound, and the change to another set.
struct ListenerSet {
  private(set) var bound: [ListenAddress: Listener] = [:]
  /// The only interfaces that some of the addresses take from.
  var devices: [ListenAddress: String] = [:]

  /// The addresses that a policy and the flags ask for. The shared listeners
  /// are those of the flags; without flags, the default one is opened, but not
  /// where every agent has a listener of its own.
  static func wanted(flags: [ListenAddress], agents: [Agent]) -> [ListenAddress] {
    let ofAgents = agents.compactMap(\.listen)
    let someNeedIt = ofAgents.isEmpty || agents.contains { $0.listen == nil }
    let shared = flags.isEmpty && someNeedIt ? [defaultAddress] : flags
    return (shared + ofAgents).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  /// The same for a gate: only `serve` opens the default one unasked.
  static func wanted(_ configuration: GateConfiguration, agents: [Agent]) -> [ListenAddress] {
    guard configuration.runMode == .serve || !configuration.proxyListeners.isEmpty else {
      return agents.compactMap(\.listen)
    }
    return wanted(flags: configuration.proxyListeners, agents: agents)
  }

  /// 127.0.0.1:3128, the port that Squid made customary.
  private static let defaultAddress = ListenAddress.tcp(
    Endpoint(.v4(0x7f00_0001), Port(3128) ?? .http))

  /// Binds what `wanted` has more than is bound.
  ///
  /// - Throws: `ListenError`; what was bound in vain is closed again.
  func bindMissing(of wanted: [ListenAddress]) throws(ListenError) -> [ListenAddress: Listener] {
    var fresh: [ListenAddress: Listener] = [:]
    for address in wanted where bound[address] == nil {
      do throws(ListenError) {
        fresh[address] = try bind(address)
      } catch {
        for listener in fresh.values { listener.close() }
        throw error
      }
    }
    return fresh
  }

  /// Takes over what was bound and closes what is no longer wanted.
  mutating func adopt(_ fresh: [ListenAddress: Listener], wanted: [ListenAddress]) {
    bound.merge(fresh) { old, _ in old }
    for (address, listener) in bound where !wanted.contains(address) {
      listener.close()
      bound[address] = nil
    }
  }

  mutating func closeAll() {
    for listener in bound.values { listener.close() }
    bound = [:]
  }

  /// Who is who among the clients of these listeners.
  func directory(of agents: [Agent], sole: AgentName?) -> AgentDirectory {
    AgentDirectory(agents, listeners: Array(bound.keys), sole: sole)
  }

  /// The endpoints no destination may be.
  var endpoints: [Endpoint] {
    bound.values.compactMap(\.boundEndpoint)
  }

  private func bind(_ address: ListenAddress) throws(ListenError) -> Listener {
    switch address {
    case .tcp(let endpoint):
      try Listener.bind(
        .tcp(endpoint), clientSpeaksFirst: true, scope: ListenScope(device: devices[address]))
    case .unix(let path): try Listener.bind(.unix(path: path, mode: 0o666))
    }
  }
}

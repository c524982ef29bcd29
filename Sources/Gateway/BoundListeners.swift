import Addressing
import EventLoop
import Glibc
import Pages
import Policy

/// All that a gate listens on, but for its control socket.
struct BoundListeners {
  private(set) var listeners = ListenerSet()
  private(set) var names = NameListenerSet()
  private(set) var captures = CaptureListenerSet()
  private(set) var metrics: PageServer?
  private(set) var callbacks: PageServer?

  /// Nothing so far.
  init() {}

  /// Binds what takes a privilege: listeners that are transparent, or of one interface alone.
  ///
  /// - Throws: `ListenError`; nothing is left bound then.
  static func privileged(_ configuration: GateConfiguration) throws(ListenError) -> BoundListeners {
    let names = NameListenerSet.wanted(configuration, agents: []).filter(\.key.scope.isTransparent)
    let proxies = configuration.proxyListeners.filter { configuration.proxyDevices[$0] != nil }
    var bound = BoundListeners()
    bound.listeners.devices = configuration.proxyDevices
    do throws(ListenError) {
      bound.listeners.adopt(try bound.listeners.bindMissing(of: proxies), wanted: proxies)
      _ = bound.names.adopt(try bound.names.bindMissing(of: names), wanted: names)
      bound.captures = try CaptureListenerSet.bind(
        configuration.captures.filter(\.scope.isTransparent))
    } catch {
      bound.closeAll()
      throw error
    }
    return bound
  }

  /// The same with all that a configuration and its policy's agents ask for beside it.
  ///
  /// - Throws: `ListenError`; what was bound before stays bound then.
  func completed(_ configuration: GateConfiguration, agents: [Agent]) throws(ListenError) -> BoundListeners {
    let wanted = ListenerSet.wanted(configuration, agents: agents)
    let wantedNames = NameListenerSet.wanted(configuration, agents: agents)
    let fresh = try listeners.bindMissing(of: wanted)
    var all = self
    do throws(ListenError) {
      let names = try names.bindMissing(of: wantedNames)
      all.listeners.adopt(fresh, wanted: wanted)
      _ = all.names.adopt(names, wanted: wantedNames)
      all.captures.add(
        try CaptureListenerSet.bind(configuration.captures.filter { !$0.scope.isTransparent }))
      all.metrics = try configuration.metricsListener.map { address throws(ListenError) in
        PageServer(try .bind(BindAddress(own: address)))
      }
    } catch {
      all.closeAll()
      throw error
    }
    return all
  }

  /// The same with where a webhook's far side answers: always in the gate's own network.
  func withCallbacks(_ configuration: GateConfiguration, _ terms: PageTerms) throws(ListenError)
    -> BoundListeners
  {
    var all = self
    all.callbacks = try configuration.callbackListener.map { address throws(ListenError) in
      PageServer(try .bind(BindAddress(own: address)), terms)
    }
    return all
  }

  /// Takes over what was bound in another network namespace for this configuration.
  ///
  /// - Returns: nil when it is not what the configuration asks for; nothing is left open then.
  init?(_ configuration: GateConfiguration, adopting descriptors: [Int32]) {
    let proxies = configuration.proxyListeners, questions = configuration.nameCaptures
    let captured = configuration.captures
    guard descriptors.count == proxies.count + captured.count + 2 * questions.count else {
      for descriptor in descriptors { close(descriptor) }
      return nil
    }
    var rest = descriptors[...]
    let fresh = proxies.map { ($0, Listener.adopting(rest.removeFirst())) }
    listeners.adopt(Dictionary(fresh) { $1 }, wanted: proxies)
    captures = CaptureListenerSet(adopting: captured.map { ($0, Listener.adopting(rest.removeFirst())) })
    var pairs: [NamePlace: NameListenerSet.Pair] = [:]
    for question in questions {
      let datagrams = rest.removeFirst(), streams = Listener.adopting(rest.removeFirst())
      guard let datagrams = BoundDatagramSocket(adopting: datagrams) else { return nil }
      pairs[NamePlace(endpoint: question.endpoint, scope: question.scope)] = NameListenerSet.Pair(
        datagrams: datagrams, streams: streams)
    }
    _ = names.adopt(pairs, wanted: NameListenerSet.wanted(configuration, agents: []))
  }

  /// All sockets, in the order in which they are handed over.
  func descriptors(_ configuration: GateConfiguration) -> [Int32] {
    let pairs = configuration.nameCaptures.compactMap {
      names.bound[NamePlace(endpoint: $0.endpoint, scope: $0.scope)]
    }
    return configuration.proxyListeners.compactMap { listeners.bound[$0]?.descriptor }
      + captures.bound.map(\.listener.descriptor)
      + pairs.flatMap { [$0.datagrams.descriptor, $0.streams.descriptor] }
  }

  mutating func closeAll() {
    listeners.closeAll()
    names.closeAll()
    captures.closeAll()
    metrics?.close()
    callbacks?.close()
  }

  /// The endpoints no destination may be.
  var endpoints: [Endpoint] {
    listeners.endpoints + names.endpoints + captures.endpoints
      + [metrics?.endpoint, callbacks?.endpoint].compactMap(\.self)
  }
}

extension BindAddress {
  /// For the gate's own pages: a Unix socket is its own user's and its group's.
  fileprivate init(own address: ListenAddress) {
    switch address {
    case .tcp(let endpoint): self = .tcp(endpoint)
    case .unix(let path): self = .unix(path: path, mode: 0o660)
    }
  }
}

/// The listeners of a gate, bound by another process than the gate's: in the network that they are for.
public final class HandedListeners {
  private let bound: BoundListeners
  /// Their sockets, for `GateConfiguration.handedSockets`; they are open as long as this object is there.
  public let descriptors: [Int32]

  /// Binds, in the network namespace of the calling thread.
  public init(_ configuration: GateConfiguration) throws(ListenError) {
    bound = try BoundListeners().completed(configuration, agents: [])
    descriptors = bound.descriptors(configuration)
  }
}

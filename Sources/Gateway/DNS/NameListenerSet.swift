import Addressing
import EventLoop
import Policy

/// What tells DNS listeners apart: two may have one endpoint, each on an interface of its own.
struct NamePlace: Hashable, Sendable, CustomStringConvertible {
  var endpoint: Endpoint
  var scope = ListenScope.plain

  /// `127.0.0.1:53`, `127.0.0.1:15353%veth0`.
  var description: String { "\(endpoint)\(scope.device.map { "%\($0)" } ?? "")" }
}

/// The DNS listeners that are bound, UDP and TCP on the same port, and the
/// change to another set.
struct NameListenerSet {
  /// Both sockets of one listener.
  struct Pair {
    let datagrams: BoundDatagramSocket
    let streams: Listener
  }

  private(set) var bound: [NamePlace: Pair] = [:]
  /// Whose each listener is.
  private(set) var owners: [NamePlace: AgentName] = [:]

  /// The listeners that the flags ask for, which are the default agent's, those
  /// for captured questions, and those that agents have of their own.
  static func wanted(_ configuration: GateConfiguration, agents: [Agent]) -> [NamePlace: AgentName] {
    var wanted: [NamePlace: AgentName] = [:]
    for endpoint in configuration.dnsListeners { wanted[NamePlace(endpoint: endpoint)] = .default }
    for capture in configuration.nameCaptures {
      wanted[NamePlace(endpoint: capture.endpoint, scope: capture.scope)] = capture.agent
    }
    for agent in agents {
      if let endpoint = agent.dns { wanted[NamePlace(endpoint: endpoint)] = agent.name }
    }
    return wanted
  }

  /// Binds what `wanted` has more than is bound.
  ///
  /// - Throws: `ListenError`; what was bound in vain is closed again.
  func bindMissing(of wanted: [NamePlace: AgentName]) throws(ListenError) -> [NamePlace: Pair] {
    var fresh: [NamePlace: Pair] = [:]
    for place in wanted.keys where bound[place] == nil {
      do throws(ListenError) {
        let streams = try Listener.bind(.tcp(place.endpoint), scope: place.scope)
        do throws(ListenError) {
          fresh[place] = Pair(
            datagrams: try BoundDatagramSocket(place.endpoint, scope: place.scope), streams: streams)
        } catch {
          streams.close()
          throw error
        }
      } catch {
        for pair in fresh.values { pair.streams.close() }
        throw error
      }
    }
    return fresh
  }

  /// Takes over what was bound and closes what is no longer wanted.
  ///
  /// - Returns: The listeners that were closed.
  mutating func adopt(_ fresh: [NamePlace: Pair], wanted: [NamePlace: AgentName]) -> [NamePlace] {
    bound.merge(fresh) { old, _ in old }
    owners = wanted
    let gone = bound.keys.filter { wanted[$0] == nil }
    for place in gone { bound.removeValue(forKey: place)?.streams.close() }
    return gone
  }

  mutating func closeAll() {
    for pair in bound.values { pair.streams.close() }
    bound = [:]
  }

  /// The endpoints no destination may be.
  var endpoints: [Endpoint] { bound.keys.map(\.endpoint) }
}

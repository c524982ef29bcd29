import Addressing
import EventLoop
import Policy

/// The DNS listeners that are bound, UDP and TCP on the same port, and the
/// change to another set.
struct NameListenerSet {
  /// Both sockets of one listener.
  struct Pair {
    let datagrams: BoundDatagramSocket
    let streams: Listener
  }

  private(set) var bound: [Endpoint: Pair] = [:]
  /// Whose each listener is.
  private(set) var owners: [Endpoint: AgentName] = [:]

  /// The listeners that the flags ask for, which are the default agent's, and
  /// those that agents have of their own.
  static func wanted(flags: [Endpoint], agents: [Agent]) -> [Endpoint: AgentName] {
    var wanted = Dictionary(flags.map { ($0, AgentName.default) }) { first, _ in first }
    for agent in agents {
      if let endpoint = agent.dns { wanted[endpoint] = agent.name }
    }
    return wanted
  }

  /// Binds what `wanted` has more than is bound.
  ///
  /// - Throws: `ListenError`; what was bound in vain is closed again.
  func bindMissing(of wanted: [Endpoint: AgentName]) throws(ListenError) -> [Endpoint: Pair] {
    var fresh: [Endpoint: Pair] = [:]
    for endpoint in wanted.keys where bound[endpoint] == nil {
      do throws(ListenError) {
        let streams = try Listener.bind(.tcp(endpoint))
        do throws(ListenError) {
          fresh[endpoint] = Pair(datagrams: try BoundDatagramSocket(endpoint), streams: streams)
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
  mutating func adopt(_ fresh: [Endpoint: Pair], wanted: [Endpoint: AgentName]) -> [Endpoint] {
    bound.merge(fresh) { old, _ in old }
    owners = wanted
    let gone = bound.keys.filter { wanted[$0] == nil }
    for endpoint in gone { bound.removeValue(forKey: endpoint)?.streams.close() }
    return gone
  }

  mutating func closeAll() {
    for pair in bound.values { pair.streams.close() }
    bound = [:]
  }

  /// The endpoints no destination may be.
  var endpoints: [Endpoint] { Array(bound.keys) }
}

import Addressing
import EventLoop
import Policy

/// All that a gate listens on, but for its control socket.
struct BoundListeners {
  private(set) var listeners = ListenerSet()
  private(set) var names = NameListenerSet()
  private(set) var captures = CaptureListenerSet()

  /// Binds all that a configuration and its policy's agents ask for.
  ///
  /// - Throws: `ListenError`; nothing is left bound then.
  init(_ configuration: GateConfiguration, agents: [Agent]) throws(ListenError) {
    let wanted = ListenerSet.wanted(flags: configuration.proxyListeners, agents: agents)
    let wantedNames = NameListenerSet.wanted(configuration, agents: agents)
    do throws(ListenError) {
      listeners.adopt(try listeners.bindMissing(of: wanted), wanted: wanted)
      _ = names.adopt(try names.bindMissing(of: wantedNames), wanted: wantedNames)
      captures = try CaptureListenerSet.bind(configuration.captures)
    } catch {
      closeAll()
      throw error
    }
  }

  mutating func closeAll() {
    listeners.closeAll()
    names.closeAll()
    captures.closeAll()
  }

  /// The endpoints no destination may be.
  var endpoints: [Endpoint] { listeners.endpoints + names.endpoints + captures.endpoints }
}

import Addressing
import EventLoop

/// The listeners for captured connections; the same for the life of the gate,
/// as the kernel's table is.
struct CaptureListenerSet {
  private(set) var bound: [(settings: CaptureSettings, listener: Listener)] = []

  /// Takes over listeners that another process has bound.
  init(adopting bound: [(settings: CaptureSettings, listener: Listener)] = []) { self.bound = bound }

  /// Binds what is asked for.
  ///
  /// - Throws: `ListenError`; what was bound in vain is closed again.
  static func bind(_ wanted: [CaptureSettings]) throws(ListenError) -> CaptureListenerSet {
    var set = CaptureListenerSet()
    for settings in wanted {
      do throws(ListenError) {
        // Without TCP_DEFER_ACCEPT: in some protocols the server speaks first.
        set.bound.append((settings, try Listener.bind(.tcp(settings.endpoint), scope: settings.scope)))
      } catch {
        set.closeAll()
        throw error
      }
    }
    return set
  }

  mutating func add(_ other: CaptureListenerSet) { bound += other.bound }

  mutating func closeAll() {
    for entry in bound { entry.listener.close() }
    bound = []
  }

  /// The endpoints no destination may be.
  var endpoints: [Endpoint] { bound.compactMap(\.listener.boundEndpoint) }
}

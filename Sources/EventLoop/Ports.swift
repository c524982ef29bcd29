import Synchronization

/// The ports of a listener, until it is closed.
///
/// One of them accepts at a time. A socket that several loops watch wakes all
/// of them for each connection (EPOLLEXCLUSIVE does not reach through an epoll
/// instance inside another one), and all but one find nothing. The port whose
/// loop has clearly more to do than another passes its turn on to that one, so
/// connections are spread by how many are open, not by how many have come.
final class Ports: Sendable {
  private struct Entry {
    var loop: EventLoop
    var port: LoopConfined<AcceptingPort>

    var load: Int { loop.load.load(ordering: .relaxed) }
  }

  private struct State {
    var isClosed = false
    var entries: [Entry] = []
  }

  /// In channels, how much more than another a loop may have before it passes its turn on.
  private static let slack = 8

  private let state = Mutex(State())

  /// Takes a port in; the first one has the turn. Nothing happens when the
  /// listener was closed before this loop came to it.
  func add(_ port: AcceptingPort) {
    let entry = Entry(loop: port.loop, port: LoopConfined(port))
    let isFirst = state.withLock { state in
      guard !state.isClosed else { return false }
      state.entries.append(entry)
      return state.entries.count == 1
    }
    if isFirst { port.open() }
  }

  /// Whether another loop has so much less to do than `loop` that it should accept.
  func haveLighter(than loop: EventLoop) -> Bool {
    let own = loop.openChannels
    guard own > Self.slack, let least = others(of: loop).map(\.load).min() else { return false }
    return own > least + least / 2 + Self.slack
  }

  /// Gives the turn of `port` to the one with the least to do; back to itself where there is no other.
  ///
  /// - Parameter isEnding: Whether `port` will never have it again.
  func pass(on port: AcceptingPort, isEnding: Bool = false) {
    if isEnding { state.withLock { $0.entries.removeAll { $0.loop === port.loop } } }
    guard let next = others(of: port.loop).min(by: { $0.load < $1.load }) else {
      if !isEnding { port.open() }
      return
    }
    next.loop.submit {
      next.port.value.open()
    } orElse: {
      self.pass(on: next.port.value, isEnding: true)
    }
  }

  private func others(of loop: EventLoop) -> [Entry] {
    state.withLock { $0.entries.filter { $0.loop !== loop } }
  }

  /// Closes all of them, each on its loop.
  func close() {
    let entries = state.withLock { state in
      defer { state.entries = [] }
      state.isClosed = true
      return state.entries
    }
    for entry in entries { entry.loop.submit { entry.port.value.close() } }
  }
}

import EventLoop
import SystemPackage

/// A socket that carries the questions of one turn.
final class UpstreamPort: DatagramPortDelegate {
  /// The most questions that share a port.
  static let capacity = 16

  private unowned let forwarder: Forwarder
  private let owner: AgentNumber
  private(set) var socket: DatagramPort?
  let isV4: Bool
  var ids: [(id: UInt16, place: Int)] = []
  var carried = 1
  var isCurrent = true

  init(
    _ forwarder: Forwarder, of owner: AgentNumber, on loop: EventLoop, _ batch: DatagramBatch, isV4: Bool
  ) throws(Errno) {
    self.forwarder = forwarder
    self.owner = owner
    self.isV4 = isV4
    socket = try DatagramPort(loop: loop, family: isV4 ? .v4 : .v6, batch: batch, delegate: self)
  }

  func port(
    _ port: DatagramPort, received message: UnsafeRawBufferPointer, _ arrival: DatagramArrival
  ) {
    forwarder.received(message, from: arrival.peer, at: self)
  }

  func forget(_ id: UInt16) {
    if let place = ids.firstIndex(where: { $0.id == id }) { ids.remove(at: place) }
    closeIfIdle()
  }

  func closeIfIdle() {
    guard !isCurrent, ids.isEmpty, let socket else { return }
    socket.close()
    self.socket = nil
    forwarder.giveSocket(of: owner)
  }
}

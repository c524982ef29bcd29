import Addressing
import EventLoop
import Policy
import SystemPackage

/// Where one agent's questions come in over UDP.
final class NameEntrance: DatagramPortDelegate {
  private let service: NameService
  /// Whose questions come in here.
  var agent: AgentNumber
  private(set) var port: DatagramPort!

  /// Serves a bound socket.
  init(
    _ socket: BoundDatagramSocket, of agent: AgentName, service: NameService, batch: DatagramBatch
  ) throws(Errno) {
    self.service = service
    self.agent = service.number(of: agent)
    port = try DatagramPort(loop: service.shard.loop, bound: socket, batch: batch, delegate: self)
  }

  func port(_ port: DatagramPort, received message: UnsafeRawBufferPointer, _ arrival: DatagramArrival) {
    let peer = arrival.peer
    port.stage(peer) { response in
      let handled = service.handle(
        message, isWhole: !arrival.isCut, over: .datagram, as: agent, into: response
      ) { .datagram(port, peer) }
      if case .response(let count) = handled { return count }
      return 0
    }
  }

  func close() { port.close() }
}

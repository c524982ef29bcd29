import Addressing
import EventLoop
import SystemPackage

/// The socket of one attempt; it lives until `close`.
protocol UpstreamExchange: AnyObject {
  func close()
}

/// What a socket of an attempt tells; the last two at most once.
struct ExchangeEvents {
  let datagram: ([UInt8], Endpoint) -> Void
  let message: ([UInt8]) -> Void
  /// With the cause, worded to follow the upstream's name.
  let failed: (String) -> Void
}

/// One query over UDP: a socket of its own, so a source port of its own, and
/// not connected, so that an ICMP error neither wakes nor fails it.
final class DatagramExchange: UpstreamExchange {
  private let socket: DatagramSocket

  init(_ events: ExchangeEvents, _ query: [UInt8], to upstream: Endpoint, on loop: EventLoop) throws(Errno) {
    socket = try DatagramSocket(loop: loop, family: upstream.address.isV4 ? .v4 : .v6)
    socket.onReceive = { bytes, sender in events.datagram(bytes, sender) }
    guard socket.send(query, to: upstream) else {
      socket.close()
      throw .networkUnreachable
    }
  }

  func close() { socket.close() }
}

/// One query over TCP, and the first message that comes back.
///
/// - Source: RFC 1035 §4.2.2 (two bytes of length), RFC 7766.
final class StreamExchange: UpstreamExchange, ChannelDelegate {
  private let events: ExchangeEvents
  private let loop: EventLoop
  private let channel: Channel
  private var outgoing: ArraySlice<UInt8>
  private var incoming: [UInt8] = []
  private var isConnected = false

  init(_ events: ExchangeEvents, _ query: [UInt8], to upstream: Endpoint, on loop: EventLoop) throws(Errno) {
    self.events = events
    self.loop = loop
    let length = UInt16(truncatingIfNeeded: query.count)
    outgoing = [UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length)] + query[...]
    channel = try loop.connect(to: upstream, mayUseReserve: true)
    channel.delegate = self
  }

  func close() {
    channel.delegate = nil
    channel.close()
  }

  func channelIsReady(_ channel: Channel) {
    guard isConnected || connect() else { return }
    guard write() else { return }
    read()
  }

  /// The resolver's own alarm closes the exchange in time.
  func channelDeadlinePassed(_ channel: Channel) {}

  private func connect() -> Bool {
    switch channel.finishConnecting() {
    case .pending: return false
    case .failed(let error):
      events.failed("it cannot be connected to: \(error)")
      return false
    case .connected:
      isConnected = true
      return true
    }
  }

  /// Writes what is left of the query. Returns whether the connection is well.
  private func write() -> Bool {
    while !outgoing.isEmpty {
      switch outgoing.withUnsafeBytes({ channel.write($0) }) {
      case .bytes(let count): outgoing.removeFirst(count)
      case .wouldBlock: return true
      case .failed(let error):
        events.failed("the connection broke: \(error)")
        return false
      }
    }
    return true
  }

  /// Reads until a whole message is there; it has at most 65,535 bytes.
  private func read() {
    while true {
      switch channel.read(into: loop.scratch) {
      case .bytes(let count):
        incoming += UnsafeRawBufferPointer(rebasing: loop.scratch[..<count])
        if let message { return events.message(message) }
      case .wouldBlock: return
      case .end: return events.failed("it closed the connection")
      case .failed(let error): return events.failed("the connection broke: \(error)")
      }
    }
  }

  private var message: [UInt8]? {
    guard incoming.count >= 2 else { return nil }
    let length = Int(incoming[0]) << 8 | Int(incoming[1])
    return incoming.count >= 2 + length ? Array(incoming[2..<(2 + length)]) : nil
  }
}

import EventLoop
import Policy
import Wire

/// A client's TCP connection to a DNS listener: messages with two bytes of
/// length before them, answered as their answers come, in any order.
///
/// - Source: RFC 1035 §4.2.2; RFC 7766 §6 and §7 (pipelining, time limits).
final class DNSStreamConnection: ChannelDelegate {
  /// How long nothing may come and nothing be owed (RFC 7766 §6.2.3: seconds).
  private static let idle: Duration = .seconds(10)
  /// How long one message may take to come whole, a byte at a time or not.
  private static let patience: Duration = .seconds(10)
  /// Questions of one connection that wait for an answer.
  private static let inFlight = 64
  /// In bytes: answers that the client does not take. Above it, nothing is read.
  private static let backlog = 128 << 10

  private let channel: Channel
  private let service: NameService
  /// The listener it came to.
  let listener: NamePlace
  let agent: AgentNumber
  private let ended: (DNSStreamConnection) -> Void
  private var incoming: [UInt8] = []
  private var outgoing: [UInt8] = []
  private var waiting = 0
  private var isPaused = false
  private var hasEnded = false
  private var isReading = false

  init(
    _ channel: Channel, at listener: NamePlace, service: NameService, agent: AgentNumber,
    ended: @escaping (DNSStreamConnection) -> Void
  ) {
    self.channel = channel
    self.listener = listener
    self.service = service
    self.agent = agent
    self.ended = ended
  }

  /// The client's address and port.
  var client: String { channel.remoteEndpoint.map { "\($0)" } ?? "" }

  /// Whether nothing is owed to the client, nor under way from it.
  var isIdle: Bool { waiting == 0 && outgoing.isEmpty }

  func start() {
    channel.delegate = self
    extend(Self.idle)
    channelIsReady(channel)
  }

  func channelIsReady(_ channel: Channel) {
    guard flush() else { return }
    read()
  }

  func channelDeadlinePassed(_ channel: Channel) {
    // Whoever has asked in full is owed an answer, which the resolver bounds in time.
    waiting > 0 && incoming.isEmpty ? extend(Self.idle) : close()
  }

  /// Sends an answer that came later.
  func answer(_ message: UnsafeRawBufferPointer) {
    guard !channel.isClosed else { return }
    waiting -= 1
    append(message)
    guard flush() else { return }
    read()
  }

  func close() {
    guard !channel.isClosed else { return }
    channel.close()
    ended(self)
  }

  private func extend(_ span: Duration) {
    channel.deadline = service.shard.loop.now + span
  }

  private func append(_ message: UnsafeRawBufferPointer) {
    outgoing.append(UInt8(truncatingIfNeeded: message.count >> 8))
    outgoing.append(UInt8(truncatingIfNeeded: message.count))
    outgoing.append(contentsOf: message)
  }

  /// Writes what waits. Returns whether the connection is open.
  private func flush() -> Bool {
    while !outgoing.isEmpty {
      switch outgoing.withUnsafeBytes({ channel.write($0) }) {
      case .bytes(let count):
        outgoing.removeFirst(count)
        extend(Self.idle)
      case .wouldBlock: return true
      case .failed:
        close()
        return false
      }
    }
    guard hasEnded, waiting == 0 else { return true }
    close()
    return false
  }

  /// Reads as long as there is room for what is asked.
  private func read() {
    guard !isReading else { return }
    isReading = true
    defer { isReading = false }
    while !channel.isClosed, takeMessages(), !hasEnded {
      let buffer = UnsafeMutableRawBufferPointer(rebasing: service.shard.loop.scratch[..<4096])
      switch channel.read(into: buffer) {
      case .bytes(let count):
        if incoming.isEmpty { extend(Self.patience) }
        incoming.append(contentsOf: buffer[..<count])
      case .wouldBlock: return
      case .end:
        hasEnded = true
        if waiting == 0, outgoing.isEmpty { close() }
      case .failed: close()
      }
    }
  }

  /// Handles the whole messages that have come. Returns whether more may be read.
  private func takeMessages() -> Bool {
    var start = 0
    defer { if start > 0 { forget(start) } }
    while incoming.count - start >= 2 {
      guard waiting < Self.inFlight, outgoing.count < Self.backlog, !isPaused else { return false }
      let length = Int(incoming[start]) << 8 | Int(incoming[start + 1])
      guard incoming.count - start - 2 >= length else { return true }
      if let delay = service.streamDelay(agent) {
        pause(for: delay)
        return false
      }
      let message = start + 2..<start + 2 + length
      start = message.upperBound
      handle(message)
      guard !channel.isClosed else { return false }
    }
    return !isPaused
  }

  private func forget(_ count: Int) {
    incoming.removeFirst(count)
    if !channel.isClosed { extend(incoming.isEmpty ? Self.idle : Self.patience) }
  }

  private func handle(_ range: Range<Int>) {
    let output = service.output
    // Counted first: an answer may come within the call.
    waiting += 1
    let handled = incoming.withUnsafeBytes { bytes in
      service.handle(
        UnsafeRawBufferPointer(rebasing: bytes[range]), over: .stream, as: agent, into: output
      ) { .stream(self) }
    }
    guard handled != .later else { return }
    waiting -= 1
    // What gets no answer over UDP ends a connection: it is no DNS (RFC 7766 §8).
    guard case .response(let count) = handled else { return close() }
    append(UnsafeRawBufferPointer(rebasing: output[..<count]))
    _ = flush()
  }

  /// Reads nothing until the agent's rate has room again.
  private func pause(for delay: Duration) {
    isPaused = true
    service.shard.loop.schedule(after: delay) { [weak self] in
      guard let self, !channel.isClosed else { return }
      isPaused = false
      read()
    }
  }
}

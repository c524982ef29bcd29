/// One connection of requests and answers: a request is taken, handed over and
/// answered before the next one is looked at.
final class Conversation: ChannelDelegate {
  private enum Phase {
    case reading
    case answering
    case writing(thenClose: Bool)
    case streaming(MessageStream)
    case finished
  }

  private let number: UInt64
  private let channel: Channel
  private let room: ConversationRoom
  private let dialogue: any Dialogue
  private var phase = Phase.reading
  /// Counts requests, so that a late answer to one is none to the next.
  private var request: UInt64 = 0
  private var input: [UInt8] = []
  /// Length of `input` that is known to hold no whole request.
  private var scanned = 0
  private var output: ArraySlice<UInt8> = []

  init(_ channel: Channel, number: UInt64, in room: ConversationRoom, _ dialogue: any Dialogue) {
    self.channel = channel
    self.number = number
    self.room = room
    self.dialogue = dialogue
  }

  /// Whether nothing was asked yet.
  var isSilent: Bool {
    if case .reading = phase { return request == 0 }
    return false
  }

  func open() {
    channel.delegate = self
    wait(room.limits.idle)
    channelIsReady(channel)
  }

  func channelIsReady(_ channel: Channel) {
    while step() {}
  }

  func channelDeadlinePassed(_ channel: Channel) {
    finish()
  }

  /// Goes on as far as it can; false when it must wait for an event.
  private func step() -> Bool {
    switch phase {
    case .reading: takeRequest() || fill()
    case .writing(let thenClose): drain(thenClose: thenClose)
    case .streaming(let stream): flush(stream) || watch()
    case .answering, .finished: false
    }
  }

  // MARK: - Requests

  /// Hands over the first whole request in `input`; false when there is none.
  private func takeRequest() -> Bool {
    let answer = Answer(room: room, connection: number, request: request + 1)
    do throws(Refusal) {
      guard let length = try dialogue.take(input[...], resumingAt: scanned, answer: answer) else {
        scanned = input.count
        return false
      }
      input.removeSubrange(..<length)
      scanned = 0
      request += 1
      phase = .answering
      wait(room.limits.patience)
    } catch {
      send(error.bytes, thenClose: true)
    }
    return true
  }

  private func fill() -> Bool {
    switch channel.read(into: room.loop.scratch) {
    case .bytes(let count):
      input.append(contentsOf: room.loop.scratch.prefix(count))
      return true
    case .wouldBlock: return false
    case .end, .failed:
      finish()
      return false
    }
  }

  // MARK: - Answers

  /// Sends the answer to a request that was handed over.
  func answer(_ request: UInt64, _ bytes: [UInt8], thenClose: Bool) {
    guard case .answering = phase, request == self.request else { return }
    send(bytes, thenClose: thenClose)
    channelIsReady(channel)
  }

  private func send(_ bytes: [UInt8], thenClose: Bool) {
    output = bytes[...]
    phase = .writing(thenClose: thenClose)
    wait(room.limits.idle)
  }

  private func drain(thenClose: Bool) -> Bool {
    guard output.isEmpty else { return writeSome() != nil }
    if thenClose { finish() } else { phase = .reading }
    return !thenClose
  }

  /// Writes what the peer takes now: so many bytes; nil when there is an event to wait for, or nobody.
  private func writeSome() -> Int? {
    switch output.withUnsafeBytes({ channel.write($0) }) {
    case .bytes(let count):
      output = output.count == count ? [] : output.dropFirst(count)
      return count
    case .wouldBlock: return nil
    case .failed:
      finish()
      return nil
    }
  }

  // MARK: - Streams

  /// Answers a request that was handed over with a stream.
  func stream(_ request: UInt64, _ first: [UInt8], _ stream: MessageStream) {
    guard case .answering = phase, request == self.request else { return stream.close() }
    phase = .streaming(stream)
    channel.deadline = nil
    append(first)
  }

  func push(_ message: [UInt8], of request: UInt64) {
    guard case .streaming = phase, request == self.request else { return }
    append(message)
  }

  func endStream(of request: UInt64, cuttingOff: Bool) {
    guard case .streaming(let stream) = phase, request == self.request else { return }
    guard !cuttingOff else { return finish() }
    stream.close()
    phase = .writing(thenClose: true)
    wait(room.limits.idle)
    channelIsReady(channel)
  }

  private func append(_ bytes: [UInt8]) {
    if output.isEmpty, !bytes.isEmpty { wait(room.limits.idle) }
    output += bytes
    channelIsReady(channel)
  }

  /// Writes what waits; false when nothing does, or nothing is taken now.
  private func flush(_ stream: MessageStream) -> Bool {
    guard !output.isEmpty, let count = writeSome() else { return false }
    stream.give(count)
    if output.isEmpty { channel.deadline = nil } else { wait(room.limits.idle) }
    return true
  }

  /// Whoever listens to a stream has nothing to say: what comes, be it the end, ends it.
  private func watch() -> Bool {
    guard case .streaming = phase else { return false }
    if !input.isEmpty || channel.read(into: room.loop.scratch) != .wouldBlock { finish() }
    return false
  }

  // MARK: - End

  private func wait(_ time: Duration) {
    channel.deadline = room.loop.now + time
  }

  /// Ends it.
  func finish() {
    if case .streaming(let stream) = phase { stream.close() }
    phase = .finished
    channel.delegate = nil
    channel.close()
    room.forget(number)
  }
}

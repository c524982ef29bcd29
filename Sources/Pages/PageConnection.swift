import Addressing
import EventLoop
import Wire

/// One connection to a page: a request is read, handed over and answered
/// before the next one is looked at.
final class PageConnection: ChannelDelegate {
  private enum Phase {
    case reading
    case answering(headOnly: Bool, keepAlive: Bool)
    case writing(keepAlive: Bool)
    case finished
  }

  /// A client that sends nothing, or takes nothing, for this long is closed.
  private static let idle: Duration = .seconds(10)
  /// What an answer may take.
  private static let patience: Duration = .seconds(30)

  let number: UInt64
  private let channel: Channel
  private let loop: EventLoop
  private let room: PageRoom
  private let place: Endpoint
  private var phase = Phase.reading
  private var input: [UInt8] = []
  /// Length of `input` that is known to hold no whole request.
  private var scanned = 0
  private var output: ArraySlice<UInt8> = []

  init(_ channel: Channel, number: UInt64, loop: EventLoop, room: PageRoom) {
    self.channel = channel
    self.number = number
    self.loop = loop
    self.room = room
    // A Unix socket has no port of its own: a client names the usual one.
    place = channel.localEndpoint ?? Endpoint(.v4(0x7f00_0001), .http)
  }

  func open() {
    channel.delegate = self
    wait(Self.idle)
    channelIsReady(channel)
  }

  func channelIsReady(_ channel: Channel) {
    while step() {}
  }

  func channelDeadlinePassed(_ channel: Channel) {
    finish()
  }

  func answer(_ answer: PageAnswer) {
    guard case .answering(let headOnly, let keepAlive) = phase else { return }
    send(answer, headOnly: headOnly, keepAlive: keepAlive)
    channelIsReady(channel)
  }

  /// Goes on as far as it can; false when it must wait for an event.
  private func step() -> Bool {
    switch phase {
    case .reading: takeRequest() || fill()
    case .writing(let keepAlive): drain(keepAlive: keepAlive)
    case .answering, .finished: false
    }
  }

  /// Hands over the first whole request in `input`; false when there is none.
  private func takeRequest() -> Bool {
    do throws(RequestError) {
      guard let (request, length) = try PageRequest.parse(input[...], at: place, resumingAt: scanned) else {
        scanned = input.count
        return false
      }
      input.removeSubrange(..<length)
      scanned = 0
      phase = .answering(headOnly: request.method == "HEAD", keepAlive: request.keepAlive)
      wait(Self.patience)
      room.ask(request, from: self)
    } catch {
      let status = error == .hostMismatch ? 421 : error.status
      send(.text(status, "refused: \(error.token)"), headOnly: false, keepAlive: false)
    }
    return true
  }

  private func fill() -> Bool {
    switch channel.read(into: loop.scratch) {
    case .bytes(let count):
      input.append(contentsOf: loop.scratch.prefix(count))
      return true
    case .wouldBlock: return false
    case .end, .failed:
      finish()
      return false
    }
  }

  private func send(_ answer: PageAnswer, headOnly: Bool, keepAlive: Bool) {
    output = answer.bytes(headOnly: headOnly, keepAlive: keepAlive)[...]
    phase = .writing(keepAlive: keepAlive)
    wait(Self.idle)
  }

  private func drain(keepAlive: Bool) -> Bool {
    guard !output.isEmpty else {
      guard keepAlive else {
        finish()
        return false
      }
      phase = .reading
      return true
    }
    switch output.withUnsafeBytes({ channel.write($0) }) {
    case .bytes(let count):
      output = output.dropFirst(count)
      return true
    case .wouldBlock: return false
    case .failed:
      finish()
      return false
    }
  }

  private func wait(_ time: Duration) {
    channel.deadline = loop.now + time
  }

  private func finish() {
    phase = .finished
    channel.delegate = nil
    channel.close()
    room.forget(self)
  }
}

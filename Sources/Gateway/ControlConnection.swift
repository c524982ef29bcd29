import Control
import Dispatch
import EventLoop

/// The open connections of one control socket, by number, so that a reply made
/// on any thread finds its connection on the loop, or finds it gone.
///
/// `@unchecked Sendable`: the table is touched on `loop` alone, which every
/// entry point checks.
final class ControlRoom: @unchecked Sendable {
  private let loop: EventLoop
  private let handler: ControlSocket.Handler
  private let notice: ControlSocket.Notice
  private var connections: [UInt64: ControlConnection] = [:]
  private var opened: UInt64 = 0

  init(loop: EventLoop, handler: @escaping ControlSocket.Handler, notice: @escaping ControlSocket.Notice) {
    self.loop = loop
    self.handler = handler
    self.notice = notice
  }

  /// Takes a connection that was just accepted.
  func admit(_ channel: Channel, ownUser: UInt32) {
    dispatchPrecondition(condition: .onQueue(loop.queue))
    guard let peer = channel.peerCredentials, peer.uid == 0 || peer.uid == ownUser else {
      notice(.strangerRefused, channel.peerCredentials)
      channel.close()
      return
    }
    guard connections.count < ControlSocket.maximumConnections else {
      notice(.tooManyConnections, peer)
      channel.close()
      return
    }
    opened += 1
    let connection = ControlConnection(channel, number: opened, peer: peer, loop: loop, room: self)
    connections[opened] = connection
    connection.open()
  }

  /// Hands a request over; the answer returns through the loop.
  func ask(_ request: ControlRequest, from connection: ControlConnection) {
    let number = connection.number
    handler(request, connection.peer) { [self] reply in
      loop.submit { self.answer(reply, to: number) }
    }
  }

  func report(_ error: ControlError, from connection: ControlConnection) {
    notice(.badRequest(error), connection.peer)
  }

  func forget(_ connection: ControlConnection) {
    dispatchPrecondition(condition: .onQueue(loop.queue))
    connections[connection.number] = nil
  }

  private func answer(_ reply: ControlReply, to number: UInt64) {
    dispatchPrecondition(condition: .onQueue(loop.queue))
    connections[number]?.answer(reply)
  }
}

/// One connection: a request is read, handed over and answered before the next
/// one is looked at.
final class ControlConnection: ChannelDelegate {
  private enum Phase {
    case reading
    case answering
    case writing(thenClose: Bool)
    case finished
  }

  /// A peer that sends nothing, or takes nothing, for this long is closed.
  static let idle: Duration = .seconds(10)
  /// What an answer may take: a reload reads files and resolves nothing.
  static let patience: Duration = .seconds(60)

  let number: UInt64
  let peer: PeerCredentials
  private let channel: Channel
  private let loop: EventLoop
  private let room: ControlRoom
  private var phase = Phase.reading
  private var input: [UInt8] = []
  /// Bytes of `input` known to hold no newline.
  private var scanned = 0
  private var output: ArraySlice<UInt8> = []

  init(_ channel: Channel, number: UInt64, peer: PeerCredentials, loop: EventLoop, room: ControlRoom) {
    self.channel = channel
    self.number = number
    self.peer = peer
    self.loop = loop
    self.room = room
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

  /// Sends the answer to the request that was handed over.
  func answer(_ reply: ControlReply) {
    guard case .answering = phase else { return }
    send(reply, thenClose: false)
    channelIsReady(channel)
  }

  /// Goes on as far as it can; false when it must wait for an event.
  private func step() -> Bool {
    switch phase {
    case .reading: takeLine() || fill()
    case .writing(let thenClose): drain(thenClose: thenClose)
    case .answering, .finished: false
    }
  }

  /// Handles the first whole line in `input`; false when there is none.
  private func takeLine() -> Bool {
    guard let end = input[scanned...].firstIndex(of: UInt8(ascii: "\n")) else {
      scanned = input.count
      guard input.count >= ControlProtocol.maximumLength else { return false }
      refuse(.tooLong)
      return true
    }
    let line = Array(input[..<end])
    input.removeSubrange(...end)
    scanned = 0
    do throws(ControlError) {
      let request = try ControlRequest(line: line)
      phase = .answering
      wait(Self.patience)
      room.ask(request, from: self)
    } catch {
      refuse(error)
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

  private func refuse(_ error: ControlError) {
    room.report(error, from: self)
    send(.refused("\(error)"), thenClose: true)
  }

  private func send(_ reply: ControlReply, thenClose: Bool) {
    output = reply.line()[...]
    phase = .writing(thenClose: thenClose)
    wait(Self.idle)
  }

  private func drain(thenClose: Bool) -> Bool {
    guard !output.isEmpty else {
      if thenClose { finish() } else { phase = .reading }
      return !thenClose
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

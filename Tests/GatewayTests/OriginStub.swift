import Addressing
import Dispatch
import EventLoop
import Glibc
import Synchronization
import Testing

/// A server on loopback that keeps every byte it gets, in the order of its connections.
final class OriginStub: Sendable {
  /// What happens when bytes have come: `all` is what this connection got so far.
  typealias Script = @Sendable (_ connection: OriginConnection, _ all: [UInt8]) -> Void

  let port: Port
  private let loop: EventLoop
  private let listener: Listener
  private let log = Mutex<[[UInt8]]>([])

  /// - Parameter greeting: What it says before the client does.
  init(greeting: String = "", _ script: @escaping Script) throws {
    loop = try EventLoop(label: "origin")
    listener = try Listener.bind(.anyPort(.v4(0x7f00_0001)))
    port = try #require(listener.boundEndpoint).port
    listener.start(on: [loop]) { [weak self] channel in
      guard let self else { return channel.close() }
      let connection = OriginConnection(channel, number: self.open(), of: self, script)
      connection.start()
      if !greeting.isEmpty { connection.send(greeting) }
    }
  }

  /// What each connection has sent so far; a connection that sent nothing counts.
  var received: [[UInt8]] { log.withLock { $0 } }
  var texts: [String] { received.map { String(decoding: $0, as: UTF8.self) } }
  var connections: Int { log.withLock { $0.count } }

  func stop() {
    listener.close()
    loop.sync { loop.shutdown() }
  }

  private func open() -> Int {
    log.withLock { log in
      log.append([])
      return log.count - 1
    }
  }

  fileprivate func note(_ bytes: ArraySlice<UInt8>, of number: Int) {
    log.withLock { $0[number] += bytes }
  }

  // MARK: - Scripts

  /// Answers each connection's first head with a body of known length.
  static func answers(_ body: String) -> Script {
    responds("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
  }

  /// Sends `text` once a head is whole.
  static func responds(_ text: String) -> Script {
    { connection, all in
      if String(decoding: all, as: UTF8.self).contains("\r\n\r\n") { connection.sendOnce(Array(text.utf8)) }
    }
  }

  /// Sends back what comes.
  static let echoes: Script = { connection, _ in connection.send(Array(connection.latest)) }

  static let silent: Script = { _, _ in }
}

/// One connection of an origin; confined to its loop.
final class OriginConnection: ChannelDelegate {
  let channel: Channel
  private unowned let origin: OriginStub
  private let number: Int
  private let script: OriginStub.Script
  private var all: [UInt8] = []
  private(set) var latest: ArraySlice<UInt8> = []
  private var waiting: ArraySlice<UInt8> = []
  private var hasSent = false
  private var endsThen: (() -> Void)?

  init(_ channel: Channel, number: Int, of origin: OriginStub, _ script: @escaping OriginStub.Script) {
    self.channel = channel
    self.number = number
    self.origin = origin
    self.script = script
  }

  func start() {
    channel.delegate = self
    channelIsReady(channel)
  }

  func channelIsReady(_ channel: Channel) {
    flush()
    while !channel.isClosed {
      switch channel.read(into: channel.eventLoop.scratch) {
      case .bytes(let count): take(Array(channel.eventLoop.scratch[..<count]))
      case .wouldBlock: return
      case .end:
        if waiting.isEmpty { channel.close() } else { endsThen = { channel.close() } }
        return
      case .failed: return channel.close()
      }
    }
  }

  func channelDeadlinePassed(_ channel: Channel) {}

  private func take(_ bytes: [UInt8]) {
    all += bytes
    latest = bytes[...]
    origin.note(bytes[...], of: number)
    script(self, all)
  }

  func send(_ bytes: [UInt8]) {
    waiting += bytes
    flush()
  }

  func send(_ text: String) { send(Array(text.utf8)) }

  func sendOnce(_ bytes: [UInt8]) {
    guard !hasSent else { return }
    hasSent = true
    send(bytes)
  }

  /// Ends it once everything was taken.
  func end(withReset: Bool = false) {
    let channel = channel
    endsThen = { withReset ? channel.reset() : channel.close() }
    flush()
  }

  private func flush() {
    while !waiting.isEmpty, !channel.isClosed {
      switch waiting.withUnsafeBytes({ channel.write($0) }) {
      case .bytes(let count): waiting = waiting.dropFirst(count)
      case .wouldBlock: return
      case .failed: return channel.close()
      }
    }
    if let endsThen {
      self.endsThen = nil
      endsThen()
    }
  }
}

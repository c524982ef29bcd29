import Addressing
import EventLoop
import SystemPackage
import TLSClient
import Wire

/// One loop's connections to TLS upstreams: at most one to each, opened by the
/// first query and shared by all that follow.
///
/// - Source: RFC 7858 §3.4 (reuse), RFC 7766 §6.2.1 (pipelining).
final class SecureUpstreams {
  private let loop: EventLoop
  private let settings: TLSSettings?
  private var connections: [Upstream: SecureConnection] = [:]

  /// - Parameter settings: Whose certificates are believed; with nil every query fails.
  init(loop: EventLoop, settings: TLSSettings?) {
    self.loop = loop
    self.settings = settings
  }

  /// The number of connections.
  var count: Int { connections.count { $0.value.isUsable } }

  /// Sends a query and hands its answer, one message, to `events`.
  ///
  /// - Parameters:
  ///   - query: The message, without TCP's length; it is sent padded (RFC 8467).
  ///   - upstream: One that is spoken to over TLS; it is never spoken to otherwise.
  /// - Throws: What connecting says at once.
  func exchange(
    _ events: ExchangeEvents, _ query: [UInt8], with upstream: Upstream
  ) throws(Errno) -> SecureExchange {
    let padded = (try? DNSQuery.parse(query))?.padded ?? query
    let exchange = SecureExchange(events, padded, sentAt: loop.now)
    try send(exchange, to: upstream)
    return exchange
  }

  private func send(_ exchange: SecureExchange, to upstream: Upstream) throws(Errno) {
    let connection = try usable(upstream)
    guard let number = connection.send(exchange.query, for: exchange) else { throw .noBufferSpace }
    exchange.place = (connection, number)
  }

  private func usable(_ upstream: Upstream) throws(Errno) -> SecureConnection {
    if let connection = connections[upstream], connection.isUsable { return connection }
    guard case .tls(let name) = upstream.transport, let settings,
      let session = TLSSession(settings, host: .name(name))
    else { throw .protocolNotSupported }
    let connection = try SecureConnection(upstream.endpoint, session, on: loop) { [weak self] in
      self?.end($0, of: upstream, because: $1, mayRetry: $2)
    }
    connections[upstream] = connection
    return connection
  }

  /// A connection has ended. That one which worked was closed by the server says
  /// nothing about the queries that met its end, so they get a second connection, once.
  private func end(_ waiting: [SecureExchange], of upstream: Upstream, because cause: String, mayRetry: Bool)
  {
    connections[upstream] = nil
    for exchange in waiting {
      exchange.place = nil
      guard mayRetry, exchange.beginsAgain(at: loop.now) else {
        exchange.fail(because: cause)
        continue
      }
      do { try send(exchange, to: upstream) } catch {
        exchange.fail(because: "it cannot be connected to: \(error)")
      }
    }
  }
}

/// One query over a shared connection.
final class SecureExchange: UpstreamExchange {
  let query: [UInt8]
  private let events: ExchangeEvents
  private var sentAt: MonotonicTime
  private var isRepeated = false
  private var isClosed = false
  /// Where it is in flight.
  fileprivate(set) var place: (connection: SecureConnection, number: UInt16)?

  fileprivate init(_ events: ExchangeEvents, _ query: [UInt8], sentAt: MonotonicTime) {
    self.events = events
    self.query = query
    self.sentAt = sentAt
  }

  /// Whether it may be sent a second time, which it then counts as.
  fileprivate func beginsAgain(at now: MonotonicTime) -> Bool {
    guard !isRepeated, !isClosed else { return false }
    (isRepeated, sentAt) = (true, now)
    return true
  }

  fileprivate func fail(because cause: String) {
    if !isClosed { events.failed(cause) }
  }

  /// Hands the answer over.
  func take(_ message: [UInt8]) {
    place = nil
    if !isClosed { events.message(message) }
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    place?.connection.forget(place?.number ?? 0, sentAt: sentAt)
    place = nil
  }
}

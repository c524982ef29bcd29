import Addressing
import TLSClient

/// A connection to a target, with TLS where the target wants it.
final class Stream {
  /// In milliseconds, for the connection and the handshake.
  static let openingTime: UInt64 = 15_000
  /// In milliseconds, for the far side to take what is sent, and to answer.
  static let usualPatience: UInt64 = 30_000
  /// In milliseconds, for the far side's kernel to acknowledge the end, when its program has ended the connection.
  private static let acknowledgementTime: UInt64 = 3000

  private let socket: SocketConnection
  private let session: TLSSession?
  /// In milliseconds, what is waited for the far side in each step; for the connection no more than `openingTime`.
  let patience: UInt64
  /// What was read and not handed out.
  private var plain: [UInt8] = []
  /// Whether the far side will send no more.
  private(set) var isEnded = false

  /// Connects to a target; without TLS to this machine alone unless `mayLeaveInClear`.
  init(
    to target: ShippingTarget, settings: TLSSettings?, mayLeaveInClear: Bool, waiter: Waiter,
    patience: UInt64 = usualPatience
  ) throws(ConnectionError) {
    self.patience = patience
    let deadline = monotonicMilliseconds() + min(patience, Self.openingTime)
    var addresses = try ResolvedAddress.all(of: target.host, port: target.port)
    if !target.isSecure, !mayLeaveInClear {
      addresses = addresses.filter { $0.address?.addressClass == .loopback }
      guard !addresses.isEmpty else { throw .notLoopback }
    }
    socket = try SocketConnection.connect(to: addresses, waiter: waiter, until: deadline)
    if target.isSecure {
      guard let settings, let session = TLSSession(settings, host: target.host) else {
        throw .insecure("there is no memory for TLS")
      }
      self.session = session
      try shake(session, until: deadline)
    } else {
      session = nil
    }
  }

  /// Connects to a Unix socket, or to an address of this machine, without TLS.
  init(in place: LocalPlace, waiter: Waiter, patience: UInt64 = usualPatience) throws(ConnectionError) {
    self.patience = patience
    let deadline = monotonicMilliseconds() + Self.openingTime
    socket = try SocketConnection.connect(to: try place.addresses, waiter: waiter, until: deadline)
    session = nil
  }

  private func shake(_ session: TLSSession, until deadline: UInt64) throws(ConnectionError) {
    while true {
      let step = session.handshake()
      let words = session.take()
      // The alert that tells the far side what is wrong goes out too.
      if !words.isEmpty { try socket.write(words, until: deadline) }
      switch step {
      case .done: return
      case .failed(let cause): throw .insecure(cause)
      case .ended: throw .ended(step: "agree on TLS")
      case .waits:
        guard let bytes = try socket.read(until: deadline) else { throw .ended(step: "agree on TLS") }
        guard !bytes.isEmpty, monotonicMilliseconds() < deadline else { throw .tooSlow(step: "agree on TLS") }
        guard bytes.withUnsafeBytes({ session.put($0) }) else {
          throw .insecure("there is no memory for TLS")
        }
      }
    }
  }

  /// Sends all of `bytes`, which must not be empty.
  func send(_ bytes: [UInt8]) throws(ConnectionError) {
    let deadline = monotonicMilliseconds() + patience
    guard let session else { return try socket.write(bytes, until: deadline) }
    if case .failed(let cause) = session.write(bytes) { throw .insecure(cause) }
    try socket.write(session.take(), until: deadline)
  }

  /// What the far side has said by now, or says by `deadline`; empty when that is nothing, or at its end.
  func receive(until deadline: UInt64) throws(ConnectionError) -> [UInt8] {
    while !isEnded {
      let bytes = try socket.read(until: deadline)
      guard let bytes else {
        isEnded = true
        break
      }
      guard !bytes.isEmpty else { break }
      guard let session else { return bytes }
      let said = try decrypt(bytes, session)
      // Records without a word in them may come for ever.
      if !said.isEmpty || monotonicMilliseconds() >= deadline { return said }
    }
    return []
  }

  private func decrypt(_ bytes: [UInt8], _ session: TLSSession) throws(ConnectionError) -> [UInt8] {
    guard bytes.withUnsafeBytes({ session.put($0) }) else { throw .insecure("there is no memory for TLS") }
    var said: [UInt8] = []
    switch session.read(onto: &said) {
    case .failed(let cause): throw .insecure(cause)
    case .ended: isEnded = true
    case .waits, .done: break
    }
    return said
  }

  /// Ends the connection in order, after which the far side has read all that was sent: it ended the connection
  /// itself after the end that it was told of, and its kernel kept nothing back.
  ///
  /// A receiver that dies with unread bytes resets the connection, and what reaches it later is not acknowledged.
  ///
  /// - Source: RFC 5425 §4.4; RFC 9293 §3.6, §3.10.4 (CLOSE); tcp(7).
  func endInOrder() throws(ConnectionError) {
    guard !isEnded else { throw .ended(step: "confirm what was sent") }
    let deadline = monotonicMilliseconds() + patience
    if let session {
      session.goodbye()
      try socket.write(session.take(), until: deadline)
    }
    socket.endWriting()
    while try socket.read(until: deadline).map({ bytes in !bytes.isEmpty }) != nil {
      guard monotonicMilliseconds() < deadline else { throw .tooSlow(step: "confirm what was sent") }
    }
    try socket.waitForAcknowledgement(
      until: min(deadline, monotonicMilliseconds() + Self.acknowledgementTime))
  }
}

import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// A tunnel from the moment its upstream stands until its bytes may flow: the
/// acceptance, and the first flight where TLS is expected.
///
/// It holds no socket and no clock: events go in, effects come out.
struct TunnelSession {
  enum Event {
    case connected(Endpoint)
    /// The client was told that its tunnel stands.
    case accepted
    case clientBytes(ArraySlice<UInt8>)
    case helloDeadline
    case clientClosed
    case revoked(Reason)
    /// The gate stops.
    case stopped
  }

  enum Effect {
    indirect case record(Record)
    /// Tell the client that its tunnel stands, answer with `accepted`.
    case accept
    /// Read what the client has sent and answer with `clientBytes`.
    case readHello
    /// Let the bytes flow, these first: the last effect of a tunnel that stands.
    case relay(Endpoint, early: [UInt8])
    /// Close both sides at once.
    case cut
  }

  private enum Phase {
    case opening
    case accepting(Endpoint)
    case greeting(Endpoint, ClientHelloReader, [UInt8])
    case finished
  }

  /// As the first flight leaves it.
  private(set) var flow: Flow
  private var phase = Phase.opening

  init(_ flow: Flow) {
    self.flow = flow
  }

  var isFinished: Bool {
    if case .finished = phase { return true }
    return false
  }

  /// Whether the first flight is being read.
  var wantsClientBytes: Bool {
    if case .greeting = phase { return true }
    return false
  }

  mutating func handle(_ event: Event, in mode: Mode, at now: Timestamp) -> [Effect] {
    switch (phase, event) {
    case (.opening, .connected(let endpoint)): advance(.accepting(endpoint), [.accept])
    case (.accepting(let endpoint), .accepted): open(endpoint)
    case (.greeting, .clientBytes(let bytes)): greet(bytes, in: mode, at: now)
    case (.greeting, .helloDeadline): object(.helloTimeout, in: mode, at: now)
    case (.finished, _): []
    case (_, .revoked(let reason)): close(.cut(reason), at: now)
    case (_, .clientClosed): close(.clientReset, at: now)
    case (_, .stopped): close(.shutdown, at: now)
    default: []
    }
  }

  private mutating func close(_ reason: CloseReason, at now: Timestamp) -> [Effect] {
    let record = flow.closeRecord(reason, address: endpoint, bytesOut: 0, bytesIn: 0, at: now)
    return advance(.finished, [.record(record), .cut])
  }

  /// What was dialled.
  private var endpoint: Endpoint? {
    switch phase {
    case .accepting(let endpoint), .greeting(let endpoint, _, _): endpoint
    case .opening, .finished: nil
    }
  }

  private mutating func advance(_ next: Phase, _ effects: [Effect]) -> [Effect] {
    phase = next
    return effects
  }

  private mutating func open(_ endpoint: Endpoint) -> [Effect] {
    guard flow.destination.traffic == .https else {
      return advance(.finished, [.relay(endpoint, early: [])])
    }
    return advance(.greeting(endpoint, ClientHelloReader(), []), [.readHello])
  }
}

// MARK: - First flight

extension TunnelSession {
  /// Takes the client's first flight; not a byte of it goes on before it is
  /// whole and names the host that was asked for.
  private mutating func greet(_ bytes: ArraySlice<UInt8>, in mode: Mode, at now: Timestamp) -> [Effect] {
    guard case .greeting(let endpoint, var reader, var early) = phase else { return [] }
    phase = .opening  // so that the buffers below have one owner and grow in place
    early += bytes
    reader.append(bytes)
    defer { if case .opening = phase { phase = .greeting(endpoint, reader, early) } }
    do throws(ClientHelloError) {
      guard let hello = try reader.read() else { return [.readHello] }
      phase = .greeting(endpoint, reader, early)
      guard let reason = hello.objection(to: flow.destination.host) else {
        return advance(.finished, [.relay(endpoint, early: early)])
      }
      return object(reason, in: mode, at: now)
    } catch {
      phase = .greeting(endpoint, reader, early)
      return object(error.reason, in: mode, at: now)
    }
  }

  /// Denies the first flight; audit mode records that and lets it pass.
  private mutating func object(_ reason: Reason, in mode: Mode, at now: Timestamp) -> [Effect] {
    guard case .greeting(let endpoint, _, let early) = phase else { return [] }
    if mode == .audit {
      flow.objection = reason
      let record = flow.decisionRecord(.allow, reason, wouldDeny: true, layer: .sni, at: now)
      return advance(.finished, [.record(record), .relay(endpoint, early: early)])
    }
    let denied = flow.decisionRecord(.deny, reason, layer: .sni, address: endpoint.address, at: now)
    return [.record(denied)] + close(.cut(reason), at: now)
  }
}

extension ClientHello {
  /// Why this ClientHello may not go on to `host`; nil when it may.
  ///
  /// A client that was given an address has no name to send (RFC 6066 §3), so
  /// for a literal the absence of a name is what equals.
  func objection(to host: Host) -> Reason? {
    guard case .name(let host) = host else { return serverName == nil ? nil : .sniMismatch }
    guard let name = serverName else { return .sniMissing }
    if name == host { return nil }
    return hasEncryptedClientHello ? .encryptedHello : .sniMismatch
  }
}

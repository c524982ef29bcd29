import Addressing
import EventLoop
import Policy
import Wire

/// A captured connection until it is known what it wants: where it goes is known
/// from the start, what it speaks only where a rule of `tcp` does not ask.
///
/// It holds no socket and no clock, and decides nothing: what it finds out is
/// decided like any other request.
struct CaptureSession {
  enum Event {
    case began
    /// All that has come of the request by now.
    case bytes([UInt8])
    case deadline([UInt8])
    /// The client sends no more than this.
    case ended([UInt8])
  }

  enum Step {
    /// Read on, so long if nothing comes.
    case wait(Duration)
    case readOn
    /// Have a tunnel decided; what has come belongs to it.
    case tunnel(Host, speaks: TrafficProtocol, objection: Reason?)
    /// Have a request decided, of which so many bytes were the head.
    case request(RequestHead, length: Int)
    /// Refuse what cannot be decided.
    case refuse(Reason, status: Int?, detail: String?)
    /// Nothing was asked.
    case close
  }

  private enum Phase {
    case opening
    case greeting(ClientHelloReader, read: Int)
    case asking(seen: Int)
  }

  let place: CapturedPlace
  private let agent: AgentName
  private var phase = Phase.opening
  /// Whether the first bytes may yet open it.
  private var isPromising = false

  init(_ place: CapturedPlace, agent: AgentName) {
    self.place = place
    self.agent = agent
  }

  mutating func handle(_ event: Event, under snapshot: PolicySnapshot, at now: Timestamp) -> Step {
    switch (event, phase) {
    case (.began, _): begin(under: snapshot, at: now)
    case (.bytes(let bytes), .opening): open(bytes)
    case (.bytes(let bytes), .greeting(let reader, let read)): greet(bytes, reader, read)
    case (.bytes(let bytes), .asking(let seen)): ask(bytes, seen)
    case (.deadline(let bytes), _): expire(bytes)
    case (.ended(let bytes), _): end(bytes)
    }
  }

  /// A rule of `tcp` lets the bytes pass unseen, so nobody waits for them: in
  /// many of its protocols the server speaks first. What is sent to the gate
  /// itself was not captured, or is a loop.
  private mutating func begin(under snapshot: PolicySnapshot, at now: Timestamp) -> Step {
    let host = place.host, port = place.endpoint.port
    if snapshot.floor.isGate(place.endpoint.address, port) { return opaque(objection: nil) }
    let (decision, traffic) = snapshot.policy.decideTunnel(
      host: host, port: port, agent: agent, floor: snapshot.floor, at: now)
    if decision.answer != .deny, traffic == .tcp { return opaque(objection: nil) }
    isPromising = snapshot.policy.mayOpenByContent(host, port, agent: agent, at: now)
    return .wait(isPromising ? Deadlines.hello : Deadlines.silence)
  }

  private func opaque(objection: Reason?) -> Step {
    .tunnel(place.host, speaks: .tcp, objection: objection)
  }

  private mutating func open(_ bytes: [UInt8]) -> Step {
    switch Opening(bytes) {
    case .undecided: .readOn
    case .tls: greet(bytes, ClientHelloReader(), 0)
    case .http: ask(bytes, 0)
    case .other: opaque(objection: .notTLS)
    }
  }

  private mutating func greet(_ bytes: [UInt8], _ reader: ClientHelloReader, _ read: Int) -> Step {
    phase = .opening  // so that the reader's buffer has one owner and grows in place
    var reader = reader
    reader.append(bytes[read...])
    phase = .greeting(reader, read: bytes.count)
    do throws(ClientHelloError) {
      guard let hello = try reader.read() else { return .readOn }
      let host = place.host(named: hello.serverName)
      return .tunnel(host, speaks: .https, objection: hello.objection(to: host))
    } catch .notTLS {
      return opaque(objection: .notTLS)
    } catch {
      return .tunnel(place.host, speaks: .https, objection: error.reason)
    }
  }

  private mutating func ask(_ bytes: [UInt8], _ seen: Int) -> Step {
    phase = .asking(seen: bytes.count)
    do throws(RequestError) {
      guard let (head, length) = try RequestHead.parse(bytes[...], at: place, resumingAt: seen) else {
        return .readOn
      }
      phase = .asking(seen: 0)
      return .request(head, length: length)
    } catch {
      return .refuse(error.reason, status: error.status, detail: error.token)
    }
  }

  private func expire(_ bytes: [UInt8]) -> Step {
    switch phase {
    case .opening: opaque(objection: .helloTimeout)
    case .greeting: .tunnel(place.host, speaks: .https, objection: .helloTimeout)
    case .asking: bytes.isEmpty ? .close : .refuse(.headTimeout, status: nil, detail: nil)
    }
  }

  /// A client that says nothing has asked for its destination all the same,
  /// unless it could have gone on to something that may be allowed: programs open
  /// connections in stock.
  private func end(_ bytes: [UInt8]) -> Step {
    switch phase {
    case .opening: bytes.isEmpty && isPromising ? .close : opaque(objection: .notTLS)
    case .greeting: .tunnel(place.host, speaks: .https, objection: .notTLS)
    case .asking: bytes.isEmpty ? .close : .refuse(.malformed, status: nil, detail: "end")
    }
  }
}

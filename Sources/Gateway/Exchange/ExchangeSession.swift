import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// One plain HTTP request and its response, from the moment the upstream
/// stands: the rebuilt head, the two bodies, the end of the exchange.
///
/// It holds no socket and no clock. Each exchange has an upstream connection
/// of its own, so no response can reach another request.
struct ExchangeSession {
  enum Event {
    case connected(Endpoint)
    case clientBytes(ArraySlice<UInt8>)
    /// The client sends no more; it may still wait for the response.
    case clientClosed
    /// The client's connection is broken.
    case clientFailed
    case upstreamBytes(ArraySlice<UInt8>)
    /// The upstream sends no more.
    case upstreamClosed
    /// The upstream's connection is broken: a body without a length is torn.
    case upstreamFailed
    case deadline
    /// The rule's time for one connection is over.
    case durationPassed
    case revoked(Reason)
    /// The gate stops.
    case stopped
  }

  enum Effect {
    case record(Record)
    case toUpstream([UInt8])
    case toClient([UInt8])
    /// The protocol was switched: everything from here on is relayed, and
    /// recorded, by another.
    case relay(Handover)
    /// Tell the client why not, then close; no response had begun.
    case refuse(Denial)
    /// The connection waits for the next request, of which these bytes are known.
    case next([UInt8])
    /// Send what is due, then close.
    case close
    /// Close both sides at once.
    case cut
  }

  /// What a relay goes on with when the protocol was switched.
  struct Handover {
    var endpoint: Endpoint
    /// Read of the client already.
    var toUpstream: [UInt8]
    /// The head of the switch, and what was read behind it.
    var toClient: [UInt8]
    /// What was handed on before, in bytes.
    var bytesOut: UInt64
    var bytesIn: UInt64
  }

  private enum Response {
    case head([UInt8])
    case body(BodyTransfer, keepAlive: Bool)
    case finished(keepAlive: Bool)
  }

  private let flow: Flow
  private let head: RequestHead
  /// Spent before a byte is due, so that what is over it is never sent.
  private let account: Ledger.Account?
  private var endpoint: Endpoint?
  private var request: BodyTransfer
  private var response = Response.head([])
  /// What the client sent behind this request.
  private var behind: [UInt8] = []
  private var bytesOut: UInt64 = 0
  private var bytesIn: UInt64 = 0
  private var interimResponses = 0
  private(set) var isFinished = false

  /// The most 1xx responses before the final one; more are an attack.
  private static let interimLimit = 8
  /// The most of a pipelined request that is kept, in bytes: one head.
  private static let behindLimit = 16 * 1024

  init(_ flow: Flow, _ head: RequestHead, behind: [UInt8], account: Ledger.Account? = nil) {
    self.flow = flow
    self.head = head
    self.account = account
    self.behind = behind
    request = BodyTransfer(from: head.framing, to: head.framing)
  }

  /// Whether the client's next bytes can be taken.
  var wantsClientBytes: Bool {
    endpoint != nil && !isFinished && behind.count < Self.behindLimit
  }

  /// Whether the upstream's next bytes can be taken.
  var wantsUpstreamBytes: Bool {
    if case .finished = response { return false }
    return endpoint != nil && !isFinished
  }

  private var asksForWebSocket: Bool { head.upgrade == "websocket" }

  /// Whether it is the client's turn to send.
  var awaitsBody: Bool { !request.isFinished }

  mutating func handle(_ event: Event, in mode: Mode, at now: Timestamp) -> [Effect] {
    guard !isFinished else { return [] }
    switch event {
    case .connected(let endpoint): return open(endpoint, at: now)
    case .clientBytes(let bytes): return take(bytes, at: now)
    case .clientClosed: return clientClosed(at: now)
    case .clientFailed: return finish(.clientReset, [.cut], at: now)
    case .upstreamBytes(let bytes): return answer(bytes, at: now)
    case .upstreamClosed: return upstreamClosed(at: now)
    case .upstreamFailed:
      return hasBegun ? finish(.upstreamReset, [.cut], at: now) : fail(.badUpstream, at: now)
    case .deadline: return timeOut(at: now)
    case .stopped: return finish(.shutdown, [.cut], at: now)
    case .durationPassed: return cut(.durationLimit, at: now)
    case .revoked(let reason): return cut(reason, at: now)
    }
  }
}

// MARK: - Request

extension ExchangeSession {
  private mutating func spendOut(_ bytes: [UInt8]) -> Bool {
    guard account?.out.spend(bytes.count) ?? true else { return false }
    bytesOut += UInt64(bytes.count)
    return true
  }

  private mutating func spendIn(_ bytes: [UInt8]) -> Bool {
    guard account?.in.spend(bytes.count) ?? true else { return false }
    bytesIn += UInt64(bytes.count)
    return true
  }

  private mutating func open(_ endpoint: Endpoint, at now: Timestamp) -> [Effect] {
    self.endpoint = endpoint
    let head = head.upstreamBytes(upgrade: asksForWebSocket)
    guard spendOut(head) else { return cut(.bytesOutLimit, at: now) }
    let held = behind
    behind = []
    return [.toUpstream(head)] + take(held[...], at: now)
  }

  private mutating func take(_ bytes: ArraySlice<UInt8>, at now: Timestamp) -> [Effect] {
    var input = bytes
    var output: [UInt8] = []
    do throws(ChunkError) {
      try request.transfer(&input, into: &output)
    } catch {
      return fail(.malformed, at: now)
    }
    guard spendOut(output) else { return cut(.bytesOutLimit, at: now) }
    if request.isFinished { behind += input }
    return output.isEmpty ? [] : [.toUpstream(output)]
  }

  /// A client that shut its sending side still waits for the response, as long
  /// as its request was whole.
  private mutating func clientClosed(at now: Timestamp) -> [Effect] {
    request.isFinished ? [] : finish(.clientReset, [.cut], at: now)
  }
}

// MARK: - Response

extension ExchangeSession {
  private mutating func answer(_ bytes: ArraySlice<UInt8>, at now: Timestamp) -> [Effect] {
    switch response {
    case .head(var buffer):
      response = .finished(keepAlive: false)  // so that the buffer has one owner and grows in place
      let seen = buffer.count
      buffer += bytes
      return readHead(buffer, seen: seen, at: now)
    case .body(let transfer, let keepAlive):
      return pass(bytes, transfer, keepAlive, at: now)
    case .finished: return []
    }
  }

  private mutating func readHead(_ buffer: [UInt8], seen: Int = 0, at now: Timestamp) -> [Effect] {
    response = .head(buffer)
    do {
      guard
        let (answer, length) = try ResponseHead.parse(
          buffer[...], requestMethod: head.method, upgradeAsked: asksForWebSocket, resumingAt: seen)
      else { return [] }
      let rest = buffer[length...]
      if answer.isUpgrade { return switchProtocols(answer, Array(rest), at: now) }
      if answer.isInterim { return interim(answer, rest, at: now) }
      return begin(answer, rest, at: now)
    } catch {
      return fail(.badUpstream, at: now)
    }
  }

  /// `100 Continue` goes to the client that asked for it; other interim
  /// responses end here.
  private mutating func interim(_ answer: ResponseHead, _ rest: ArraySlice<UInt8>, at now: Timestamp)
    -> [Effect]
  {
    interimResponses += 1
    guard interimResponses <= Self.interimLimit else { return fail(.badUpstream, at: now) }
    let pass = answer.status == 100 && head.expectsContinue && head.version == .http11
    let effects: [Effect] = pass ? [.toClient(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))] : []
    response = .head([])
    return effects + (rest.isEmpty ? [] : readHead(Array(rest), at: now))
  }

  private mutating func begin(_ answer: ResponseHead, _ rest: ArraySlice<UInt8>, at now: Timestamp)
    -> [Effect]
  {
    let source = answer.framing
    let target = retarget(source)
    // A client that has not sent its whole body may never do so, and nothing tells where the next request begins.
    let keepAlive = head.keepAlive && request.isFinished && target != .untilClose
    let bytes = answer.downstreamBytes(framing: target, keepAlive: keepAlive)
    guard spendIn(bytes) else { return cut(.bytesInLimit, at: now) }
    let passed = pass(rest, BodyTransfer(from: source, to: target), keepAlive, at: now)
    // What failed in the same breath is answered in the response's place.
    return hasBegun ? [.toClient(bytes)] + passed : passed
  }

  /// How the client is told where the body ends.
  private func retarget(_ source: BodyFraming) -> BodyFraming {
    switch source {
    case .none, .length: source
    case .chunked, .untilClose: head.version == .http11 ? .chunked : .untilClose
    }
  }

  private mutating func pass(
    _ bytes: ArraySlice<UInt8>, _ transfer: BodyTransfer, _ keepAlive: Bool, at now: Timestamp
  ) -> [Effect] {
    var transfer = transfer, input = bytes, output: [UInt8] = []
    do throws(ChunkError) {
      try transfer.transfer(&input, into: &output)
    } catch {
      return fail(.badUpstream, at: now)
    }
    guard spendIn(output) else { return cut(.bytesInLimit, at: now) }
    response = .body(transfer, keepAlive: keepAlive)
    let effects: [Effect] = output.isEmpty ? [] : [.toClient(output)]
    return transfer.isFinished ? complete(effects, keepAlive, at: now) : effects
  }

  private mutating func upstreamClosed(at now: Timestamp) -> [Effect] {
    guard case .body(var transfer, let keepAlive) = response else { return fail(.badUpstream, at: now) }
    var output: [UInt8] = []
    guard transfer.end(into: &output) else { return fail(.badUpstream, at: now) }
    guard spendIn(output) else { return cut(.bytesInLimit, at: now) }
    return complete(output.isEmpty ? [] : [.toClient(output)], keepAlive, at: now)
  }

  /// The response is whole. The connection is kept only when the request was
  /// whole too, so that no byte of a body can be read as a request.
  private mutating func complete(_ effects: [Effect], _ keepAlive: Bool, at now: Timestamp) -> [Effect] {
    let goesOn = keepAlive && request.isFinished
    response = .finished(keepAlive: goesOn)
    return finish(.finished, effects + [goesOn ? .next(behind) : .close], at: now)
  }
}

// MARK: - Upgrade and end

extension ExchangeSession {
  /// Only the switch that was asked for and allowed is passed on.
  private mutating func switchProtocols(_ answer: ResponseHead, _ rest: [UInt8], at now: Timestamp)
    -> [Effect]
  {
    guard asksForWebSocket, request.isFinished, let endpoint else {
      return fail(.badUpstream, at: now)
    }
    isFinished = true
    let head = answer.downstreamBytes(framing: .none, keepAlive: true)
    return [
      .relay(
        Handover(
          endpoint: endpoint, toUpstream: behind, toClient: head + rest, bytesOut: bytesOut, bytesIn: bytesIn)
      )
    ]
  }

  /// Whether something of the final response was passed on.
  var hasBegun: Bool {
    if case .head = response { return false }
    return true
  }

  /// Ends an exchange that went wrong: with a response if none had begun, else
  /// by cutting it, so that the client cannot take it for whole.
  private mutating func fail(_ reason: Reason, at now: Timestamp) -> [Effect] {
    guard !hasBegun else { return finish(.cut(reason), [.cut], at: now) }
    let denial = Denial(
      reason, destination: flow.destination, rule: flow.decision.rule?.id, generation: flow.generation,
      agent: flow.origin.agent)
    return finish(.cut(reason), [.refuse(denial)], at: now)
  }

  private mutating func timeOut(at now: Timestamp) -> [Effect] {
    guard !hasBegun else { return finish(.idle, [.cut], at: now) }
    return fail(awaitsBody ? .bodyTimeout : .connectTimeout, at: now)
  }

  private mutating func cut(_ reason: Reason, at now: Timestamp) -> [Effect] {
    hasBegun ? finish(.cut(reason), [.cut], at: now) : fail(reason, at: now)
  }

  private mutating func finish(_ reason: CloseReason, _ effects: [Effect], at now: Timestamp) -> [Effect] {
    isFinished = true
    let record = flow.closeRecord(reason, address: endpoint, bytesOut: bytesOut, bytesIn: bytesIn, at: now)
    return [.record(record)] + effects
  }
}

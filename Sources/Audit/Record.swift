import Addressing
import Policy

/// Where in the gate something was decided.
public enum Layer: String, Hashable, Sendable, CaseIterable {
  /// A CONNECT request.
  case connect
  /// A plain HTTP request.
  case http
  /// A SOCKS request.
  case socks
  /// A TCP connection that the kernel's table led to the gate.
  case transparent
  /// The server name of a TLS ClientHello.
  case sni
  /// A DNS query.
  case dns
  /// A packet that the kernel's table refused.
  case kernel
}

/// One thing that happened, as the log keeps it.
///
/// No record has room for a query string, userinfo or a header value, so none
/// can be written by mistake.
public enum Record: Sendable {
  /// A destination was allowed, held or denied.
  case decision(DecisionRecord)
  /// Identical decisions, counted.
  case rollUp(RollUpRecord)
  /// A connection ended.
  case close(CloseRecord)
  /// A policy was loaded or refused.
  case policy(PolicyRecord)
  /// The gate started, stopped, or found its log torn.
  case lifecycle(LifecycleRecord)
  /// A person, or a program on the control socket, told the gate something.
  case control(ControlRecord)
}

/// The decision about one destination, written before it is dialled.
public struct DecisionRecord: Sendable {
  /// When it was decided.
  public var time: Timestamp
  /// The connection's number, the same in its close record.
  public var flow: UInt64
  /// Who asked.
  public var agent: AgentName
  /// The client's address as `address:port`, or `unix` with what is known of the peer.
  public var client: String
  /// The listener it came in by.
  public var listener: String
  /// Where to; nil when the request names no place.
  public var destination: Destination?
  /// The host bytes of a malformed request; the first 256 are written, and
  /// their number in full.
  public var rawHost: [UInt8]?
  /// Which part of the gate decided.
  public var layer: Layer
  /// What happened.
  public var verdict: Action
  /// Whether enforce mode would have denied it.
  public var wouldDeny: Bool
  /// Why.
  public var reason: Reason
  /// The rule behind it.
  public var rule: RuleID?
  /// The policy's number.
  public var generation: UInt64
  /// The HTTP method; for DNS the record type.
  public var method: String?
  /// The address that is dialled, or that the floor refused.
  public var address: IPAddress?
  /// For DNS, the response code of the answer (RFC 6895 §2.3).
  public var responseCode: UInt16?
  /// For DNS, the extended error in the answer (RFC 8914 §5.2).
  public var extendedError: UInt16?
  /// A word of the gate's own, never the client's bytes.
  public var detail: String?
  /// The question and the answer of a person behind it; nil where nobody was asked.
  public var approval: ApprovalMark?
  /// Who was behind it; nil where nobody looked.
  public var program: ProgramMark?

  /// Makes a record.
  public init(
    time: Timestamp, flow: UInt64, agent: AgentName, client: String, listener: String = "",
    destination: Destination?, rawHost: [UInt8]? = nil, layer: Layer, verdict: Action,
    wouldDeny: Bool = false,
    reason: Reason, rule: RuleID? = nil, generation: UInt64, method: String? = nil, address: IPAddress? = nil,
    responseCode: UInt16? = nil, extendedError: UInt16? = nil, detail: String? = nil,
    approval: ApprovalMark? = nil
  ) {
    self.time = time
    self.flow = flow
    self.agent = agent
    self.client = client
    self.listener = listener
    self.destination = destination
    self.rawHost = rawHost
    self.layer = layer
    self.verdict = verdict
    self.wouldDeny = wouldDeny
    self.reason = reason
    self.rule = rule
    self.generation = generation
    self.method = method
    self.address = address
    self.responseCode = responseCode
    self.extendedError = extendedError
    self.detail = detail
    self.approval = approval
  }
}

/// The end of a connection that was allowed.
public struct CloseRecord: Sendable {
  /// When it ended.
  public var time: Timestamp
  /// The number of its decision record.
  public var flow: UInt64
  /// Whose it was.
  public var agent: AgentName
  /// The client's address.
  public var client: String
  /// Where it went.
  public var destination: Destination?
  /// The rule that let it through.
  public var rule: RuleID?
  /// The policy's number.
  public var generation: UInt64
  /// Why it ended.
  public var reason: CloseReason
  /// What was dialled.
  public var address: Endpoint?
  /// Bytes from the client to the upstream.
  public var bytesOut: UInt64
  /// Bytes from the upstream to the client.
  public var bytesIn: UInt64
  /// From accept to end.
  public var duration: Duration

  /// Makes a record.
  public init(
    time: Timestamp, flow: UInt64, agent: AgentName, client: String, destination: Destination?,
    rule: RuleID? = nil, generation: UInt64, reason: CloseReason, address: Endpoint? = nil, bytesOut: UInt64,
    bytesIn: UInt64, duration: Duration
  ) {
    self.time = time
    self.flow = flow
    self.agent = agent
    self.client = client
    self.destination = destination
    self.rule = rule
    self.generation = generation
    self.reason = reason
    self.address = address
    self.bytesOut = bytesOut
    self.bytesIn = bytesIn
    self.duration = duration
  }
}

/// Why a connection ended.
public enum CloseReason: Hashable, Sendable {
  /// Both sides were done.
  case finished
  /// No byte either way for too long.
  case idle
  /// The client broke it off.
  case clientReset
  /// The upstream broke it off.
  case upstreamReset
  /// The gate stopped.
  case shutdown
  /// The gate ended it, or could not begin it: a limit, a revoked rule, a
  /// refused connection.
  case cut(Reason)

  /// The word in the log.
  public var token: String {
    switch self {
    case .finished: "finished"
    case .idle: "idle"
    case .clientReset: "client-reset"
    case .upstreamReset: "upstream-reset"
    case .shutdown: "shutdown"
    case .cut(let reason): reason.rawValue
    }
  }
}

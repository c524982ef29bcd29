import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// What an agent asks: a name and a type.
struct Question: Hashable, Sendable {
  var name: Hostname
  var type: DNSRecordType

  /// Name, type and class on the wire, in bytes.
  var length: Int { name.text.utf8.count + 2 + 4 }

  /// As rules and the log name it.
  var destination: Destination { Destination(.name(name), .domain, .dns) }
}

/// What was decided about a question, as the log has it.
struct QuestionVerdict: Hashable, Sendable {
  /// Allow or deny.
  var action: Action
  var reason: Reason
  var rule: RuleID?
  /// Whether enforce mode would have denied it.
  var wouldDeny = false
  /// The address that the floor took away.
  var address: IPAddress?
  /// A word of the gate's own.
  var detail: String?

  var isDenial: Bool { action == .deny }

  /// Whether the log says the same of both when it only counts them.
  func isTold(like other: QuestionVerdict) -> Bool {
    action == other.action && reason == other.reason && rule == other.rule && wouldDeny == other.wouldDeny
  }
}

/// An answer with what is to be said about it and how long it may be given. A
/// class: it is handed on from stage to stage, and a copy would count each of its parts.
final class Answered: Sendable {
  let answer: DNSAnswer
  let verdict: QuestionVerdict
  /// When it no longer counts.
  let until: MonotonicTime

  init(answer: DNSAnswer, verdict: QuestionVerdict, until: MonotonicTime) {
    (self.answer, self.verdict, self.until) = (answer, verdict, until)
  }
}

/// The way back to whoever asked.
enum ReplyPath {
  case datagram(DatagramPort, DatagramPeer)
  case stream(DNSStreamConnection)

  /// The client as `address:port`, for the log.
  var client: String {
    switch self {
    case .datagram(_, let peer): peer.endpoint.map { "\($0)" } ?? ""
    case .stream(let connection): connection.client
    }
  }
}

/// Somebody who asked and waits: all that the answer to him needs. A class: it is
/// large, and handed on from stage to stage.
final class Waiting {
  /// Header and question.
  let message: [UInt8]
  let query: DNSQueryScan
  let key: QuestionKey
  let path: ReplyPath
  /// What was decided, and by which policy.
  var judged: (decision: Decision, verdict: QuestionVerdict, by: PolicySnapshot)?

  init(_ message: [UInt8], _ query: DNSQueryScan, _ key: QuestionKey, _ path: ReplyPath) {
    (self.message, self.query, self.key, self.path) = (message, query, key, path)
  }
}

/// An agent's place in the name service's table: small, so that it can stand in keys.
typealias AgentNumber = UInt16

/// What carries a query; it bounds the answer.
enum DNSTransport {
  case datagram, stream

  func limit(for query: DNSQueryScan) -> Int {
    self == .datagram ? DNSResponseWriter.datagramLimit(for: query) : DNSResponseWriter.messageLimit
  }
}

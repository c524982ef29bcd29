import Addressing
import Approvals
import Audit
import Policy

/// An answer that ends a request without an upstream: what the client is told,
/// and nothing the client said.
struct Denial: Sendable {
  var status: Int
  var error: String
  var reason: Reason
  var destination: Destination?
  var rule: RuleID?
  var generation: UInt64
  var agent: AgentName
  /// Which field the closest rule failed on, where one came close.
  var nearMiss: NearMiss?
  /// The question to a person that is open.
  var question: PendingID?

  /// In seconds: when a client that was told to come back may do so.
  private static let retryAfter = 5

  init(
    _ reason: Reason, status: Int? = nil, destination: Destination? = nil, rule: RuleID? = nil,
    generation: UInt64,
    agent: AgentName, nearMiss: NearMiss? = nil, question: PendingID? = nil
  ) {
    self.status = status ?? reason.status
    self.reason = reason
    self.destination = destination
    self.rule = rule
    self.generation = generation
    self.agent = agent
    self.nearMiss = nearMiss
    self.question = question
    error = reason == .pendingApproval ? "pending_approval" : Denial.errorWord(for: self.status)
  }

  private static func errorWord(for status: Int) -> String {
    switch status {
    case 403: "denied"
    case 407: "token_required"
    case 500: "internal_error"
    case 502, 504: "upstream_failed"
    case 503: "unavailable"
    default: "malformed_request"
    }
  }

  /// The whole response; the connection ends behind it.
  ///
  /// - Source: RFC 9110 §15, RFC 9209 §2.1 (`error`, `details`).
  func httpBytes(headOnly: Bool = false) -> [UInt8] {
    let body = jsonBody()
    var head = "HTTP/1.1 \(status) \(Denial.phrase(status))\r\nProxy-Status: exitgate; error="
    head += "\(reason.proxyError ?? "proxy_internal_error"); details=\"\(reason.rawValue)\"\r\n"
    if status == 407 { head += "Proxy-Authenticate: Basic realm=\"exitgate\"\r\n" }
    if reason == .pendingApproval { head += "Retry-After: \(Denial.retryAfter)\r\n" }
    head += "Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
    head += "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
    return Array(head.utf8) + (headOnly ? [] : body)
  }

  private func jsonBody() -> [UInt8] {
    var json = JSONWriter(reserving: 512)
    json.beginObject()
    json.member("error", error)
    if let question { json.member("id", question.text) }
    json.member("destination", destination?.description)
    json.member("reason", reason.rawValue)
    json.member("explanation", reason.explanation)
    json.member("rule", rule?.text)
    if let nearMiss { json.member("near_miss", nearMiss.rawValue) }
    json.key("policy_generation")
    json.integer(generation)
    json.member("suggested_rule", suggestion)
    json.endObject()
    return json.bytes + [UInt8(ascii: "\n")]
  }

  /// The narrowest rule, by host, port and protocol, that would allow it; nil for what no rule can open and
  /// for what was refused for another cause.
  private var suggestion: String? {
    destination.flatMap { SuggestedRule(for: $0, agent: agent, denied: reason)?.yaml }
  }

  private static func phrase(_ status: Int) -> String {
    switch status {
    case 400: "Bad Request"
    case 403: "Forbidden"
    case 405: "Method Not Allowed"
    case 407: "Proxy Authentication Required"
    case 408: "Request Timeout"
    case 414: "URI Too Long"
    case 417: "Expectation Failed"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: "Error"
    }
  }
}

extension JSONWriter {
  fileprivate mutating func member(_ name: StaticString, _ text: String?) {
    key(name)
    if let text { string(text) } else { null() }
  }
}

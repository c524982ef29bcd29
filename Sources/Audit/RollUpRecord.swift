import Addressing
import Policy

/// Decisions that were alike, counted since the last record about them.
public struct RollUpRecord: Hashable, Sendable {
  /// Who asked.
  public var agent: AgentName
  /// Which part of the gate decided.
  public var layer: Layer
  /// What happened each time.
  public var verdict: Action
  /// Whether enforce mode would have denied them.
  public var wouldDeny: Bool
  /// Where to; nil for several places (`isOverflow`) and for none.
  public var destination: Destination?
  /// Why; with `isOverflow`, why the last one.
  public var reason: Reason
  /// The rule behind it.
  public var rule: RuleID?
  /// The policy's number.
  public var generation: UInt64
  /// For DNS the record type.
  public var method: String?
  /// For DNS, the response code of the answers.
  public var responseCode: UInt16?
  /// For DNS, the extended error in the answers.
  public var extendedError: UInt16?
  /// How many.
  public var count: UInt64
  /// The first of them.
  public var first: Timestamp
  /// The last of them.
  public var last: Timestamp
  /// Whether these are different decisions for one agent, too many to be told apart.
  public var isOverflow: Bool

  /// Makes a record.
  public init(
    agent: AgentName, layer: Layer, destination: Destination?, reason: Reason, rule: RuleID? = nil,
    generation: UInt64, count: UInt64, first: Timestamp, last: Timestamp, isOverflow: Bool = false,
    verdict: Action = .deny, wouldDeny: Bool = false, method: String? = nil, responseCode: UInt16? = nil,
    extendedError: UInt16? = nil
  ) {
    self.agent = agent
    self.layer = layer
    self.verdict = verdict
    self.wouldDeny = wouldDeny
    self.destination = destination
    self.reason = reason
    self.rule = rule
    self.generation = generation
    self.method = method
    self.responseCode = responseCode
    self.extendedError = extendedError
    self.count = count
    self.first = first
    self.last = last
    self.isOverflow = isOverflow
  }
}

extension RollUpRecord {
  func encode(into json: inout JSONWriter) {
    json.activity(layer: layer, verdict: verdict)
    json.judgement(time: last, reason: reason, verdict: verdict, wouldDeny: wouldDeny)
    json.key("count")
    json.integer(count)
    json.key("start_time")
    json.integer(first.milliseconds)
    json.key("end_time")
    json.integer(last.milliseconds)
    if layer == .dns { json.query(destination, type: method) }
    if let responseCode { json.response(code: responseCode) }
    json.destination(destination, address: nil)
    json.object("unmapped") { json in
      json.verbatim(#""event":"rollup""#)
      json.judged(agent: agent, layer: layer, destination: destination, reason: reason, rule: rule)
      json.outcome(
        verdict: verdict, wouldDeny: wouldDeny, generation: generation, extendedError: extendedError)
      if let method, layer != .dns { json.field("method", method) }
      if isOverflow { json.verbatim(#""overflow":true"#) }
    }
  }
}

import Addressing
import Approvals
import Audit
import Policy

/// Who asks, over what: the facts every record of a connection shares.
struct Origin: Sendable {
  var agent: AgentName
  var client: String
  var listener: String
  var layer: Layer
}

/// One request that was judged: what its records say and what a reload asks.
struct Flow: Sendable {
  let id: UInt64
  let origin: Origin
  var destination: Destination
  var decision: Decision
  var generation: UInt64
  var startedAt: Timestamp
  /// What enforce mode would hold against it beside its rule: a denied alias, a
  /// ClientHello. Only audit mode lets such a flow stand.
  var objection: Reason?
  /// What people had to do with it. Nearly always nothing, and then it takes eight bytes of each tunnel.
  private var consent: Consent?

  /// The question to a person that it was held for last.
  var question: PendingID? {
    get { consent?.question }
    set { consent = Consent(question: newValue, approval: approval, person: person) }
  }
  /// What a person let it pass by.
  var approval: Approval? {
    get { consent?.approval }
    set { consent = Consent(question: question, approval: newValue, person: person) }
  }
  /// Who decided.
  var person: Person? {
    get { consent?.person }
    set { consent = Consent(question: question, approval: approval, person: newValue) }
  }

  init(
    id: UInt64, origin: Origin, destination: Destination, decision: Decision, generation: UInt64,
    startedAt: Timestamp
  ) {
    (self.id, self.origin, self.destination, self.decision) = (id, origin, destination, decision)
    (self.generation, self.startedAt) = (generation, startedAt)
  }

  /// How long it may last in all, from when its upstream stands.
  var longest: Duration { decision.rule?.limits.duration ?? Deadlines.total }

  /// The record of a decision about this flow.
  func decisionRecord(
    _ verdict: Action, _ reason: Reason, wouldDeny: Bool = false, layer: Layer? = nil,
    address: IPAddress? = nil,
    method: String? = nil, detail: String? = nil, at time: Timestamp
  ) -> Record {
    .decision(
      DecisionRecord(
        time: time, flow: id, agent: origin.agent, client: origin.client, listener: origin.listener,
        destination: destination, rawHost: nil, layer: layer ?? origin.layer, verdict: verdict,
        wouldDeny: wouldDeny, reason: reason, rule: decision.rule?.id, generation: generation, method: method,
        address: address, detail: detail, approval: mark))
  }

  private var mark: ApprovalMark? {
    guard let id = approval?.id ?? question?.text else { return nil }
    return ApprovalMark(
      id: id, scope: approval?.scope.word, channel: person?.channel.rawValue, userID: person?.userID,
      name: person?.name)
  }
}

/// What people had to do with a flow.
private final class Consent: Sendable {
  let question: PendingID?
  let approval: Approval?
  let person: Person?

  init(question: PendingID?, approval: Approval?, person: Person?) {
    (self.question, self.approval, self.person) = (question, approval, person)
  }
}

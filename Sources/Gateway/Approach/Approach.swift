import Addressing
import Approvals
import Audit
import EventLoop
import Policy

/// The way from a parsed destination to a connected upstream, the same for
/// tunnels and plain requests: decide, reserve, resolve, admit, record, dial.
///
/// It holds no socket and no clock: events go in, effects come out. Whatever
/// happens, a record says so, and an allowed one is in the log before anything
/// is dialled.
struct Approach {
  enum Event {
    case begin
    /// What became of the question to a person.
    case asked(AskReply)
    /// A person answered, or the question is to be asked anew.
    case answered(Verdict)
    /// The time to wait for a person is over; the question that is open then.
    case holdEnded(PendingID?)
    /// Another policy is in force.
    case policyChanged
    case reserved(Bool)
    /// A budget is used up, of the rule's bytes or of new names: nothing could pass.
    case spent(Reason)
    case resolved(Result<Resolution, ResolveFailure>)
    case recorded(Bool)
    case dialed(Result<Endpoint, DialFailure>, toSelf: Bool)
    case clientClosed
    case revoked(Reason)
    /// The gate stops.
    case stopped
  }

  enum Effect {
    indirect case record(Record)
    /// Ask a person, answer with `asked`.
    case ask(ApprovalKey, rule: Rule?)
    /// Wait for a person, answer with `answered` or `holdEnded`.
    case hold
    /// Take one of the rule's connections, answer with `reserved` or `spent`.
    case reserve
    case resolve(Hostname)
    /// Hand the records to the kernel, answer with `recorded`.
    case commit
    case dial([IPAddress], Port)
    /// The upstream stands: the last effect of an approach that succeeds.
    case connected(Endpoint)
    /// Tell the client why not, then close: the last effect of one that fails.
    case refuse(Denial)
    /// The client, or the gate, is going: close.
    case abandon
  }

  /// What is asked for.
  enum Subject: Sendable {
    case tunnel
    /// A captured connection: what it speaks, as far as its first bytes tell, and
    /// what they hold against a rule of `https`.
    case captured(TrafficProtocol, objection: Reason?)
    case request(RequestFacts, upgrade: Bool)
  }

  private enum Phase {
    case judging
    case asking(ApprovalKey)
    case holding(ApprovalKey)
    case reserving
    case resolving
    case recording([IPAddress])
    case dialing
    case finished
  }

  private(set) var flow: Flow
  let subject: Subject
  private var phase = Phase.judging
  private(set) var isRecorded = false

  init(_ subject: Subject, to authority: Authority, from origin: Origin, id: UInt64, at now: Timestamp) {
    self.subject = subject
    flow = Flow(
      id: id, origin: origin, destination: Destination(authority.host, authority.port, subject.traffic),
      decision: .undecided, generation: 0, startedAt: now)
  }

  mutating func handle(_ event: Event, under snapshot: PolicySnapshot, at now: Moment) -> [Effect] {
    switch (phase, event) {
    case (.judging, .begin), (.holding, .policyChanged), (.holding, .answered(.again)):
      judge(under: snapshot, at: now)
    case (.asking(let key), .asked(let reply)): hear(reply, to: key, under: snapshot, at: now)
    case (.holding(let key), .answered(let verdict)): obey(verdict, to: key, under: snapshot, at: now)
    case (.holding, .holdEnded(let question)): endHold(question, at: now)
    case (.holding, .clientClosed), (.asking, .clientClosed): giveUp(.clientReset, at: now)
    case (.holding, .stopped), (.asking, .stopped): giveUp(.shutdown, at: now)
    case (.reserving, .reserved(true)): find()
    case (.reserving, .reserved(false)): deny(.connectionLimit, at: now)
    case (.reserving, .spent(let reason)), (.resolving, .spent(let reason)): deny(reason, at: now)
    case (.resolving, .resolved(.success(let found))): admit(found, under: snapshot, at: now)
    case (.resolving, .resolved(.failure(let failure))): fail(failure.reason, at: now)
    case (.recording(let addresses), .recorded(true)):
      advance(.dialing, [.dial(addresses, flow.destination.port)])
    case (.recording, .recorded(false)): deny(.auditUnavailable, at: now)
    case (.dialing, .dialed(.success(let endpoint), let toSelf)):
      toSelf ? arriveHere(endpoint, under: snapshot, at: now) : arrive(endpoint)
    case (.dialing, .dialed(.failure(let failure), _)): fail(failure.reason, at: now)
    case (.finished, _): []
    case (_, .revoked(let reason)): deny(reason, at: now)
    case (_, .clientClosed): abandon(.clientReset, at: now)
    case (_, .stopped): abandon(.shutdown, at: now)
    default: []
    }
  }

  /// Whether its last effect was given: an upstream that stands, or an end.
  var isFinished: Bool {
    if case .finished = phase { return true }
    return false
  }

  /// Whether it waits for a person.
  var isHeld: Bool {
    if case .holding = phase { return true }
    return false
  }

  private mutating func advance(_ next: Phase, _ effects: [Effect]) -> [Effect] {
    phase = next
    return effects
  }
}

// MARK: - Decide

extension Approach {
  private mutating func judge(under snapshot: PolicySnapshot, at now: Moment) -> [Effect] {
    decide(under: snapshot, at: now)
    flow.generation = snapshot.generation
    let decision = flow.decision
    switch decision.verdict(in: snapshot.policy.mode) {
    case .deny: return deny(decision.reason, at: now)
    case .ask: return ask(at: now)
    case .allow: return proceed(under: snapshot, at: now)
    }
  }

  private mutating func proceed(under snapshot: PolicySnapshot, at now: Moment) -> [Effect] {
    if flow.decision.answer == .allow, let objection = subject.objection(to: flow) {
      guard snapshot.policy.mode == .audit else { return deny(objection, layer: .sni, at: now) }
      flow.objection = objection
    }
    return flow.decision.rule?.limits.isCounted == true ? advance(.reserving, [.reserve]) : find()
  }

  private mutating func decide(under snapshot: PolicySnapshot, at now: Moment) {
    let policy = snapshot.policy, agent = flow.origin.agent
    switch subject {
    case .tunnel:
      (flow.decision, flow.destination.traffic) = policy.decideTunnel(
        host: flow.destination.host, port: flow.destination.port, agent: agent, floor: snapshot.floor,
        at: now.rules
      )
    case .captured(let spoken, _):
      (flow.decision, flow.destination.traffic) = policy.decideTunnel(
        host: flow.destination.host, port: flow.destination.port, agent: agent, floor: snapshot.floor,
        at: now.rules)
      if flow.decision.rule == nil { flow.destination.traffic = spoken }
    case .request(let facts, let upgrade):
      flow.decision = policy.decide(
        flow.destination, agent: agent, request: facts, floor: snapshot.floor, at: now.rules)
      if upgrade, flow.decision.answer != .allow { decideUpgrade(under: snapshot, at: now) }
    }
  }

  /// An upgraded connection is opaque, so a `tcp` rule may carry it as well.
  private mutating func decideUpgrade(under snapshot: PolicySnapshot, at now: Moment) {
    var opaque = flow.destination
    opaque.traffic = .tcp
    let decision = snapshot.policy.decide(
      opaque, agent: flow.origin.agent, floor: snapshot.floor, at: now.rules)
    guard decision.answer == .allow, flow.decision.reason == .noRule else { return }
    flow.decision = decision
    flow.destination = opaque
  }

  private mutating func find() -> [Effect] {
    switch flow.destination.host {
    case .name(let name): advance(.resolving, [.resolve(name)])
    case .address(let address): record(dialing: [address])
    }
  }

  /// Asks the policy about the addresses; those it admits are the ones dialled.
  private mutating func admit(_ found: Resolution, under snapshot: PolicySnapshot, at now: Moment)
    -> [Effect]
  {
    let policy = snapshot.policy
    let link = deniedLink(of: found.chain, under: policy, at: now)
    if let link, policy.mode == .enforce {
      flow.decision.rule = link
      return deny(.cnameDenied, at: now)
    }
    let admission = policy.admit(
      found.addresses, to: flow.destination, under: flow.decision, floor: snapshot.floor)
    guard admission.admitted.isEmpty else { return record(dialing: admission.admitted, despite: link) }
    guard let refused = admission.refused.first else { return fail(.dnsFailure, at: now) }
    return deny(refused.reason, address: refused.address, at: now)
  }

  private func deniedLink(of chain: [Hostname], under policy: Policy, at now: Moment) -> Rule? {
    for name in chain {
      if let rule = policy.deniesName(name, agent: flow.origin.agent, at: now.rules) { return rule }
    }
    return nil
  }

  private mutating func record(dialing addresses: [IPAddress], despite link: Rule? = nil) -> [Effect] {
    advance(.recording(addresses), [.record(allowed(addresses.first, despite: link)), .commit])
  }

  /// - Parameter link: The rule that denies an alias, which audit mode lets pass.
  private mutating func allowed(_ address: IPAddress?, despite link: Rule? = nil) -> Record {
    isRecorded = true
    var judged = flow
    if let link, flow.decision.answer == .allow {
      flow.objection = .cnameDenied
      judged.decision = Decision(answer: .deny, reason: .cnameDenied, rule: link)
    } else if let objection = flow.objection {
      judged.decision = Decision(answer: .deny, reason: objection, rule: flow.decision.rule)
    }
    return judged.decisionRecord(
      .allow, judged.decision.reason, wouldDeny: judged.decision.answer != .allow, address: address,
      method: method,
      at: flow.startedAt)
  }

  private var method: String? {
    if case .request(let facts, _) = subject { facts.method } else { nil }
  }
}

// MARK: - Ask

extension Approach {
  private var key: ApprovalKey {
    let facts: RequestFacts? = if case .request(let facts, _) = subject { facts } else { nil }
    return ApprovalKey(
      flow.destination, agent: flow.origin.agent, request: facts, under: flow.decision.rule)
  }

  /// Nobody is asked about a handshake that no rule would let pass.
  private mutating func ask(at now: Moment) -> [Effect] {
    if let objection = subject.objection(to: flow) { return deny(objection, layer: .sni, at: now) }
    let key = key
    return advance(.asking(key), [.ask(key, rule: flow.decision.rule)])
  }

  private mutating func hear(
    _ reply: AskReply, to key: ApprovalKey, under snapshot: PolicySnapshot, at now: Moment
  ) -> [Effect] {
    switch reply {
    case .allowed(let approval): return approved(approval, under: snapshot, at: now)
    case .denied(let reason): return deny(reason, at: now)
    case .held(let question, let opensIt):
      // Of what is asked again and again, its end alone is recorded.
      let isFirst = opensIt && flow.question == nil
      flow.question = question
      let record = flow.decisionRecord(.ask, flow.decision.reason, method: method, at: now.wall)
      return advance(.holding(key), (isFirst ? [.record(record)] : []) + [.hold])
    }
  }

  /// What a person allowed passes only where the policy in force still asks for exactly that.
  private mutating func obey(
    _ verdict: Verdict, to key: ApprovalKey, under snapshot: PolicySnapshot, at now: Moment
  ) -> [Effect] {
    switch verdict {
    case .again: return judge(under: snapshot, at: now)
    case .denied(let reason, let person):
      flow.person = person
      return deny(reason, at: now)
    case .allowed(let approval):
      let asking = flow.decision.rule
      decide(under: snapshot, at: now)
      flow.generation = snapshot.generation
      guard flow.decision.verdict(in: snapshot.policy.mode) == .ask, self.key == key,
        Rule.haveSameEffect(flow.decision.rule, asking)
      else { return judge(under: snapshot, at: now) }
      return approved(approval, under: snapshot, at: now)
    }
  }

  private mutating func approved(_ approval: Approval, under snapshot: PolicySnapshot, at now: Moment)
    -> [Effect]
  {
    flow.approval = approval
    flow.person = approval.person
    flow.decision.answer = .allow
    flow.decision.reason = .approved
    return proceed(under: snapshot, at: now)
  }

  private mutating func endHold(_ question: PendingID?, at now: Moment) -> [Effect] {
    flow.question = question ?? flow.question
    return deny(.pendingApproval, at: now)
  }

  /// Ends without an answer what nobody had allowed.
  private mutating func giveUp(_ reason: CloseReason, at now: Moment) -> [Effect] {
    let record = flow.decisionRecord(
      .deny, .pendingApproval, method: method, detail: reason.token, at: now.wall)
    return advance(.finished, [.record(record), .abandon])
  }
}

// MARK: - Arrive, or not

extension Approach {
  private mutating func arrive(_ endpoint: Endpoint) -> [Effect] {
    advance(.finished, [.connected(endpoint)])
  }

  /// The address is one of this machine's, whether or not it was known: it is
  /// judged once more, as such.
  private mutating func arriveHere(_ endpoint: Endpoint, under snapshot: PolicySnapshot, at now: Moment)
    -> [Effect]
  {
    var floor = snapshot.floor
    floor.localAddresses.insert(endpoint.address)
    let admission = snapshot.policy.admit(
      [endpoint.address], to: flow.destination, under: flow.decision, floor: floor)
    guard let reason = admission.denial else { return arrive(endpoint) }
    return deny(reason, address: endpoint.address, at: now)
  }

  /// Records a denial and tells the client.
  private mutating func deny(
    _ reason: Reason, layer: Layer? = nil, address: IPAddress? = nil, at now: Moment
  ) -> [Effect] {
    let record = flow.decisionRecord(
      .deny, reason, layer: layer, address: address, method: method, at: now.wall)
    return [.record(record)] + refuse(reason, at: now)
  }

  /// Tells the client of trouble that is not the policy's: it had allowed it.
  private mutating func fail(_ reason: Reason, at now: Moment) -> [Effect] {
    let first = isRecorded ? [] : [Effect.record(allowed(nil))]
    return first + refuse(reason, at: now)
  }

  private mutating func refuse(_ reason: Reason, at now: Moment) -> [Effect] {
    let denial = Denial(
      reason, destination: flow.destination, rule: flow.decision.rule?.id, generation: flow.generation,
      agent: flow.origin.agent, nearMiss: flow.decision.nearMiss, question: flow.question)
    return advance(.finished, closing(.cut(reason), at: now) + [.refuse(denial)])
  }

  /// Ends without an answer. What was not recorded yet had been allowed so far.
  private mutating func abandon(_ reason: CloseReason, at now: Moment) -> [Effect] {
    let first = isRecorded ? [] : [Effect.record(allowed(nil))]
    return advance(.finished, first + closing(reason, at: now) + [.abandon])
  }

  private func closing(_ reason: CloseReason, at now: Moment) -> [Effect] {
    guard isRecorded else { return [] }
    return [.record(flow.closeRecord(reason, address: nil, bytesOut: 0, bytesIn: 0, at: now.wall))]
  }
}

extension Approach.Subject {
  /// What is spoken as long as no rule says.
  fileprivate var traffic: TrafficProtocol {
    switch self {
    case .tunnel: .https
    case .captured(let spoken, _): spoken
    case .request: .http
    }
  }

  /// What stands against a flow that a rule of `https` allows.
  fileprivate func objection(to flow: Flow) -> Reason? {
    guard case .captured(_, let objection) = self, flow.destination.traffic == .https else { return nil }
    return objection
  }
}

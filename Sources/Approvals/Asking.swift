import Addressing
import Policy

/// What a connection brings when it asks.
public struct ApprovalRequest: Sendable {
  /// What is asked for.
  public var key: ApprovalKey
  /// The registered domain of its name; nil where it has none.
  public var domain: Hostname?
  /// The rule that asks; nil where the policy's default does.
  public var rule: RuleID?
  /// The addresses, where they are known without asking anybody.
  public var addresses: [IPAddress]
  /// Who asks, where it is known.
  public var program: Program?

  /// Makes a request.
  public init(
    _ key: ApprovalKey, domain: Hostname? = nil, rule: RuleID? = nil, addresses: [IPAddress] = [],
    program: Program? = nil
  ) {
    self.key = key
    self.domain = domain
    self.rule = rule
    self.addresses = addresses
    self.program = program
  }
}

extension ApprovalBook {
  /// A connection asks: what was answered before counts, else it is held for a
  /// question, its own or one that is open already.
  ///
  /// - Parameter waiter: The connection; one that is held already may ask again.
  public mutating func ask(_ request: ApprovalRequest, as waiter: UInt64, at now: Timestamp) -> AskReply {
    let key = request.key
    release(waiter)
    if let approval = takeGrant(for: key, at: now) { return .allowed(approval) }
    if let written = written(key, at: now) { return written }
    if let reason = refusals.denial(of: key, at: now) { return .denied(reason) }
    guard isAttended else { return .denied(.noApprover) }
    if let id = places[key] { return hold(waiter, request, for: id, at: now) }
    if let quarter = quarter(of: request), let id = joined[quarter] {
      guard enlarge(id, by: request) else { return .denied(.approvalQueueFull) }
      return hold(waiter, request, for: id, at: now)
    }
    let pending = entries.values.count { $0.question.agent == key.agent }
    guard pending < bounds.pendingPerAgent else { return .denied(.approvalQueueFull) }
    guard takePrompt(key.agent, at: now) else { return .denied(.approvalRate) }
    return hold(waiter, request, for: open(request, at: now), at: now)
  }

  private func quarter(of request: ApprovalRequest) -> Quarter? {
    request.domain.map { Quarter(agent: request.key.agent, domain: $0) }
  }

  private mutating func takeGrant(for key: ApprovalKey, at now: Timestamp) -> Approval? {
    guard let id = grantOf[key], let grant = grants[id] else { return nil }
    // It stays until the next tick, which ends what it let pass.
    if let end = grant.expires, end <= now { return nil }
    if grant.approval.scope == .once { drop(grant) }
    return grant.approval
  }

  /// What was answered for good, as the one evaluator reads it. It knows no address as this host's own: the
  /// connection itself is held to the floor.
  private func written(_ key: ApprovalKey, at now: Timestamp) -> AskReply? {
    let decision = standing.decide(
      key.destination, agent: key.agent, request: key.request, floor: Floor(), at: now)
    guard let rule = decision.rule, decision.answer != .ask else { return nil }
    guard decision.answer == .allow else { return .denied(.refused) }
    return .allowed(Approval(id: rule.id.text, scope: .always, person: nil, expires: rule.expires))
  }

  private mutating func open(_ request: ApprovalRequest, at now: Timestamp) -> PendingID {
    let id = newID()
    var question = PendingQuestion(
      id: id, agent: request.key.agent, members: [member(request, of: id)], domain: request.domain,
      isJoined: false, generation: generation, first: now, last: now, count: 0, waiting: 0,
      addresses: request.addresses, program: request.program, digest: "")
    seal(&question)
    entries[id] = Entry(question: question)
    places[request.key] = id
    guard let quarter = quarter(of: request) else { return id }
    let near = entries.values.filter {
      $0.question.domain == quarter.domain && $0.question.agent == quarter.agent
    }
    return near.count > bounds.perDomain ? join(near, in: quarter, at: now) : id
  }

  private func member(_ request: ApprovalRequest, of id: PendingID, number: Int? = nil)
    -> PendingQuestion.Member
  {
    let suffix = number.map { "-\($0)" } ?? ""
    let name = RuleID("approved-\(id)\(suffix)")
    return PendingQuestion.Member(
      key: request.key, rule: request.rule, candidate: name.flatMap { request.key.candidate(named: $0) })
  }

  /// Puts questions of one quarter into one: what its approval covers is what it lists.
  private mutating func join(_ parts: [Entry], in quarter: Quarter, at now: Timestamp) -> PendingID {
    let id = newID()
    let parts = parts.sorted {
      ($0.question.first, $0.question.id.text) < ($1.question.first, $1.question.id.text)
    }
    var question = PendingQuestion(
      id: id, agent: quarter.agent, members: parts.flatMap(\.question.members), domain: quarter.domain,
      isJoined: true, generation: generation, first: parts[0].question.first, last: now,
      count: parts.reduce(0) { $0 + $1.question.count }, waiting: 0, digest: "")
    seal(&question)
    let waiters = parts.flatMap(\.waiters)
    question.waiting = waiters.count
    entries[id] = Entry(question: question, waiters: waiters)
    for part in parts {
      entries[part.question.id] = nil
      remember(.joined(id), of: part.question.id)
      if part.question.count > 0 { tell(.closed(part.question, .joined(id))) }
    }
    for member in question.members { places[member.key] = id }
    joined[quarter] = id
    return id
  }

  private mutating func enlarge(_ id: PendingID, by request: ApprovalRequest) -> Bool {
    guard var question = entries[id]?.question, question.members.count < bounds.members else { return false }
    question.members.append(member(request, of: id, number: question.members.count))
    seal(&question)
    entries[id]?.question = question
    places[request.key] = id
    return true
  }

  private mutating func hold(
    _ waiter: UInt64, _ request: ApprovalRequest, for id: PendingID, at now: Timestamp
  ) -> AskReply {
    guard var entry = entries[id] else { return .denied(.internalError) }
    entry.waiters.append(waiter)
    entry.question.waiting = entry.waiters.count
    entry.question.count += 1
    entry.question.last = max(entry.question.last, now)
    entry.question.generation = generation
    if !request.addresses.isEmpty { entry.question.addresses = request.addresses }
    if let program = request.program { entry.question.program = program }
    entries[id] = entry
    waiting[waiter] = request.key
    tell(.asked(entry.question))
    return .held(id)
  }
}

extension ApprovalKey {
  /// The rule that would allow exactly this, one line of YAML.
  func candidate(named id: RuleID, _ action: Action = .allow) -> String? {
    SuggestedRule.exact(destination, agent: agent, request: request, id: id, action: action)
  }
}

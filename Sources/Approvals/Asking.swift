import Addressing
import Policy

/// What a connection brings when it asks.
public struct ApprovalRequest: Sendable {
  /// What is asked for.
  public var key: ApprovalKey
  /// The registered domain of its name; nil where it has none.
  public var domain: Hostname?
  /// The rule that asks; nil where the policy's default does.
  public var rule: Rule?
  /// The addresses, where they are known without asking anybody.
  public var addresses: [IPAddress]
  /// Who asks, where it is known.
  public var program: Program?
  /// Until when the connection waits; nil where that is not known.
  public var heldUntil: Timestamp?

  /// Makes a request.
  public init(
    _ key: ApprovalKey, domain: Hostname? = nil, rule: Rule? = nil, addresses: [IPAddress] = [],
    program: Program? = nil
  ) {
    self.key = key
    self.domain = domain
    self.rule = rule
    self.addresses = addresses
    self.program = program
  }
}

extension ApprovalRequest {
  var asked: Asked { Asked(key, under: rule) }

  var quarter: ApprovalBook.Quarter? {
    domain.map { ApprovalBook.Quarter(agent: key.agent, domain: $0) }
  }
}

extension ApprovalBook {
  /// A connection asks: what was answered before counts, else it is held for a
  /// question, its own or one that is open already.
  ///
  /// - Parameter waiter: The connection; one that is held already may ask again.
  public mutating func ask(_ request: ApprovalRequest, as waiter: UInt64, at now: Timestamp) -> AskReply {
    if let reply = answered(request, at: now) {
      release(waiter)
      return reply
    }
    if waiting[waiter] == request.key, let id = places[request.key] {
      renew(id, under: request)
      return .held(id, isFirst: false)
    }
    release(waiter)
    guard isAttended else { return .denied(.noApprover) }
    if let id = places[request.key] {
      renew(id, under: request)
      return hold(waiter, request, for: id, isFirst: false, at: now)
    }
    if let id = request.quarter.flatMap({ joined[$0] }) {
      guard enlarge(id, by: request) else { return .denied(.approvalQueueFull) }
      return hold(waiter, request, for: id, isFirst: true, at: now)
    }
    switch open(request, at: now) {
    case .success(let id): return hold(waiter, request, for: id, isFirst: true, at: now)
    case .failure(let denial): return .denied(denial.reason)
    }
  }

  /// Says who is behind a connection that is held: for people to see, and nothing is decided by it.
  public mutating func note(_ program: Program, of waiter: UInt64) {
    guard let id = waiting[waiter].flatMap({ places[$0] }), var question = entries[id]?.question else {
      return
    }
    let before = question.program
    // What several ask none of them speaks for.
    question.program = before?.joined(by: program) ?? program
    guard question.program != before else { return }
    entries[id]?.question = question
    tell(.asked(question))
  }

  /// What was answered before, by whomever and for however long.
  private mutating func answered(_ request: ApprovalRequest, at now: Timestamp) -> AskReply? {
    let written = written(request, at: now)
    // What somebody refused for good is not opened by what another allowed for a while.
    if case .denied? = written { return written }
    if let approval = takeGrant(for: request, at: now) { return .allowed(approval) }
    if let written { return written }
    return refusals.denial(of: request.key, at: now).map { .denied($0) }
  }

  private mutating func takeGrant(for request: ApprovalRequest, at now: Timestamp) -> Approval? {
    guard let id = grantOf[request.key], let grant = grants[id] else { return nil }
    // It stays until the next tick, which ends what it let pass.
    if let end = grant.expires, end <= now { return nil }
    guard grant.covers(request.asked) else { return nil }
    if grant.approval.scope == .once { drop(grant) }
    return grant.approval
  }

  /// What was answered for good, as the one evaluator reads it. It knows no address as this host's own: the
  /// connection itself is held to the floor. A rule without the leave of the one that asks was written for less.
  private func written(_ request: ApprovalRequest, at now: Timestamp) -> AskReply? {
    let key = request.key
    let decision = standing.decide(
      key.destination, agent: key.agent, request: key.request, floor: Floor(), at: now)
    guard let rule = decision.rule, decision.answer != .ask else { return nil }
    guard decision.answer == .allow else { return .denied(.refused) }
    guard Leave.of(rule).isSuperset(of: Leave.of(request.rule)) else { return nil }
    return .allowed(Approval(id: rule.id.text, scope: .always, person: nil, expires: rule.expires))
  }
}

// MARK: - Questions

/// Why no question is opened.
private struct Unasked: Error {
  var reason: Reason
}

extension ApprovalBook {
  private mutating func open(_ request: ApprovalRequest, at now: Timestamp) -> Result<PendingID, Unasked> {
    let agent = request.key.agent
    guard entries.values.count(where: { $0.question.agent == agent }) < bounds.pendingPerAgent else {
      return .failure(Unasked(reason: .approvalQueueFull))
    }
    let question = question(for: request, at: now), near = entries(near: request)
    guard question.size <= bounds.questionBytes else {
      return .failure(Unasked(reason: .approvalTooLarge))
    }
    let isCrowded = near.count >= bounds.perDomain
    let size = near.reduce(question.size) { $0 + $1.question.size }
    guard !isCrowded || size <= bounds.questionBytes else {
      entries[near[0].question.id]?.question.more += 1
      return .failure(Unasked(reason: .approvalQueueFull))
    }
    guard takePrompt(agent, at: now) else { return .failure(Unasked(reason: .approvalRate)) }
    guard isCrowded, let quarter = request.quarter else {
      entries[question.id] = Entry(question: question)
      places[request.key] = question.id
      return .success(question.id)
    }
    return .success(join(near + [Entry(question: question)], in: quarter, at: now))
  }

  private mutating func question(for request: ApprovalRequest, at now: Timestamp) -> PendingQuestion {
    let id = newID()
    var question = PendingQuestion(
      id: id, agent: request.key.agent, members: [member(request, of: id)], domain: request.domain,
      isJoined: false, generation: generation, first: now, last: now, count: 0, waiting: 0, digest: "")
    seal(&question)
    return question
  }

  /// The agent's questions under the domain of one, the oldest first.
  private func entries(near request: ApprovalRequest) -> [Entry] {
    guard let quarter = request.quarter else { return [] }
    return entries.values.filter {
      $0.question.domain == quarter.domain && $0.question.agent == quarter.agent
    }.sorted { ($0.question.first, $0.question.id.text) < ($1.question.first, $1.question.id.text) }
  }

  private func member(_ request: ApprovalRequest, of id: PendingID, number: Int? = nil)
    -> PendingQuestion.Member
  {
    let suffix = number.map { "-\($0)" } ?? ""
    return PendingQuestion.Member(request.asked, named: RuleID("approved-\(id)\(suffix)"))
  }

  /// Puts questions of one quarter into one: what its approval covers is what it lists.
  private mutating func join(_ parts: [Entry], in quarter: Quarter, at now: Timestamp) -> PendingID {
    let id = newID()
    var question = PendingQuestion(
      id: id, agent: quarter.agent, members: parts.flatMap(\.question.members), domain: quarter.domain,
      isJoined: true, generation: generation, first: parts[0].question.first, last: now,
      count: parts.reduce(0) { $0 + $1.question.count }, waiting: 0, digest: "")
    question.more = parts.reduce(0) { $0 + $1.question.more }
    question.heldUntil = parts.reduce(nil) { later($0, $1.question.heldUntil) }
    seal(&question)
    let waiters = parts.flatMap(\.waiters)
    question.waiting = waiters.count
    entries[id] = Entry(question: question, waiters: waiters)
    for part in parts where entries.removeValue(forKey: part.question.id) != nil {
      remember(.joined(id), of: part.question.id)
      tell(.closed(part.question, .joined(id)))
    }
    for member in question.members { places[member.key] = id }
    joined[quarter] = id
    return id
  }

  /// Lists one more, as long as the whole fits.
  private mutating func enlarge(_ id: PendingID, by request: ApprovalRequest) -> Bool {
    guard var question = entries[id]?.question else { return false }
    let member = member(request, of: id, number: question.members.count)
    guard question.members.count < bounds.members, question.size + member.size <= bounds.questionBytes else {
      entries[id]?.question.more += 1
      return false
    }
    question.members.append(member)
    seal(&question)
    entries[id]?.question = question
    places[request.key] = id
    return true
  }

  /// Has a question say under which rule the same is asked now.
  private mutating func renew(_ id: PendingID, under request: ApprovalRequest) {
    guard var question = entries[id]?.question,
      let place = question.members.firstIndex(where: { $0.key == request.key }),
      !Rule.haveSameEffect(question.members[place].asked.rule, request.rule)
    else { return }
    question.members[place] = PendingQuestion.Member(request.asked, named: question.members[place].name)
    seal(&question)
    entries[id]?.question = question
    tell(.asked(question))
  }

  /// - Parameter isFirst: Whether the question is about this only now.
  private mutating func hold(
    _ waiter: UInt64, _ request: ApprovalRequest, for id: PendingID, isFirst: Bool, at now: Timestamp
  ) -> AskReply {
    entries[id]?.count(request, under: generation, showing: bounds.addresses, at: now)
    guard let question = entries[id]?.question else { return .denied(.internalError) }
    let isHeld = question.waiting < bounds.waiters
    if isHeld {
      entries[id]?.waiters.append(waiter)
      entries[id]?.question.waiting += 1
      entries[id]?.question.heldUntil = later(question.heldUntil, request.heldUntil)
      waiting[waiter] = request.key
    }
    // Whoever follows hears of the second, the fourth and the eighth time: as much as there is to see.
    if isFirst || question.count.nonzeroBitCount == 1, let shown = entries[id]?.question {
      tell(.asked(shown))
    }
    return isHeld ? .held(id, isFirst: isFirst) : .denied(.approvalQueueFull)
  }
}

/// The later of two times of which either may be unknown.
private func later(_ one: Timestamp?, _ other: Timestamp?) -> Timestamp? {
  guard let one, let other else { return one ?? other }
  return max(one, other)
}

extension ApprovalBook.Entry {
  /// Takes note of one more that asks.
  fileprivate mutating func count(
    _ request: ApprovalRequest, under generation: UInt64, showing limit: Int, at now: Timestamp
  ) {
    question.count += 1
    question.last = max(question.last, now)
    question.generation = generation
    if !request.addresses.isEmpty { question.addresses = Array(request.addresses.prefix(limit)) }
    if let program = request.program { question.program = program }
  }
}

extension ApprovalKey {
  /// The rule that would allow exactly this, one line of YAML, with the leave of the rule that asks.
  func candidate(named id: RuleID, _ action: Action = .allow, under asking: Rule?) -> String? {
    SuggestedRule.exact(destination, agent: agent, request: request, id: id, action: action, leave: asking)
  }
}

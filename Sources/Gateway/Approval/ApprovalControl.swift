import Addressing
import Approvals
import Control
import EventLoop
import Policy

// What the control socket says of questions and answers.

extension Gate {
  /// What stands approved, what stands refused, and what is written down, in this order.
  var grantStatus: [GrantStatus] {
    approvals.grants.map(GrantStatus.init) + approvals.refusals.map(GrantStatus.init)
      + approvals.standing.parted(at: approvals.now).kept.rules.map(GrantStatus.init)
  }

  var askingStatus: AskingStatus {
    let answers = approvals.answers
    var status = AskingStatus(
      pending: approvals.questions.count, channels: approvals.channels, allowed: answers.allowed,
      refused: answers.refused)
    if snapshot.policy.asks { status.witness = configuration.witnessState() }
    return status
  }

  func carryOut(_ order: AnswerOrder, allowing: Bool, for peer: PeerCredentials, _ reply: ControlAnswer) {
    guard let channel = ApprovalChannel(answering: order.channel) else {
      return reply(.refused("no such channel answers here"))
    }
    var person = Person(peer)
    person.channel = channel
    answer(order, allowing: allowing, by: person) { reply($0) }
  }

  func takeBack(_ id: String, for peer: PeerCredentials, _ reply: ControlAnswer) {
    revoke(id, by: Person(peer), lacking: door.refusalOfTakingBackDenials(to: peer)) { [self] result in
      switch result {
      case .success(let closed): reply(.revoked(closed))
      case .failure(.forbidden(let lack)):
        refuse("revoke", to: peer, lack)
        reply(.refused(lack))
      case .failure(let error): reply(.refused("\(error)"))
      }
    }
  }
}

extension ApprovalDesk {
  /// A question as it is shown to a peer: with what that peer may answer.
  func status(of question: PendingQuestion, to role: ReviewerRole?) -> PendingStatus {
    PendingStatus(question).offered(to: role)
  }
}

extension PendingStatus {
  /// What a peer may answer: what is for good is an editor's, and who only reads answers nothing.
  fileprivate func offered(to role: ReviewerRole?) -> PendingStatus {
    var copy = self
    let forGood = [Offer.allowAlways.rawValue, Offer.refuseAlways.rawValue]
    copy.offers = offers.filter { role?.covers(forGood.contains($0) ? .edit : .approve) == true }
    return copy
  }
}

// MARK: - Words

extension ApprovalChannel {
  /// What a peer of the control socket may say it answers by.
  fileprivate init?(answering word: String?) {
    switch word {
    case nil: self = .control
    case Self.page.rawValue: self = .page
    default: return nil
    }
  }
}

extension Person {
  fileprivate init(_ peer: PeerCredentials) {
    self.init(.control, userID: peer.uid, processID: peer.pid)
  }
}

extension BoundAnswer {
  init?(_ order: AnswerOrder, allowing: Bool) {
    guard let id = PendingID(order.id), let scope = Scope(order.scope, seconds: order.seconds) else {
      return nil
    }
    self.init(
      id, generation: order.generation, digest: order.digest, allowing ? .allow(scope) : .refuse(scope))
  }
}

extension Scope {
  fileprivate init?(_ word: String, seconds: Int64?) {
    switch (word, seconds) {
    case ("once", nil): self = .once
    case ("session", nil): self = .session
    case ("always", nil): self = .always
    case ("time", let seconds?): self = .time(.seconds(seconds))
    default: return nil
    }
  }
}

extension Decided {
  /// What was decided, for people.
  public var sentence: String {
    let places = question.members.prefix(3).map { $0.key.destination.description }.joined(separator: ", ")
    let more = question.members.count > 3 ? " and \(question.members.count - 3) more" : ""
    let until = approval?.expires.map { ", until \($0)" } ?? ""
    let id = approval?.id ?? (answer.scope == .always ? "approved-\(question.id)" : nil)
    let back = answer.scope == .once ? "" : id.map { "; 'exitgate revoke \($0)' takes it back" } ?? ""
    return
      "\(answer.isAllowing ? "allowed" : "refused") (\(answer.scope.word)) for agent \(question.agent): "
      + "\(places)\(more)\(until)\(back)"
  }
}

extension ControlReply {
  init(_ event: BookEvent, to role: ReviewerRole?) {
    switch event {
    case .asked(let question): self = .question(PendingStatus(question).offered(to: role))
    case .closed(let question, let outcome): self = .closed(ClosedStatus(question.id, outcome))
    }
  }
}

extension ClosedStatus {
  init(_ id: PendingID, _ outcome: Outcome) {
    self.init(id: id.text, outcome: outcome.word, sentence: outcome.sentence)
  }
}

extension Outcome {
  /// What became of it, in a word.
  var word: String {
    switch self {
    case .answered(let answer, _): answer.isAllowing ? "allowed" : "refused"
    case .expired: "expired"
    case .joined: "joined"
    case .superseded: "superseded"
    case .stopped: "stopped"
    }
  }
}

extension PendingStatus {
  /// A question as it is shown.
  public init(_ question: PendingQuestion) {
    self.init(
      id: question.id.text, agent: question.agent.text, places: question.members.map(Place.init),
      domain: question.domain?.text, since: question.first.description, last: question.last.description,
      count: question.count, waiting: question.waiting, generation: question.generation,
      digest: question.digest, offers: question.offers.map(\.rawValue).sorted())
    expires = "\(question.last + Bounds().expiry)"
    if question.waiting > 0 { heldUntil = question.heldUntil?.description }
    addresses = question.addresses.map(\.description)
    more = question.more
    program = question.program?.command
    workingDirectory = question.program?.workingDirectory
    processID = question.program?.processID
  }
}

extension PendingStatus.Place {
  fileprivate init(_ member: PendingQuestion.Member) {
    let destination = member.key.destination
    self.init(
      host: destination.host.description, port: Int(destination.port.number),
      traffic: destination.traffic.rawValue, method: member.key.request?.method,
      path: member.key.request?.path, rule: member.rule?.text, candidate: member.candidate)
    leave = member.leave.map(\.rawValue)
  }
}

extension GrantStatus {
  fileprivate init(_ grant: Grant) {
    self.init(
      id: grant.approval.id, scope: grant.approval.scope.word, isAllowing: true,
      agent: grant.keys.first?.agent.text, places: grant.keys.map { $0.destination.description },
      given: grant.given.description, expires: grant.expires?.description, by: grant.approval.person?.sentence
    )
  }

  fileprivate init(_ refusal: StandingRefusal) {
    self.init(
      id: refusal.id.text, scope: refusal.hasEnded ? "asking-ended" : "session", isAllowing: false,
      agent: refusal.keys.first?.agent.text, places: refusal.keys.map { $0.destination.description },
      given: refusal.given.description, by: refusal.person.sentence)
  }

  fileprivate init(_ rule: Rule) {
    let ports = rule.ports.map(\.description).joined(separator: ",")
    self.init(
      id: rule.id.text, scope: "always", isAllowing: rule.action == .allow,
      agent: rule.agents.map { $0.map(\.text).sorted().joined(separator: ", ") },
      places: rule.to.map { "\(rule.traffic.rawValue)://\($0):\(ports)" },
      expires: rule.expires?.description)
  }
}

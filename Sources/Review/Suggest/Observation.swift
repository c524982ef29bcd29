import Addressing
import Audit
import Policy
import PolicyFile

/// What passed in a log, sorted into what rules can allow and what they cannot.
struct Observation {
  private(set) var needs: [Need: Evidence] = [:]
  private(set) var leftOut: [LeftOut] = []
  /// Registered domains below which names look like data.
  private(set) var tunnels: Set<Hostname> = []
  private(set) var records: UInt64 = 0

  /// Connections whose first bytes were not TLS: those that only opaque bytes can be.
  private var opaque: Set<Need> = []
  private var questions: [Need: Evidence] = [:]
  /// Hosts that lead where no rule may: connections to them were denied by the floor.
  private var floored: Set<Asked> = []

  /// Sorts a summary.
  ///
  /// - Parameter base: What is allowed already is no need.
  init(_ summary: LogSummary, beyond base: Policy?, at now: Timestamp) {
    let totals = summary.totals
    tunnels = TunnelShapes(totals).domains
    floored = Set(
      totals.lazy.filter(\.kind.isFloored).compactMap { PolicyQuestion($0.kind).map(Asked.init) })
    for tally in totals where tally.kind.hasPassed { take(tally, beyond: base, at: now) }
    makeOpaque()
    settleQuestions()
    addBytes(totals)
  }

  private mutating func take(_ tally: Tally, beyond base: Policy?, at now: Timestamp) {
    records &+= tally.count
    guard let question = PolicyQuestion(tally.kind) else { return leaveOut(tally, nil, .overflow) }
    if let why = tally.kind.obstacle(question) { return leaveOut(tally, question, why) }
    let need = Need(question)
    if let base, question.decision(under: base, at: now).answer == .allow {
      // A rule of https stands; another of tcp beside it would not win over it.
      return tally.kind.isOpaque ? leaveOut(tally, question, .handshake) : ()
    }
    if tally.kind.isOpaque { opaque.insert(need) }
    if question.destination.traffic == .dns {
      questions[need, default: Evidence()].add(tally, question)
    } else {
      needs[need, default: Evidence()].add(tally, question)
    }
  }

  private mutating func leaveOut(_ tally: Tally, _ question: PolicyQuestion?, _ why: LeftOut.Why) {
    leftOut.append(
      LeftOut(
        place: question.map(\.place) ?? tally.kind.fold.map { "\($0)" }
          ?? "\(tally.kind.reason ?? "unknown")",
        agent: tally.kind.agent ?? "",
        why: why,
        question: question, count: tally.count))
  }

  /// An https destination whose bytes were no TLS once needs a rule of tcp, which TLS passes as well.
  private mutating func makeOpaque() {
    for need in opaque {
      guard let evidence = needs.removeValue(forKey: need) else { continue }
      var plain = need
      plain.traffic = .tcp
      needs[plain, default: Evidence()].merge(evidence)
    }
  }

  /// A name may be asked for where anything may connect to it; others need a rule of their own.
  private mutating func settleQuestions() {
    let connected = Set(needs.keys.map { Asked(agent: $0.agent, host: $0.host) })
    for (need, evidence) in questions {
      let types = evidence.questions.compactMap(\.recordType).filter(RecordTypes.open.contains)
      if !types.isEmpty {
        var own = evidence
        own.recordTypes = Set(types)
        own.questions = evidence.questions.filter { $0.recordType.map(types.contains) ?? false }
        addQuestions(need, own)
      }
      let rest = evidence.questions.filter { !($0.recordType.map(types.contains) ?? false) }
      guard !rest.isEmpty, !connected.contains(Asked(agent: need.agent, host: need.host)) else { continue }
      var own = evidence
      (own.questions, own.isOnlyAsked) = (rest, true)
      addQuestions(Need(agent: need.agent, host: need.host, port: .https, traffic: .https), own)
    }
  }

  private struct Asked: Hashable {
    var agent: AgentName
    var host: Host

    init(agent: AgentName, host: Host) { (self.agent, self.host) = (agent, host) }

    init(_ question: PolicyQuestion) {
      self.init(agent: question.agent, host: question.destination.host)
    }
  }

  private mutating func addQuestions(_ need: Need, _ evidence: Evidence) {
    let isFloored = floored.contains(Asked(agent: need.agent, host: need.host))
    guard isFloored || isInTunnel(need.host) else {
      needs[need, default: Evidence()].merge(evidence)
      needs[need]?.isOnlyAsked = evidence.isOnlyAsked
      return
    }
    for question in evidence.questions {
      leftOut.append(
        LeftOut(
          place: question.place, agent: need.agent.text, why: isFloored ? .floor : .tunnel,
          question: question, count: 1))
    }
  }

  /// Whether a host lies below a domain whose names look like data.
  func isInTunnel(_ host: Host) -> Bool {
    guard case .name(let name) = host else { return false }
    return registeredDomain(of: name).map(tunnels.contains) ?? false
  }

  private mutating func addBytes(_ totals: [Tally]) {
    for tally in totals where tally.kind.event == .close {
      guard let destination = tally.kind.destination, let agent = tally.kind.agent.flatMap({ AgentName($0) })
      else {
        continue
      }
      var need = Need(
        agent: agent, host: destination.host, port: destination.port, traffic: destination.traffic)
      if needs[need] == nil, need.traffic == .https { need.traffic = .tcp }
      needs[need]?.bytesOut &+= tally.bytesOut
      needs[need]?.bytesIn &+= tally.bytesIn
    }
  }
}

extension Need {
  init(_ question: PolicyQuestion) {
    self.init(
      agent: question.agent, host: question.destination.host, port: question.destination.port,
      traffic: question.destination.traffic)
  }
}

extension PolicyQuestion {
  /// In words, with the type that was asked for.
  public var place: String {
    guard destination.traffic == .dns else { return "\(destination)" }
    return "DNS \(recordType ?? "query") of \(destination.host)"
  }
}

extension RecordKind {
  /// Whether it passed, by a rule or because the gate only watched.
  var hasPassed: Bool {
    event == .decision && verdict == .allow
      && (wouldDeny || reason == Reason.allowed.rawValue || reason == Reason.approved.rawValue)
  }

  /// Whether the floor denied it, which no rule, or none that is suggested, changes.
  var isFloored: Bool {
    guard event == .decision, verdict == .deny else { return false }
    let floor: [Reason] = [.specialAddress, .selfAddress, .privateAddress, .rebinding]
    return floor.contains { $0.rawValue == reason }
  }

  /// Whether the first bytes were not TLS, or did not come: the server speaks first.
  var isOpaque: Bool {
    wouldDeny && (reason == Reason.notTLS.rawValue || reason == Reason.helloTimeout.rawValue)
  }

  /// Why no suggestion allows it; nil when one can.
  fileprivate func obstacle(_ question: PolicyQuestion) -> LeftOut.Why? {
    switch reason.flatMap({ Reason(rawValue: $0) }) {
    case .allowed, .noRule, .notTLS, .helloTimeout: break
    case .denyRule: return .deniedByRule
    case .askRule, .noApprover, .approved, .refused, .pendingApproval, .approvalQueueFull, .approvalRate,
      .approvalTooLarge, .askingEnded:
      return .askedByRule
    case .cnameDenied: return .alias
    case .dnsBudget: return .tunnel
    case .sniMismatch, .sniMissing, .sniMalformed, .encryptedHello, .helloTooLarge: return .handshake
    default: return .notByRules
    }
    let reached: IPAddress? =
      if case .address(let literal) = question.destination.host { literal } else { address }
    if let reached, reached.addressClass != .global { return .floor }
    if case .name(let name) = question.destination.host, name.labels.last == "localhost" { return .floor }
    return nil
  }
}

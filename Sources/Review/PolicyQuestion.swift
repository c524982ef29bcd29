import Addressing
import Audit
import Policy

/// What a recorded decision was about, so that another policy can be asked the same.
public struct PolicyQuestion: Hashable, Sendable {
  /// Who asked.
  public var agent: AgentName
  /// Where to.
  public var destination: Destination
  /// Whether it was a tunnel, in which https or opaque bytes may go.
  public var isTunnel: Bool
  /// For DNS, the type that was asked for.
  public var recordType: String?
  /// For HTTP, the method; the path is in no record.
  public var method: String?
  /// What of a name was dialled, where that is no public address.
  public var address: IPAddress?

  /// The question behind records of a kind; nil when they name no place or no agent.
  public init?(_ kind: RecordKind) {
    guard kind.event == .decision, let destination = kind.destination,
      let agent = kind.agent.flatMap({ AgentName($0) })
    else { return nil }
    self.agent = agent
    self.destination = destination
    isTunnel =
      switch kind.layer {
      case .connect, .socks, .transparent, .sni: destination.traffic != .http
      case .http, .dns, .kernel, nil: false
      }
    recordType = destination.traffic == .dns ? kind.recordType : nil
    method = destination.traffic == .http ? kind.method : nil
    address = kind.address
  }

  /// What `policy` says, by the code with which the gate decides.
  ///
  /// This machine's own addresses are not known to a log, so of the floor only what holds everywhere counts.
  public func decision(under policy: Policy, at now: Timestamp) -> Decision {
    let decision = judge(under: policy, at: now)
    guard decision.answer == .allow, let address, case .name = destination.host, destination.traffic != .dns
    else {
      return decision
    }
    let admission = policy.admit([address], to: destination, under: decision, floor: Floor())
    guard let reason = admission.denial else { return decision }
    return Decision(answer: .deny, reason: reason, rule: decision.rule, isFloor: true)
  }

  private func judge(under policy: Policy, at now: Timestamp) -> Decision {
    if destination.traffic == .dns, case .name(let name) = destination.host {
      return ask(policy, about: name, at: now)
    }
    if isTunnel {
      return policy.decideTunnel(
        host: destination.host, port: destination.port, agent: agent, floor: Floor(), at: now
      ).decision
    }
    let request = method.map { RequestFacts(method: $0, path: "/") }
    return policy.decide(destination, agent: agent, request: request, floor: Floor(), at: now)
  }

  /// As the DNS listener does: a type that some rule may open, else the name.
  private func ask(_ policy: Policy, about name: Hostname, at now: Timestamp) -> Decision {
    if let recordType, RecordTypes.open.contains(recordType) {
      return policy.mayQuery(recordType, of: name, agent: agent, at: now)
    }
    return policy.mayResolve(name, agent: agent, at: now)
  }
}

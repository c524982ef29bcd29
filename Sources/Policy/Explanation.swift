import Addressing

/// A decision with everything that led to it.
public struct Explanation: Sendable {
  /// What was judged; after `explainTunnel`, with the protocol that counts.
  public var destination: Destination
  /// For whom.
  public var agent: AgentName
  /// What kind of address a literal is; nil for names.
  public var addressClass: AddressClass?
  /// Every rule of the policy in its order, and how it fared.
  public var considered: [Consideration]
  /// The answer.
  public var decision: Decision

  /// The rule behind the answer.
  public var winner: Rule? { decision.rule }

  /// How one rule fared.
  public struct Consideration: Sendable {
    /// The rule.
    public var rule: Rule
    /// The most specific of its patterns that matched the host.
    public var pattern: HostPattern?
    /// The fields that did not match, in the order of the policy language; empty: it matches.
    public var failed: [Field]
  }

  /// A field of a rule.
  public enum Field: String, Hashable, Sendable, CaseIterable {
    /// `to`.
    case host = "to"
    /// `agents`.
    case agent = "agents"
    /// `protocol`.
    case traffic = "protocol"
    /// `ports`.
    case port = "ports"
    /// `expires`.
    case expired = "expires"
    /// `http`.
    case request = "http"
    /// `types`.
    case recordType = "types"
  }
}

extension Policy {
  /// `decide`, with everything that led to it.
  public func explain(
    _ destination: Destination, agent: AgentName, request: RequestFacts? = nil, floor: Floor,
    at now: Timestamp
  ) -> Explanation {
    let query = Query(
      host: destination.host, port: destination.port, traffic: TrafficSet(destination.traffic), agent: agent,
      request: request, now: now)
    return explain(query, as: destination, floor: floor)
  }

  /// `decideTunnel`, with everything that led to it.
  public func explainTunnel(
    host: Host, port: Port, agent: AgentName, floor: Floor, at now: Timestamp
  ) -> Explanation {
    let query = Query(host: host, port: port, traffic: .tunnel, agent: agent, now: now)
    var explanation = explain(query, as: Destination(host, port, .https), floor: floor)
    if let rule = explanation.decision.rule { explanation.destination.traffic = rule.traffic }
    return explanation
  }

  /// Takes down what the evaluator said of each rule, on the way to the same decision.
  private func explain(_ query: Query, as destination: Destination, floor: Floor) -> Explanation {
    var considered = rules.map { Explanation.Consideration(rule: $0, pattern: nil, failed: [.host]) }
    var specificity = [UInt32](repeating: 0, count: rules.count)
    let decision = judge(query, floor: floor) { candidate, failures in
      let place = Int(candidate.rule)
      guard considered[place].pattern == nil || candidate.specificity > specificity[place] else { return }
      specificity[place] = candidate.specificity
      considered[place].pattern = rules[place].to[Int(candidate.pattern)]
      considered[place].failed = failures.fields
    }
    var addressClass: AddressClass?
    if case .address(let address) = query.host { addressClass = address.addressClass }
    return Explanation(
      destination: destination, agent: query.agent, addressClass: addressClass, considered: considered,
      decision: decision)
  }
}

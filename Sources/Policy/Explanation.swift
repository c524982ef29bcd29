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
  }
}

import Addressing
import Policy

/// A rule of a suggestion, with what a person should know of it.
public struct SuggestedEntry: Sendable {
  /// What a person should look at, the riskiest first.
  public enum Mark: String, Hashable, Sendable, CaseIterable {
    /// Names below the domain look like data that is carried out.
    case tunnel
    /// DNS queries are answered over https there.
    case resolver
    /// More than `highBytes` were sent.
    case highBytes = "high-bytes"
    /// Nothing is looked at inside.
    case opaque
    /// Datagrams.
    case datagrams
    /// An address instead of a name.
    case literal
    /// Another port than the protocol's own.
    case oddPort = "odd-port"
    /// Not encrypted.
    case plain
    /// Many parties share the machines.
    case sharedEdge = "shared-edge"
    /// A wildcard.
    case wildcard
    /// Neither the policy nor a ready-made list knows the domain.
    case newDomain = "new-domain"
    /// Only asked for over DNS.
    case onlyAsked = "only-asked"

    /// How much it weighs: twice as much as all behind it.
    var weight: Int { 1 << (Self.allCases.count - (Self.allCases.firstIndex(of: self) ?? 0)) }
  }

  /// A wildcard, and the names that justify it.
  public struct Wildcard: Hashable, Sendable {
    /// Below which name.
    public var parent: Hostname
    /// The names that were seen directly below it.
    public var siblings: [Hostname]
  }

  /// In bytes: from what on sending is worth a look (10 MiB).
  public static let highBytes: UInt64 = 10 << 20

  /// What the rule is called.
  public var id: RuleID
  /// Whom it speaks of; nil: everyone.
  public var agents: [AgentName]?
  /// The hosts.
  public var to: [HostPattern]
  /// The port.
  public var port: Port
  /// The protocol.
  public var traffic: TrafficProtocol
  /// For http, the methods; empty: every one.
  public var methods: [String]
  /// For dns, the types.
  public var recordTypes: [String]
  /// Those of `to` that are wildcards.
  public var wildcards: [Wildcard]
  /// What to look at, the riskiest first.
  public var marks: [Mark]
  /// How many decisions it would have allowed.
  public var count: UInt64
  /// The first of them.
  public var first: Timestamp
  /// The last of them.
  public var last: Timestamp
  /// Bytes to upstreams.
  public var bytesOut: UInt64
  /// Bytes from upstreams.
  public var bytesIn: UInt64
  /// Where they were decided.
  public var layers: [String]
  /// Which programs asked, where the gate could know.
  public var processes: [String]
  /// What is allowed by it, as it stands in the records.
  var questions: Set<PolicyQuestion>

  /// By which entries are put in order, the riskiest first.
  public var risk: Int { marks.reduce(0) { $0 + $1.weight } }
}

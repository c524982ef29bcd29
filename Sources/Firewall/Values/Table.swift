/// The name a table has in the kernel: its family and its own name.
public struct TableName: Hashable, Sendable, CustomStringConvertible {
  public var family: Family
  public var name: String

  public init(_ family: Family, _ name: String) {
    self.family = family
    self.name = name
  }

  public var description: String { "\(family.rawValue) \(name)" }
}

/// The address family of a table.
///
/// - Source: nft(8), ADDRESS FAMILIES.
public enum Family: String, Hashable, Sendable, CaseIterable {
  /// IPv4 and IPv6 alike.
  case inet
  /// One device, at its ingress or egress.
  case netdev
}

/// What the kernel is to hold: a whole table, as a value.
///
/// Two renderers make of it either a netlink batch (`NetfilterSocket`) or text
/// that `nft -f` loads (`text`); a test holds them equal.
public struct Table: Hashable, Sendable {
  public var name: TableName
  public var sets: [NFSet]
  /// The names of counters that rules count with. They go on when rules are replaced.
  public var counters: [String]
  /// A chain stands before the chains that jump to it only where the reader
  /// is better served: both renderers make all chains before any rule.
  public var chains: [Chain]

  public init(_ name: TableName, sets: [NFSet] = [], counters: [String] = [], chains: [Chain] = []) {
    self.name = name
    self.sets = sets
    self.counters = counters
    self.chains = chains
  }
}

/// A list of rules: a base chain, which a hook calls, or a regular one, which
/// rules jump to.
public struct Chain: Hashable, Sendable {
  public var name: String
  /// nil for a regular chain.
  public var base: Base?
  public var rules: [Rule]
  /// What the text says about it in a comment; the kernel is not told.
  public var note: String?

  public init(_ name: String, _ base: Base? = nil, note: String? = nil, rules: [Rule]) {
    self.name = name
    self.base = base
    self.note = note
    self.rules = rules
  }

  /// Where and when a base chain is called.
  public struct Base: Hashable, Sendable {
    public var type: ChainType
    public var hook: Hook
    /// Lower numbers are called first; 0 is `filter`.
    public var priority: Int32
    public var policy: Policy
    /// The device of a chain at `egress`; nil elsewhere.
    public var device: String?

    public init(
      _ type: ChainType, _ hook: Hook, priority: Int32, policy: Policy, device: String? = nil
    ) {
      self.type = type
      self.hook = hook
      self.priority = priority
      self.policy = policy
      self.device = device
    }
  }

  /// - Source: nft(8), CHAINS.
  public enum ChainType: String, Hashable, Sendable {
    case filter, nat
  }

  /// - Source: nft(8), ADDRESS FAMILIES; `enum nf_inet_hooks` and
  ///   `enum nf_dev_hooks` in linux/netfilter.h.
  public enum Hook: String, Hashable, Sendable {
    case prerouting, input, forward, output, postrouting, egress
  }

  /// What happens to a packet that no rule took.
  public enum Policy: String, Hashable, Sendable {
    case accept, drop
  }
}

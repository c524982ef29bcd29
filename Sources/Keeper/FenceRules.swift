import Addressing
import Firewall

/// What the kernel's table is to hold of a policy.
public struct FenceRules: Hashable, Sendable {
  /// The marks of the rules that are granted, each at least 2.
  public var marks: Set<UInt32>
  /// What rules grant to blocks of addresses, a list for each agent that is
  /// fenced in; the first that matches decides.
  public var grants: [[UDPGrant]]
  /// The addresses that stand for names, IPv4 and IPv6.
  public var synthetic4: IPPrefix
  public var synthetic6: IPPrefix
  /// The gate's resolvers; no datagram of the agent reaches them.
  public var resolvers: [Endpoint]
  /// Whether what no rule grants passes all the same, the floor apart.
  public var isAudit: Bool
  /// Whether all who are fenced in are stopped: then nobody may connect to them either.
  public var isStopped: Bool

  /// Makes rules.
  public init(
    marks: Set<UInt32>, grants: [[UDPGrant]], synthetic4: IPPrefix, synthetic6: IPPrefix,
    resolvers: [Endpoint] = [], isAudit: Bool = false, isStopped: Bool = false
  ) {
    (self.marks, self.grants) = (marks, grants)
    (self.synthetic4, self.synthetic6) = (synthetic4, synthetic6)
    (self.resolvers, self.isAudit, self.isStopped) = (resolvers, isAudit, isStopped)
  }

  /// What is the same for all agents, as the table's sets have it: above the floor that no rule lowers.
  public var firewallGrants: Grants {
    let never: [AddressClass] = [.metadata, .loopback, .unspecified, .multicast, .broadcast]
    let inner: [AddressClass] = [.privateUse, .reserved]
    let floor = AddressFloor(
      always4: never.flatMap { $0.blocks(isV4: true) } + [synthetic4],
      // An address that leads to an IPv4 address could lead to any of these.
      always6: never.flatMap { $0.blocks(isV4: false) } + IPPrefix.embeddingIPv4 + [synthetic6],
      private4: inner.flatMap { $0.blocks(isV4: true) }, private6: inner.flatMap { $0.blocks(isV4: false) },
      endpoints: resolvers)
    return Grants(liveMarks: marks.sorted(), floor: floor, isAudit: isAudit)
  }
}

/// An address that was learned from an answer, and what a rule opens there.
public struct FenceOpening: Hashable, Sendable {
  public var address: IPAddress
  public var ports: ClosedRange<UInt16>
  /// The rule's.
  public var mark: UInt32
  /// In seconds.
  public var lifetime: UInt32
  /// Whom it is opened to: the agent's place among those that are fenced in.
  public var agent: UInt16

  /// Makes an opening.
  public init(
    _ address: IPAddress, ports: ClosedRange<UInt16>, mark: UInt32, lifetime: UInt32, agent: UInt16 = 0
  ) {
    (self.address, self.ports, self.mark) = (address, ports, mark)
    (self.lifetime, self.agent) = (lifetime, agent)
  }

  /// The most ports of one rule that the kernel is told one by one.
  public static let portLimit = 256
}

/// What became of the packets that prove the table.
public enum CanaryState: UInt8, Hashable, Sendable, CaseIterable {
  /// The table counted each.
  case counted = 1
  /// It did not: something lets packets pass it, or takes them before it.
  case missed
  /// No device took one.
  case unsent
  /// The keeper is the gate's user, whose packets are exempt.
  case impossible
}

/// How the kernel's table is doing.
public struct FenceState: Hashable, Sendable {
  /// Whether there is a table at all.
  public var isInForce = true
  /// Whether nobody else can change it, and it stays when its owner ends.
  public var isOwned: Bool
  /// Packets that were denied since the table was made.
  public var denied: UInt64
  /// Frames beside the IP stack that were stopped on their way out.
  public var frames: UInt64
  /// Addresses that were learned and not forgotten.
  public var learned: UInt32
  /// Packets that passed since the table was made though no rule grants them; nil where none may now.
  public var audited: UInt64?
  /// Whether a packet that the table has to deny was counted by it, just now.
  public var canary = CanaryState.missed

  /// Devices on which frames beside the IP stack are not stopped (yet).
  public var unguarded: [String] = []

  /// Makes a state.
  public init(isOwned: Bool, denied: UInt64, frames: UInt64, learned: UInt32) {
    (self.isOwned, self.denied, self.frames, self.learned) = (isOwned, denied, frames, learned)
  }

  /// Nobody says anything of it.
  public static let unknown = FenceState(isOwned: false, denied: 0, frames: 0, learned: 0)

  /// No table is there: nothing holds packets back.
  public static let missing: FenceState = {
    var state = FenceState(isOwned: false, denied: 0, frames: 0, learned: 0)
    state.isInForce = false
    return state
  }()
}

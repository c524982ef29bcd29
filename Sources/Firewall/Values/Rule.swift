import Addressing

/// A rule: its expressions are evaluated in order, and the first that does not
/// match ends the rule.
public struct Rule: Hashable, Sendable {
  public var expressions: [Expression]
  /// At most 120 bytes; names the rule where its counter is read.
  public var comment: String?

  public init(_ expressions: Expression..., comment: String? = nil) {
    self.init(expressions, comment: comment)
  }

  public init(_ expressions: [Expression], comment: String? = nil) {
    self.expressions = expressions
    self.comment = comment
  }
}

/// A match or a statement of a rule.
///
/// - Source: nft(8), EXPRESSIONS and STATEMENTS.
public enum Expression: Hashable, Sendable {
  /// `FIELD VALUE`, or `FIELD != VALUE`.
  case compare(Field, Datum, Comparison = .equal)
  /// `FIELD { A, B }`.
  case oneOf(Field, [Datum])
  /// `FIELD . FIELD @SET`, or `!= @SET`.
  case lookup([Field], set: String, Comparison = .equal)
  /// `ct state A,B`.
  case state([ConnectionState])
  /// `ct status dnat`: the first packet of the flow was redirected.
  case statusDNAT
  /// `ct direction`.
  case direction(Direction)
  /// `tcp flags & (fin | syn | rst | ack) != syn`: no packet that begins a connection.
  case notSYN
  /// `ct count over N`: more flows than that have come by this rule and are there still.
  case flowsOver(UInt32)
  /// `fib daddr type local`.
  case destinationIsLocal
  /// `fib saddr type != local`: it says it comes from elsewhere.
  case sourceIsForeign
  /// `fib saddr . iif oif missing`: nothing routes back to the source through
  /// the device that the packet came in by.
  case sourceRouteMissing
  /// `socket cgroupv2 level N "PATH"`.
  case socketCgroup(ControlGroup)
  /// `exthdr rt exists`: an IPv6 routing header.
  case hasRoutingHeader

  case counter
  /// `counter name "N"`: one of the table's own, which outlives the rule.
  case count(String)
  /// `limit rate N/second burst M packets`.
  case limit(perSecond: UInt64, burst: UInt32)
  /// `log group G snaplen S prefix "P"`: to a reader of NFLOG.
  case log(group: UInt16, snaplen: UInt32, prefix: String)
  /// `ct mark set N`.
  case setConnectionMark(UInt32)
  /// `ct mark set FIELD . FIELD map @MAP`; no match when the key is absent.
  case mapConnectionMark([Field], map: String)
  /// `meta mark set N`.
  case setMark(UInt32)
  /// `udp sport set N`, in this packet alone.
  case setUDPSourcePort(UInt16)
  case redirect(port: UInt16)
  /// `tproxy ip to A:P` or `tproxy ip6 to [A]:P`; no match when nothing listens there.
  case tproxy(IPAddress, port: UInt16)
  case masquerade
  /// `reject with tcp reset`.
  case rejectReset
  /// `reject with icmpx admin-prohibited`.
  case rejectProhibited
  case accept, drop
  case jump(String), goto(String)
  case `return`

  public enum Comparison: Hashable, Sendable {
    case equal, notEqual
  }

  /// The raw value is the kernel's bit.
  ///
  /// - Source: `NF_CT_STATE_BIT` in linux/netfilter/nf_conntrack_common.h.
  public enum ConnectionState: UInt32, Hashable, Sendable {
    case invalid = 1
    case established = 2
    case related = 4
    case new = 8
    case untracked = 64

    var text: String {
      switch self {
      case .invalid: "invalid"
      case .established: "established"
      case .related: "related"
      case .new: "new"
      case .untracked: "untracked"
      }
    }
  }

  /// - Source: `enum ip_conntrack_dir` in linux/netfilter/nf_conntrack_tuple_common.h.
  public enum Direction: UInt8, Hashable, Sendable {
    case original = 0
    case reply = 1
  }
}

/// A control group, as a rule names it.
public struct ControlGroup: Hashable, Sendable {
  /// How many levels below the root (of the control group namespace) its
  /// ancestor to compare stands.
  public var level: UInt32
  /// The inode number of its folder, which is what the kernel compares.
  public var id: UInt64
  /// The folder relative to /sys/fs/cgroup, which is what nft(8) reads.
  public var path: String

  public init(level: UInt32, id: UInt64, path: String) {
    self.level = level
    self.id = id
    self.path = path
  }
}

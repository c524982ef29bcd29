import Audit

/// How the kernel's table is doing.
public struct FenceStatus: Hashable, Sendable {
  /// The command that made it: `sidecar` or `gateway`.
  public var mode: String
  /// The links that agents are behind; none where the agent is in the gate's own namespace.
  public var links: [LinkStatus]
  /// Whether the kernel has the table, as it said just now.
  public var isInForce: Bool
  /// Whether nobody else can change it while the gate lives.
  public var isOwned: Bool
  /// By what the gate's own traffic is told apart: `user 2001 and control group /gate`.
  public var exemption: String
  /// Whether others could be exempt too.
  public var isWeak: Bool
  /// Packets that were denied.
  public var denied: UInt64
  /// Frames beside the IP stack that were stopped.
  public var frames: UInt64
  /// Addresses that datagrams may go to because an answer held them.
  public var learned: UInt64
  /// Packets that audit mode let pass since the table was made; nil where the table enforces.
  public var audited: UInt64?
  /// What became of packets that the table has to deny.
  public var canary: Canary

  /// Whether the process that keeps it answers; where it does not, the other fields say nothing.
  public var isKept: Bool
  /// Devices on which frames beside the IP stack are not stopped.
  public var unguarded: [String]

  /// What is sent to prove that the table denies, just now.
  public enum Canary: String, Hashable, Sendable, CaseIterable {
    /// The table counted each packet.
    case counted
    /// It did not.
    case missed
    /// No device took one.
    case unsent
    /// Gate and keeper are one user, whose packets are exempt.
    case impossible
  }

  /// Makes a status.
  public init(
    mode: String = "sidecar", links: [LinkStatus] = [], isInForce: Bool, isOwned: Bool, exemption: String,
    isWeak: Bool, denied: UInt64 = 0, frames: UInt64 = 0,
    learned: UInt64 = 0, audited: UInt64? = nil, canary: Canary = .counted,
    isKept: Bool = true, unguarded: [String] = []
  ) {
    (self.mode, self.links) = (mode, links)
    (self.isInForce, self.isOwned, self.exemption, self.isWeak) = (isInForce, isOwned, exemption, isWeak)
    (self.denied, self.frames, self.learned) = (denied, frames, learned)
    (self.audited, self.canary) = (audited, canary)
    (self.isKept, self.unguarded) = (isKept, unguarded)
  }
}

/// A link that an agent is behind.
public struct LinkStatus: Hashable, Sendable {
  public var interface: String
  public var agent: String
  /// `up`, `down`, or what became of it.
  public var state: String
  /// Whether what comes by it is taken as the agent's.
  public var isWhole: Bool

  /// Makes a status.
  public init(interface: String, agent: String, state: String, isWhole: Bool) {
    (self.interface, self.agent, self.state, self.isWhole) = (interface, agent, state, isWhole)
  }
}

/// What one process of the gate may do, as the kernel says.
public struct ProcessStatus: Hashable, Sendable {
  /// `gate` or `keeper`.
  public var role: String
  public var pid: Int32
  /// The user it runs as.
  public var user: UInt32
  /// Its capabilities: `none`, `net_admin`.
  public var capabilities: String
  /// Whether it can gain none by execve(2).
  public var hasNoNewPrivileges: Bool
  /// Whether its system calls are filtered.
  public var isFiltered: Bool
  /// The directories in which it may make, change and remove files; nil where
  /// that is not limited.
  public var writes: [String]?

  /// Makes a status.
  public init(
    role: String, pid: Int32, user: UInt32, capabilities: String, hasNoNewPrivileges: Bool, isFiltered: Bool,
    writes: [String]? = nil
  ) {
    (self.role, self.pid, self.user, self.capabilities) = (role, pid, user, capabilities)
    (self.hasNoNewPrivileges, self.isFiltered) = (hasNoNewPrivileges, isFiltered)
    self.writes = writes
  }
}

extension FenceStatus {
  var json: JSONValue {
    .object([
      .init("mode", text(mode)), .init("interfaces", .array(links.map(\.json))),
      .init("in_force", .bool(isInForce)), .init("owned", .bool(isOwned)),
      .init("exemption", text(exemption)),
      .init("weak", .bool(isWeak)), .init("denied_packets", count(denied)),
      .init("denied_frames", count(frames)), .init("learned", count(learned)),
      .init("would_deny_packets", audited.map(count) ?? .null),
      .init("canary", .string(canary.rawValue)), .init("kept", .bool(isKept)),
      .init("unguarded", .array(unguarded.map(text))),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      mode: try fields.text("mode"), links: try fields.list("interfaces", LinkStatus.init),
      isInForce: try fields.flag("in_force"), isOwned: try fields.flag("owned"),
      exemption: try fields.text("exemption"), isWeak: try fields.flag("weak"),
      denied: try fields.count("denied_packets"), frames: try fields.count("denied_frames"),
      learned: try fields.count("learned"),
      audited: try fields.number(ifPresent: "would_deny_packets").map(UInt64.init(clamping:)),
      canary: try fields.word("canary"), isKept: try fields.flag("kept"),
      unguarded: try fields.texts(ifPresent: "unguarded") ?? [])
  }
}

extension LinkStatus {
  var json: JSONValue {
    .object([
      .init("interface", text(interface)), .init("agent", text(agent)), .init("state", text(state)),
      .init("whole", .bool(isWhole)),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      interface: try fields.text("interface"), agent: try fields.text("agent"),
      state: try fields.text("state"),
      isWhole: try fields.flag("whole"))
  }
}

extension ProcessStatus {
  var json: JSONValue {
    .object([
      .init("role", text(role)), .init("pid", .integer(Int64(pid))), .init("user", .integer(Int64(user))),
      .init("capabilities", text(capabilities)), .init("no_new_privs", .bool(hasNoNewPrivileges)),
      .init("seccomp", .bool(isFiltered)), .init("writes", writes.map { .array($0.map(text)) } ?? .null),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      role: try fields.text("role"), pid: try fields.number("pid"), user: try fields.number("user"),
      capabilities: try fields.text("capabilities"), hasNoNewPrivileges: try fields.flag("no_new_privs"),
      isFiltered: try fields.flag("seccomp"), writes: try fields.texts(ifPresent: "writes"))
  }
}

import Policy

/// What a gate is doing, counted since it started.
public struct GateStatus: Hashable, Sendable {
  /// The process.
  public var pid: Int32
  /// The version of the binary.
  public var version: String
  /// Time since every listener was bound.
  public var uptime: Duration
  /// The policy in force.
  public var policy: PolicyStatus
  /// What the gate listens on.
  public var listeners: [ListenerStatus]
  /// Who is stopped by order.
  public var stop = StopOrder()
  /// The agents the policy names.
  public var agents: [AgentName]
  /// Decisions by verdict and reason; counts of zero are left out.
  public var decisions: [DecisionCount]
  /// Connections of clients.
  public var connections: ConnectionStatus
  /// What people are asked.
  public var asking = AskingStatus()
  /// The audit log.
  public var audit: AuditStatus
  /// The resolver.
  public var resolver: ResolverStatus
  /// What answers agents' questions; nil where nothing does.
  public var dns: DNSStatus?
  /// The kernel's table; nil where there is none.
  public var fence: FenceStatus?
  /// What each process of the gate may do; empty where nobody looked.
  public var processes: [ProcessStatus] = []
  /// One for each event loop, in their order.
  public var loops: [LoopStatus]
  /// Whether lists lost their tails so that the status fits a message.
  public var isCut = false

  /// Makes a status; every part can be filled in later.
  public init(
    pid: Int32, version: String, uptime: Duration, policy: PolicyStatus, listeners: [ListenerStatus] = [],
    agents: [AgentName] = [], decisions: [DecisionCount] = [], connections: ConnectionStatus = .init(),
    audit: AuditStatus, resolver: ResolverStatus = .init(), loops: [LoopStatus] = []
  ) {
    self.pid = pid
    self.version = version
    self.uptime = uptime
    self.policy = policy
    self.listeners = listeners
    self.agents = agents
    self.decisions = decisions
    self.connections = connections
    self.audit = audit
    self.resolver = resolver
    self.loops = loops
  }

  /// What must be said before anything else when denials pass.
  public var warning: String? {
    if let fence, !fence.isKept {
      return
        "NOT PROVED: the process that keeps the kernel's table does not answer; the table holds what it held, and "
        + "nothing can be changed in it"
    }
    if let fence, !fence.isInForce {
      return "NOT ENFORCING: the kernel's table is gone; nothing holds packets back"
    }
    if fence?.canary == .missed {
      return
        "NOT ENFORCING: the kernel's table did not count a packet that it has to deny; something decides before it"
    }
    if let device = fence?.unguarded.first {
      return
        "NOT ENFORCING: frames beside the IP stack (AF_PACKET) are not stopped on the device \(device); whoever has "
        + "CAP_NET_RAW can send them there"
    }
    if fence?.audited != nil {
      return
        "NOT ENFORCING: the policy's mode is audit; what it would deny passes, in the kernel's table too, and is "
        + "recorded\(policy.untilWhen). Only the floor denies"
    }
    if let link = fence?.links.first(where: { !$0.isWhole }) {
      return
        "the interface \(link.interface) of agent \(link.agent) is \(link.state); nothing that comes by it is taken"
    }
    return policy.warning
  }
}

/// The policy in force.
public struct PolicyStatus: Hashable, Sendable {
  /// The file it was read from.
  public var path: String
  /// Whether denials bite.
  public var mode: Mode
  /// Counts the policies that were in force, from 1.
  public var generation: UInt64
  /// When this one came into force.
  public var loadedAt: Timestamp
  /// When audit mode ends by itself, or has ended where denials bite; nil where no end is set.
  public var auditUntil: Timestamp?
  /// The number of rules.
  public var rules: Int
  /// Why the last reload was refused; nil when it was not.
  public var lastError: String?

  /// Makes a policy's status.
  public init(
    path: String, mode: Mode, generation: UInt64, loadedAt: Timestamp, auditUntil: Timestamp? = nil,
    rules: Int, lastError: String? = nil
  ) {
    self.path = path
    self.mode = mode
    self.generation = generation
    self.loadedAt = loadedAt
    self.auditUntil = auditUntil
    self.rules = rules
    self.lastError = lastError
  }

  /// That denials pass, and until when.
  public var warning: String? {
    mode == .enforce
      ? nil
      : "NOT ENFORCING: the policy's mode is audit; what it would deny passes and is recorded\(untilWhen)"
  }

  fileprivate var untilWhen: String { auditUntil.map { ", until \($0)" } ?? "" }
}

/// One address the gate listens on.
public struct ListenerStatus: Hashable, Sendable {
  /// The bound address, as `ListenAddress` writes it.
  public var address: String
  /// The agent whose listener it is; nil for the shared ones.
  public var agent: AgentName?
  /// Connections accepted.
  public var accepted: UInt64
  /// Whether accepting pauses for want of descriptors or memory.
  public var paused: Bool

  /// Makes a listener's status.
  public init(address: String, agent: AgentName? = nil, accepted: UInt64 = 0, paused: Bool = false) {
    self.address = address
    self.agent = agent
    self.accepted = accepted
    self.paused = paused
  }
}

/// How often one answer was given for one reason.
public struct DecisionCount: Hashable, Sendable {
  /// What happened.
  public var verdict: Action
  /// Why.
  public var reason: Reason
  /// How often.
  public var count: UInt64

  /// Makes a count.
  public init(verdict: Action, reason: Reason, count: UInt64) {
    self.verdict = verdict
    self.reason = reason
    self.count = count
  }
}

/// Connections of clients.
public struct ConnectionStatus: Hashable, Sendable {
  /// Open now.
  public var open: Int
  /// Accepted since the start.
  public var accepted: UInt64
  /// Of these, relayed to an upstream and since ended.
  public var finished: UInt64
  /// Bytes from agents to upstreams, counted when a connection ends.
  public var bytesOut: UInt64
  /// Bytes from upstreams to agents, counted when a connection ends.
  public var bytesIn: UInt64
  /// How long one may last where its rule names no `duration`.
  public var longest: Duration

  /// Makes a status.
  public init(
    open: Int = 0, accepted: UInt64 = 0, finished: UInt64 = 0, bytesOut: UInt64 = 0, bytesIn: UInt64 = 0,
    longest: Duration = .zero
  ) {
    self.open = open
    self.accepted = accepted
    self.finished = finished
    self.bytesOut = bytesOut
    self.bytesIn = bytesIn
    self.longest = longest
  }
}

/// The audit log.
public struct AuditStatus: Hashable, Sendable {
  /// The file.
  public var path: String
  /// Whether it can be written. While not, nothing new is allowed.
  public var available: Bool
  /// Records written since the start.
  public var records: UInt64
  /// Bytes written since the start.
  public var bytes: UInt64
  /// Denials that were counted into a roll-up instead of written singly.
  public var collapsed: UInt64
  /// Why the last write failed; nil when it did not.
  public var lastError: String?

  /// Makes a status.
  public init(
    path: String, available: Bool, records: UInt64 = 0, bytes: UInt64 = 0, collapsed: UInt64 = 0,
    lastError: String? = nil
  ) {
    self.path = path
    self.available = available
    self.records = records
    self.bytes = bytes
    self.collapsed = collapsed
    self.lastError = lastError
  }
}

/// The resolver, all loops together.
public struct ResolverStatus: Hashable, Sendable {
  /// The servers asked, in their order: the usual ones, then those of zones.
  public var upstreams: [UpstreamStatus]
  /// Names asked for by connections.
  public var lookups: UInt64
  /// Of these, answered from the cache or the hosts file.
  public var cached: UInt64
  /// Queries sent, repetitions included.
  public var queries: UInt64
  /// Lookups that gave no address.
  public var failures: UInt64

  /// Makes a status.
  public init(
    upstreams: [UpstreamStatus] = [], lookups: UInt64 = 0, cached: UInt64 = 0, queries: UInt64 = 0,
    failures: UInt64 = 0
  ) {
    self.upstreams = upstreams
    self.lookups = lookups
    self.cached = cached
    self.queries = queries
    self.failures = failures
  }
}

/// One event loop.
public struct LoopStatus: Hashable, Sendable {
  /// Channels open now: clients, upstreams and the control socket's.
  public var channels: Int
  /// Connections of clients accepted since the start.
  public var accepted: UInt64

  /// Makes a status.
  public init(channels: Int, accepted: UInt64) {
    self.channels = channels
    self.accepted = accepted
  }
}

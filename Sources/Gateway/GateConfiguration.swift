import Addressing
import Approvals
import Audit
import Control
import Keeper
import Policy
import PolicyFile

/// What an allowed name is answered with.
public enum DNSAnswers: String, Hashable, Sendable, CaseIterable {
  /// Its own addresses.
  case real
  /// Addresses that stand for the name: a connection to one of them carries it.
  case synthetic
}

/// Finds who is behind a connection between two endpoints, without anybody who waits; it tells on any thread, or never.
public typealias FindProgram =
  @Sendable (_ client: Endpoint, _ gate: Endpoint, _ tell: @escaping @Sendable (Program) -> Void) -> Void

/// What a gate is started with.
public struct GateConfiguration: Sendable {
  /// The policy file.
  public var policyPath: String
  /// What is in force instead of the policy's own mode; nil: that.
  public var mode: Mode?
  /// Told of each decision against a connection or a question.
  public var onDenial: (@Sendable (DecisionRecord) -> Void)?
  /// Finds who is behind a held connection, for people to see; nil where nobody can tell.
  public var witness: FindProgram?
  /// Whether somebody can; asked on any thread.
  public var witnessState: @Sendable () -> WitnessStatus = {
    WitnessStatus(isRunning: false, sentence: "not seen: they are not on this machine")
  }
  /// What the log is to say about the start, beside what it says anyway.
  public var startNotes: [String] = []
  /// The policy itself, where it is no file; `policyPath` is then what it is called.
  public var policyText: String?
  /// The policy as it was read already; nil: it is read at the start.
  public var firstPolicy: LoadedPolicy?
  /// Shared proxy listeners; those of agents come from the policy.
  public var proxyListeners: [ListenAddress]
  /// The only interfaces that some of them take from.
  public var proxyDevices: [ListenAddress: String] = [:]
  /// Upstream resolvers; nil takes those of `/etc/resolv.conf`.
  public var upstreams: [Upstream]?
  /// Zones with upstreams of their own.
  public var forwards: [UpstreamForward]
  /// A PEM file with the authorities that TLS upstreams' certificates may be signed by; nil for the system's.
  public var upstreamAuthorities: String?
  /// Where agents ask for names, UDP and TCP; those of agents come from the policy.
  public var dnsListeners: [Endpoint] = []
  /// Where captured TCP connections come in.
  public var captures: [CaptureSettings] = []
  /// Where captured questions come in, UDP and TCP; with `tproxy`, each answer
  /// leaves from where the agent asked.
  public var nameCaptures: [CaptureSettings] = []
  /// The sockets of all of these, bound in another network namespace and handed over in the order
  /// of `BoundListeners.descriptors`; nil: the gate binds them, and those of the policy's agents.
  public var handedSockets: [Int32]?
  /// What the start is to say of the host, a sentence each.
  public var hostWarnings: [String] = []
  /// Why the policy is not read anew; nil where it is.
  public var reloadRefusal: String?
  /// Questions a second of one agent, twice as many in a burst; 0: any number.
  public var dnsRate = 50
  /// What names are answered with.
  public var dnsAnswers = DNSAnswers.real
  /// How the gate runs, which decides what rules it can enforce.
  public var runMode = RunMode.serve
  /// The kernel's part; nil where the gate only serves.
  public var fence: (any Fence)?
  /// Whose datagrams the kernel's table carries, in the order in which it numbers them.
  public var fencedAgents = [AgentName.default]
  /// The links that agents are behind; none where the agent is in the gate's own namespace.
  public var fencedLinks: [FencedLink] = []
  /// By what its own traffic is told apart from the agent's, in words, and whether others could be too.
  public var exemption = (words: "", isWeak: false)
  /// What each process of the gate may do, as the kernel says when asked.
  public var processes: @Sendable () -> [ProcessStatus] = { [] }
  /// Called when the kernel's table can no longer be changed.
  public var onFenceEnd: @Sendable () -> Void = {}
  /// Gives up what is not needed any more: called once everything was read that
  /// needs it, before the first byte comes in and before the first thread, with
  /// the directories of Unix listeners. Returns what the host cannot hold to.
  public var confine: (@Sendable (_ listenerDirectories: [String]) throws(StartError) -> [String])?
  /// Where monitoring reads metrics; nil: nowhere.
  public var metricsListener: ListenAddress?
  /// Where the far side of a webhook answers; nil: nowhere.
  public var callbackListener: ListenAddress?
  /// What of the webhook is measured; nil without one.
  public var webhookCounters: WebhookCounters?
  /// Called once all was read and bound, before the first record and the first connection: what only reading needed may go.
  public var onPrepared: (@Sendable () -> Void)?
  /// Called once the gate serves.
  public var onStart: (@Sendable (Gate) -> Void)?
  /// How long a connection waits for a person; nil: as long as the policy says, or 25 s where somebody sits in
  /// front of a terminal.
  public var hold: Duration?
  /// The file of what people answered for good; nil: `approvals.yaml` beside the audit log.
  public var overlayPath: String?
  /// Who whoever comes is, where none but one agent can come; nil: the policy tells them apart.
  public var soleAgent: AgentName?
  /// The one program whose connections these are, and where it runs; nil where there are others.
  public var program: (command: String, directory: String)?
  /// The audit log's file.
  public var auditLogPath: String
  /// The control socket's file.
  public var controlPath: String
  /// The number of event loops; nil for one per core.
  public var loops: Int?
  /// The size in bytes at which the audit log is rotated; nil for its default.
  public var rotateAt: Int64?
  /// How many older files of the audit log are kept; nil for all.
  public var keepSegments: Int?
  /// What the reader of the policy sees of the process.
  public var environment: [String: String]
  /// Where relative paths and `system:git` start.
  public var workingDirectory: String
  /// Directories, without links, of which system lists take nothing: an agent may write there.
  public var distrusted: [String] = []
  /// The version that status reports.
  public var version: String

  /// Makes a configuration.
  public init(
    policyPath: String, proxyListeners: [ListenAddress], upstreams: [Upstream]? = nil,
    forwards: [UpstreamForward] = [], upstreamAuthorities: String? = nil, auditLogPath: String,
    controlPath: String, loops: Int? = nil, rotateAt: Int64? = nil, keepSegments: Int? = nil,
    environment: [String: String],
    workingDirectory: String, version: String
  ) {
    self.policyPath = policyPath
    self.proxyListeners = proxyListeners
    self.upstreams = upstreams
    self.forwards = forwards
    self.upstreamAuthorities = upstreamAuthorities
    self.auditLogPath = auditLogPath
    self.controlPath = controlPath
    self.loops = loops
    self.rotateAt = rotateAt
    self.keepSegments = keepSegments
    self.environment = environment
    self.workingDirectory = workingDirectory
    self.version = version
  }
}

extension GateConfiguration {
  /// The file of what people answered for good.
  public var overlay: String {
    if let overlayPath { return overlayPath }
    guard let slash = auditLogPath.lastIndex(of: "/") else { return "approvals.yaml" }
    return auditLogPath[...slash] + "approvals.yaml"
  }

  /// What people answered for good, as it is written now.
  func loadOverlay() throws(PolicyFileError) -> Policy {
    try loader.overlay(path: overlay)?.rules ?? Policy()
  }
}

/// Why a gate does not start. Nothing is left half-started.
public struct StartError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The exit status of sysexits(3): 65 for a bad policy, 69 for a missing
  /// host feature, 78 for bad configuration.
  public var exitStatus: Int32
  /// One sentence per problem, with its remedy.
  public var problems: [String]

  /// Makes an error.
  public init(exitStatus: Int32, problems: [String]) {
    self.exitStatus = exitStatus
    self.problems = problems
  }

  static func policy(_ error: PolicyFileError) -> StartError {
    StartError(exitStatus: 65, problems: error.diagnostics.map(\.description))
  }

  static func configuration(_ problem: String) -> StartError {
    StartError(exitStatus: 78, problems: [problem])
  }

  static func host(_ problem: String) -> StartError {
    StartError(exitStatus: 69, problems: [problem])
  }

  public var description: String { problems.joined(separator: "\n") }
}

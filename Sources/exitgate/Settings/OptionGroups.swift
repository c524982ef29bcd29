import Addressing
import ArgumentParser
import Gateway
import Glibc
import Policy

/// Where a running gate is spoken to.
struct ControlOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The gate's control socket; /run/exitgate/control.sock, or under $XDG_RUNTIME_DIR, unless given.",
      valueName: "path"),
    completion: .file())
  var control: String?

  func path(in here: Surroundings) -> String { control ?? here.paths.control }
}

/// Where monitoring reads.
struct MetricsOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "An address at which Prometheus reads /metrics and probes read /healthz; nowhere unless given. It is out of "
        + "reach through the gate; a sidecar's also for the agent itself, and for others with --inbound alone.",
      valueName: "address:port"),
    transform: Reading.listenAddress)
  var metricsListen: ListenAddress?
}

/// Which log is read.
struct AuditLogOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The audit log; /var/log/exitgate/audit.jsonl, or under $XDG_STATE_HOME, unless given.",
      valueName: "file"),
    completion: .file())
  var auditLog: String?

  func path(in here: Surroundings) -> String { auditLog ?? here.paths.auditLog }

  /// The log to read, which must be there.
  func existing(in here: Surroundings) throws(Failure) -> String {
    let path = path(in: here)
    guard access(path, F_OK) == 0 else {
      throw Failure(.configuration, "there is no audit log at '\(path)'. Name one with --audit-log.")
    }
    return path
  }
}

/// How people are asked.
struct AskingOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How long a connection that a rule asks about waits for a person; what the policy says, else 8, or 25 with a "
        + "terminal, unless given.",
      valueName: "seconds"),
    transform: Reading.hold)
  var hold: Duration?

  @Option(
    help: ArgumentHelp(
      "Where answers for good are written and read; approvals.yaml beside the audit log unless given.",
      valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var overlay: String?

  @OptionGroup var webhook: WebhookOption

  func apply(to configuration: inout GateConfiguration) throws(Failure) {
    configuration.hold = hold
    configuration.overlayPath = overlay
    try webhook.apply(to: &configuration)
  }
}

/// Which policy counts.
struct PolicyOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The policy; /etc/exitgate/policy.yaml, or under $XDG_CONFIG_HOME, unless given.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var policy: String?

  func path(in here: Surroundings) throws(Failure) -> String {
    if let policy { return policy }
    guard access(here.paths.policy, F_OK) == 0 else {
      throw Failure(.usage, "no policy: there is none at '\(here.paths.policy)'. Name one with --policy.")
    }
    return here.paths.policy
  }
}

/// Which resolvers are asked.
struct UpstreamOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A resolver to ask instead of those in /etc/resolv.conf; tls://ADDRESS#NAME asks over TLS. Can be repeated.",
      valueName: "upstream"),
    transform: Reading.upstream)
  var dnsUpstream: [Upstream] = []

  @Option(
    help: ArgumentHelp(
      "A zone, and the resolver that alone is asked for its names: corp.example=10.0.0.2. Can be repeated; those of one zone are tried in order.",
      valueName: "zone=upstream"),
    transform: Reading.forward)
  var dnsForward: [UpstreamForward] = []

  @Option(
    help: ArgumentHelp(
      "The authorities that may sign the certificates of resolvers asked over TLS, the system's unless given.",
      valueName: "file"),
    completion: .file(extensions: ["pem", "crt"]))
  var dnsUpstreamCa: String?

  /// What is asked instead of the system's choice; nil when nobody says.
  var standard: [Upstream]? { dnsUpstream.isEmpty ? nil : dnsUpstream }

  /// All that are out of agents' reach.
  var endpoints: Set<Endpoint> {
    let standard = standard ?? ((try? ResolverSettings.load()) ?? []).map { Upstream($0) }
    return UpstreamRoutes(standard: standard, forwards: dnsForward).endpoints
  }
}

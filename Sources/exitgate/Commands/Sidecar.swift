import Addressing
import ArgumentParser
import Gateway
import Policy
import PolicyFile

/// `exitgate sidecar`
struct Sidecar: Verb {
  static let configuration = CommandConfiguration(
    commandName: "sidecar",
    abstract: "Share an agent's network namespace and be its only way out.",
    discussion: """
      Starts with CAP_NET_ADMIN in the network namespace of the agent: a pod, a container's network, a \
      namespace. A table in the kernel then redirects every TCP connection and every question to port 53 to \
      the gate, lets pass what a rule of 'protocol: udp' grants, and drops the rest, for IPv4 and IPv6 alike. \
      The agent needs no proxy settings. The table is in force before anybody is listened to.

        exitgate sidecar --policy policy.yaml
        exitgate sidecar --policy policy.yaml --inbound 8080      others may connect to the agent there

      The gate becomes an unprivileged user at once; a second process keeps CAP_NET_ADMIN and nothing else. \
      Only the gate's own traffic is exempt: by its user, which nobody else may have, and its control group. \
      Where it has no control group of its own, the user alone remains, and the start is refused without \
      --accept-weaker-exemption.

      Under 'mode: audit' what the table would deny passes and is recorded, and only the floor denies; the start \
      and 'exitgate status' say so.

      The table stays when the gate ends, however it ends, and with it everything stays closed; \
      'exitgate firewall remove' opens it. SIGHUP reads the policy anew without a gap.

      Exit status: 65 for a wrong policy, 69 when the host lacks something, named, 78 for an address in use, a \
      log that cannot be written, or no resolver.
      """)

  @OptionGroup var policy: PolicyOption
  @OptionGroup var fence: FenceOption
  @OptionGroup var upstream: UpstreamOption
  @OptionGroup var auditLog: AuditLogOption
  @OptionGroup var control: ControlOption

  @Option(
    help: ArgumentHelp(
      "DNS questions a second, 50 unless given; twice as many in a burst. 0: any number.", valueName: "number"
    ))
  var dnsRate = 50

  @Flag(help: "Start although others could be exempt too: those of the gate's user.")
  var acceptWeakerExemption = false

  func validate() throws {
    if !(0...1_000_000).contains(dnsRate) { throw ValidationError("--dns-rate takes 0 to 1000000.") }
  }

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    var configuration = GateConfiguration(
      policyPath: try policy.path(in: here),
      proxyListeners: fence.agent == .default ? fence.proxyListeners : [],
      upstreams: upstream.standard, forwards: upstream.dnsForward,
      upstreamAuthorities: upstream.dnsUpstreamCa, auditLogPath: auditLog.path(in: here),
      controlPath: control.path(in: here), environment: here.environment,
      workingDirectory: here.workingDirectory, version: exitgateVersion)
    configuration.runMode = .sidecar
    configuration.dnsRate = dnsRate
    configuration.dnsAnswers = .synthetic
    configuration.fencedAgent = fence.agent
    configuration.captures = fence.captures(fence.transparentPort)
    configuration.nameCaptures = fence.captures(fence.dnsPort)
    let privileged = PrivilegedStart(
      fence, acceptWeaker: acceptWeakerExemption,
      made: (auditLog.auditLog == nil ? [configuration.auditLogPath] : [])
        + (control.control == nil ? [configuration.controlPath] : []))
    try privileged.prepare(&configuration, environment: here.environment)
    try Service(configuration, environment: here.environment).run()
  }
}

/// How an agent's namespace is fenced.
struct FenceOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A TCP port on which others may connect to the agent, as probes of its health do. Can be repeated.",
      valueName: "port"))
  var inbound: [UInt16] = []

  @Option(
    help: ArgumentHelp(
      "The user that the gate runs as, a name or a number; nobody else may be that user. "
        + "'exitgate' where there is one, else 2001.", valueName: "user"))
  var user: String?

  @Option(
    help: ArgumentHelp(
      "The agent that is fenced in, as the policy calls it. Only the default agent also has the proxy of --proxy-port.",
      valueName: "name"),
    transform: Reading.agent)
  var agent = AgentName.default

  @Option(help: ArgumentHelp("The port of the listener for captured TCP.", valueName: "port"))
  var transparentPort: UInt16 = 15001

  @Option(help: ArgumentHelp("The port of the listener for captured questions.", valueName: "port"))
  var dnsPort: UInt16 = 15353

  @Option(help: ArgumentHelp("The port of the proxy for programs with proxy settings.", valueName: "port"))
  var proxyPort: UInt16 = 3128

  @Option(help: ArgumentHelp("The NFLOG group that denied packets are heard by.", valueName: "number"))
  var logGroup: UInt16 = 5

  func validate() throws {
    let ports = [transparentPort, dnsPort, proxyPort]
    guard Set(ports).count == ports.count, !ports.contains(0) else {
      throw ValidationError("--transparent-port, --dns-port and --proxy-port take three different ports.")
    }
    if inbound.contains(where: { $0 == 0 || ports.contains($0) }) {
      throw ValidationError("--inbound takes ports of the agent, none of the gate's.")
    }
  }
}

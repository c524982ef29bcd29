import Addressing
import ArgumentParser
import EventLoop
import Gateway
import Policy
import PolicyFile

/// What `sidecar` and `gateway` are told alike.
struct FencedServiceOption: ParsableArguments {
  @OptionGroup var policy: PolicyOption
  @OptionGroup var fence: FenceOption
  @OptionGroup var upstream: UpstreamOption
  @OptionGroup var auditLog: AuditLogOption
  @OptionGroup var control: ControlOption
  @OptionGroup var asking: AskingOption
  @OptionGroup var metrics: MetricsOption

  @Option(
    help: ArgumentHelp(
      "DNS questions a second of one agent, 50 unless given; twice as many in a burst. 0: any number.",
      valueName: "number"
    ))
  var dnsRate = 50

  func validate() throws {
    if !(0...1_000_000).contains(dnsRate) { throw ValidationError("--dns-rate takes 0 to 1000000.") }
  }

  /// All but what captures traffic.
  func configuration(_ mode: RunMode, in here: Surroundings) throws(Failure) -> GateConfiguration {
    var configuration = GateConfiguration(
      policyPath: try policy.path(in: here), proxyListeners: [], upstreams: upstream.standard,
      forwards: upstream.dnsForward, upstreamAuthorities: upstream.dnsUpstreamCa,
      auditLogPath: auditLog.path(in: here), controlPath: control.path(in: here),
      environment: here.environment, workingDirectory: here.workingDirectory, version: exitgateVersion)
    configuration.runMode = mode
    try asking.apply(to: &configuration)
    configuration.metricsListener = metrics.metricsListen
    configuration.dnsRate = dnsRate
    configuration.dnsAnswers = .synthetic
    return configuration
  }

  /// The files in default places, whose directories are made.
  func made(in here: Surroundings) -> [String] {
    (auditLog.auditLog == nil ? [auditLog.path(in: here)] : [])
      + (control.control == nil ? [control.path(in: here)] : [])
  }
}

/// How the kernel's table and the gate's listeners fit together.
struct FenceOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The user that the gate runs as, a name or a number; nobody else may be that user. "
        + "'exitgate' where there is one, else 2001.", valueName: "user"))
  var user: String?

  @Option(help: ArgumentHelp("The port of the listener for captured TCP.", valueName: "port"))
  var transparentPort: UInt16 = 15001

  @Option(help: ArgumentHelp("The port of the listener for captured questions.", valueName: "port"))
  var dnsPort: UInt16 = 15353

  @Option(help: ArgumentHelp("The port of the proxy for programs with proxy settings.", valueName: "port"))
  var proxyPort: UInt16 = 3128

  @Option(help: ArgumentHelp("The NFLOG group that denied packets are heard by.", valueName: "number"))
  var logGroup: UInt16 = 5

  /// The ports that are the gate's.
  var ports: [UInt16] { [transparentPort, dnsPort, proxyPort] }

  func validate() throws {
    guard Set(ports).count == ports.count, !ports.contains(0) else {
      throw ValidationError("--transparent-port, --dns-port and --proxy-port take three different ports.")
    }
  }

  /// Listeners for what the table leads to `port` of the loopback addresses.
  func captures(
    _ port: UInt16, _ mode: CaptureSettings.Mode, device: String? = nil, agent: AgentName
  ) -> [CaptureSettings] {
    loopbackEndpoints(port).map { CaptureSettings($0, mode, device: device, agent: agent) }
  }
}

/// A port on the loopback addresses of both families, where there are both.
func loopbackEndpoints(_ number: UInt16) -> [Endpoint] {
  let all: [IPAddress] = [.v4(0x7f00_0001), .v6(high: 0, low: 1)]
  let own = localAddresses()
  guard let port = Port(number) else { return [] }
  return all.filter { $0.isV4 || own.contains($0) }.map { Endpoint($0, port) }
}

/// An agent that shares the gate's network namespace.
struct SidecarOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A TCP port on which others may connect to the agent, as probes of its health do. Can be repeated.",
      valueName: "port"))
  var inbound: [UInt16] = []

  @Option(
    help: ArgumentHelp(
      "The agent that is fenced in, as the policy calls it. Only the default agent also has the proxy of --proxy-port.",
      valueName: "name"),
    transform: Reading.agent)
  var agent = AgentName.default

  func check(against fence: FenceOption) throws {
    if inbound.contains(where: { $0 == 0 || fence.ports.contains($0) }) {
      throw ValidationError("--inbound takes ports of the agent, none of the gate's.")
    }
  }
}

/// Agents that are behind links.
struct LinkOption: ParsableArguments {
  /// As many as one gate listens on.
  static let limit = 64

  @Option(
    help: ArgumentHelp(
      "An interface that an agent is behind, and who it is, as the policy calls it: veth-ci=ci. Without a name it "
        + "is the default agent, which also has the proxy of --proxy-port there. Can be repeated.",
      valueName: "if[=agent]"),
    transform: EnrolledInterface.init)
  var interface: [EnrolledInterface] = []

  func validate() throws {
    if interface.count > Self.limit { throw ValidationError("--interface is taken \(Self.limit) times.") }
    if Set(interface.map(\.name)).count != interface.count {
      throw ValidationError("--interface names each interface once, and one agent with it.")
    }
  }

  /// The agents in the order in which they are first named.
  var agents: [AgentName] {
    interface.map(\.agent).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}

/// An interface and the agent behind it.
struct EnrolledInterface: Hashable, Sendable {
  var name: String
  var agent: AgentName

  /// Reads `IF` or `IF=AGENT`.
  ///
  /// - Source: dev_valid_name() in net/core/dev.c of Linux: 1 to 15 bytes, no slash, colon or space.
  @Sendable init(_ text: String) throws {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    name = String(parts.first ?? "")
    agent = try parts.count == 2 ? Reading.agent(String(parts[1])) : .default
    let isName =
      (1...15).contains(name.utf8.count) && ![".", ".."].contains(name)
      && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && ![0x2f, 0x3a, 0x22, 0x5c].contains($0) }
    guard isName, name != "lo" else {
      throw ValidationError(
        "It is no interface with an agent behind it. Write IF or IF=AGENT, as veth-ci=ci.")
    }
  }
}

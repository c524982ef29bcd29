import Addressing
import ArgumentParser
import Confinement
import Control
import Gateway
import Glibc
import Policy
import PolicyFile

/// `exitgate serve`
struct Serve: Verb {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Start the gate that agents' proxy settings point at.",
    discussion: """
      HTTP (CONNECT and plain requests) and SOCKS5 are spoken on each listener. What the policy does not allow \
      is refused with a reason and the rule that would allow it. What is allowed is in the audit log before it \
      is dialled. What a rule of 'action: ask' names waits for a person: 'exitgate pending --follow'.

        exitgate serve --policy policy.yaml
        exitgate serve --policy policy.yaml --proxy-listen unix:/run/agents/gate.sock

      The agent is given the same address:

        export http_proxy=http://127.0.0.1:3128 https_proxy=http://127.0.0.1:3128

      'exitgate: ready' on standard error (and READY=1 to NOTIFY_SOCKET) says that every listener is bound. \
      SIGHUP reads the policy anew; SIGTERM and SIGINT stop accepting, give open connections 10 s, and end; \
      a second one ends at once. To see what an agent needs, start with a policy of 'mode: audit' and no \
      rules, then read 'exitgate log blocked'.

      Before it listens the gate gives up what it does not need: it stays the user who started it, without \
      capabilities (as root it may still read any file and bind any port), makes no system call beyond its \
      own, and writes nowhere but in the directories of the log, the control socket and its Unix listeners. \
      'exitgate status' says what the kernel holds it to.

      Exit status: 65 for a wrong policy, 69 when the host lacks something, 78 for an address in use, a log \
      that cannot be written, or no resolver. Nothing is left half-started then.
      """)

  @OptionGroup var policy: PolicyOption

  @Option(
    help: ArgumentHelp(
      "An address to listen on, 127.0.0.1:3128 unless given here or by the policy's agents. Can be repeated.",
      valueName: "address:port"),
    transform: Reading.listenAddress)
  var proxyListen: [ListenAddress] = []

  @Option(
    help: ArgumentHelp(
      "An address to answer DNS on, over UDP and TCP; none unless given here or by the policy's agents. Can be "
        + "repeated.",
      valueName: "address:port"),
    transform: Reading.dnsListener)
  var dnsListen: [Endpoint] = []

  @Option(
    help: ArgumentHelp(
      "DNS questions a second of one agent, 50 unless given; twice as many in a burst. 0: any number.",
      valueName: "number"))
  var dnsRate = 50

  @Option(
    help: ArgumentHelp(
      "What an allowed name is answered with: its 'real' addresses, or 'synthetic' ones of 198.18.0.0/15 and an "
        + "IPv6 block of this run, that stand for the name in CONNECT and SOCKS requests.",
      valueName: "kind"))
  var dnsAnswers = DNSAnswers.real

  @OptionGroup var upstream: UpstreamOption
  @OptionGroup var auditLog: AuditLogOption
  @OptionGroup var control: ControlOption
  @OptionGroup var asking: AskingOption
  @OptionGroup var metrics: MetricsOption

  @Option(
    help: ArgumentHelp(
      "Start a new log file when the log has this size, 64MiB unless given.", valueName: "size"),
    transform: Reading.size)
  var auditRotateAt: Int64?

  @Option(
    help: ArgumentHelp(
      "Keep this many older log files and take away the oldest; all are kept unless given.",
      valueName: "number"))
  var auditKeep: Int?

  @Option(help: ArgumentHelp("Event loops, one for each core unless given.", valueName: "number"))
  var loops: Int?

  func validate() throws {
    if let loops, !(1...256).contains(loops) { throw ValidationError("--loops takes 1 to 256.") }
    if !(0...1_000_000).contains(dnsRate) { throw ValidationError("--dns-rate takes 0 to 1000000.") }
    if let auditRotateAt, auditRotateAt < 1 << 16 {
      throw ValidationError("--audit-rotate-at takes 64KiB or more.")
    }
    if let auditKeep, !(1...1_000_000).contains(auditKeep) {
      throw ValidationError("--audit-keep takes 1 to 1000000.")
    }
  }

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    var configuration = GateConfiguration(
      policyPath: try policy.path(in: here), proxyListeners: proxyListen,
      upstreams: upstream.standard, forwards: upstream.dnsForward,
      upstreamAuthorities: upstream.dnsUpstreamCa,
      auditLogPath: auditLog.path(in: here),
      controlPath: control.path(in: here), loops: loops, rotateAt: auditRotateAt, keepSegments: auditKeep,
      environment: here.environment,
      workingDirectory: here.workingDirectory, version: exitgateVersion)
    try asking.apply(to: &configuration)
    configuration.metricsListener = metrics.metricsListen
    configuration.dnsListeners = dnsListen
    configuration.dnsRate = dnsRate
    configuration.dnsAnswers = dnsAnswers
    // A confined gate can make none. Of a socket's path that somebody named, more than one that is missing is a slip.
    makeDirectories(above: configuration.auditLogPath)
    if control.control == nil {
      makeDirectories(above: configuration.controlPath)
    } else {
      _ = mkdir(directory(of: configuration.controlPath), 0o700)
    }
    let writes = Landlock.abi.map { _ in GateConfinement.writable(configuration) }
    configuration.processes = { [ProcessStatus("gate", getpid(), writes: writes)].compactMap(\.self) }
    GateConfinement(capabilities: ConfinementProfile.gateOfSameUser)
      .apply(to: &configuration, environment: here.environment)
    // A wrong policy is the gate's to tell.
    configuration.firstPolicy = try? configuration.loadPolicy(generation: 1)
    Witness.begin(for: &configuration)
    try Service(configuration, environment: here.environment).run()
  }
}

extension DNSAnswers: ExpressibleByArgument {}

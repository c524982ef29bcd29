import Addressing
import ArgumentParser
import Gateway
import Glibc
import Launcher
import Policy
import PolicyFile

/// `exitgate run`
struct Run: Verb {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run one command in a sandbox whose only way out is the gate.",
    discussion: """
      The command gets a network of its own that leads nowhere but to the gate, whether it knows a proxy or not; \
      a view of files in which the working directory can be changed, the system read, and the rest, your home \
      among it, is not there; an environment without secrets; and its own processes, which end with it.

        exitgate run -- npm test
        exitgate run --policy policy.yaml --read ~/.gitconfig --env GH_TOKEN -- my-agent
        exitgate run --agent ci -- make              by the rules of the policy's agent 'ci'
        exitgate run --mode audit -- make            let pass what would be denied, and record it

      Where the policy says 'ask' and this is started on a terminal, the question is asked there, on a screen of its own, while the \
      command's output waits. It bears a word that is said at the start. A key chooses, half a second after the last, and Enter confirms; Esc \
      leaves the question to 'exitgate approve'. Of several on one terminal the first asks there.

      What was blocked is said as it happens, with the rule that would allow it, and is in the log: \
      'exitgate log blocked'. Without a policy the profile 'generic' counts: 'exitgate allowlists profile-generic'. A policy says what the \
      command finds in 'files' (read, write, hide) and 'process' (env, max-processes, memory, time).

      No privilege is needed, no daemon, no container. Where the host forbids a part, the start is refused with \
      the remedy; --allow-weaker names what you agree to do without.

      Exit status: the command's own; 128 and the signal that ended it; 127 when it is not there, 126 when it \
      cannot be run. Of the gate: 64 to 78 as everywhere, before the command has started.
      """)

  @Option(
    help: ArgumentHelp(
      "The policy; /etc/exitgate/policy.yaml, or under $XDG_CONFIG_HOME, else the profile 'generic', unless given.",
      valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var policy: String?

  @Option(
    help: ArgumentHelp(
      "A ready policy for a sandbox, instead of a file: generic, claude-code, codex, gemini-cli or aider.",
      valueName: "name"))
  var profile: String?

  @Option(
    help: ArgumentHelp(
      "Who the command is to the policy: one of its agents, whose rules then count.", valueName: "name"),
    transform: Reading.agent)
  var agent: AgentName = .default

  @Option(help: ArgumentHelp("In force instead of the policy's own: enforce or audit.", valueName: "mode"))
  var mode: Mode?

  @OptionGroup var sandbox: SandboxOption
  @OptionGroup var upstream: UpstreamOption
  @OptionGroup var auditLog: AuditLogOption
  @OptionGroup var control: ControlOption
  @OptionGroup var asking: AskingOption

  @Option(
    help: ArgumentHelp(
      "Whether questions are asked on the terminal that this was started on: auto, where the command's output goes there by "
        + "the gate alone; never; or always, where it is the session's terminal at all.",
      valueName: "when"))
  var prompt = PromptChoice.auto

  @Flag(help: "Do not say on the terminal what was blocked.")
  var quiet = false

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp("The command, behind '--'.", valueName: "command"))
  var command: [String] = []

  func validate() throws {
    try RunPolicy.validate(policy: policy, profile: profile)
    if command.isEmpty { throw ValidationError("Name a command behind '--': exitgate run -- CMD.") }
  }

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    let names = RunNames(auditLog: auditLog.auditLog, control: control.control, in: here)
    var configuration = try gate(names, in: here)
    let loaded = try policy(of: &configuration)
    if let problem = loaded.policy.problem(ofAgent: agent) { throw Failure(.usage, problem) }
    try sandbox.checkLimits(loaded.sandbox)
    for part in sandbox.allowWeaker {
      here.console.say("exitgate: WEAKER: as you agreed, the sandbox may be without \(part.rawValue)")
    }
    for gap in sandbox.landlockGaps { here.console.say("exitgate: WEAKER: \(gap)") }
    var view = try sandbox.view(of: loaded, in: here)
    let files = GateFiles(configuration, read, in: here)
    files.hide(in: &view)
    view.keepHidden()
    try files.check(in: view)
    configuration.distrusted = view.entries.filter { $0.access == .write }.map(\.path)
    var plan = sandbox.plan(view, loaded.sandbox, command: command, in: here)
    plan.terminal = Set([STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO].filter { isatty($0) == 1 })
    let lines = TerminalLines(isRaw: plan.terminal.isSuperset(of: [STDIN_FILENO, STDERR_FILENO]))
    if !quiet { configuration.onDenial = DenialLines(lines).tell }
    configuration.startNotes =
      sandbox.notes(loaded.sandbox, command: command) + (agent == .default ? [] : ["run: agent: \(agent)"])
    let asking = PromptSettings(
      choice: prompt, tells: !quiet, state: here.paths.state, environment: here.environment)
    try CommandService(configuration, plan, lines, asking, begun: names.endTurn).run()
  }

  /// Files that the gate goes by, where somebody names them.
  private var read: [GateFiles.Named] {
    [
      (upstream.dnsUpstreamCa, "--dns-upstream-ca"), (asking.webhook.webhookCa, "--webhook-ca"),
      (asking.webhook.webhookSecretFile, "--webhook-secret-file"),
    ].compactMap { path, option in path.map { GateFiles.Named(path: $0, option: option) } }
  }

  /// Reads the policy, which the gate then begins with.
  private func policy(of configuration: inout GateConfiguration) throws(Failure) -> LoadedPolicy {
    do throws(PolicyFileError) {
      let loaded = try configuration.loadPolicy(generation: 1)
      configuration.firstPolicy = loaded
      return loaded
    } catch {
      throw Failure(.policy, error.diagnostics.map(\.description).joined(separator: "\nexitgate: "))
    }
  }

  private func gate(_ names: RunNames, in here: Surroundings) throws(Failure) -> GateConfiguration {
    let chosen = RunPolicy(policy: policy, profile: profile, in: here)
    var configuration = GateConfiguration(
      policyPath: chosen.path, proxyListeners: [], upstreams: upstream.standard,
      forwards: upstream.dnsForward,
      upstreamAuthorities: upstream.dnsUpstreamCa, auditLogPath: names.auditLog, controlPath: names.control,
      loops: 1, environment: here.environment, workingDirectory: here.workingDirectory,
      version: exitgateVersion)
    try asking.apply(to: &configuration)
    configuration.policyText = chosen.text
    configuration.mode = mode
    configuration.runMode = .run
    configuration.distrusted = [realPath(here.workingDirectory)].compactMap(\.self)
    configuration.program = (command.joined(separator: " "), here.workingDirectory)
    (configuration.soleAgent, configuration.fencedAgents) = (agent, [agent])
    configuration.dnsAnswers = .synthetic
    configuration.exemption = ("outside the command's network", false)
    return configuration
  }
}

extension Mode: ExpressibleByArgument {}

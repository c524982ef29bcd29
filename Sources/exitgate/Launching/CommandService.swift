import Confinement
import Control
import Dispatch
import EventLoop
import Firewall
import Gateway
import Glibc
import Keeper
import Launcher
import Logging
import SystemPackage

/// A command in its sandbox and the gate beside it, in the order of their life.
struct CommandService {
  /// What connections get to end in once the command is gone.
  private static let grace: Duration = .milliseconds(500)
  /// What is passed on to the command.
  private static let signals = [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2]

  private let configuration: GateConfiguration
  private let plan: SandboxPlan
  private let lines: TerminalLines
  private let asking: PromptSettings
  private let begun: () -> Void

  /// - Parameters:
  ///   - lines: What the gate says beside the command.
  ///   - begun: Called once the gate has all its files.
  init(
    _ configuration: GateConfiguration, _ plan: SandboxPlan, _ lines: TerminalLines, _ asking: PromptSettings,
    begun: @escaping () -> Void
  ) {
    (self.configuration, self.plan, self.begun) = (configuration, plan, begun)
    (self.lines, self.asking) = (lines, asking)
  }

  /// Runs the command.
  ///
  /// - Throws: When the sandbox or the gate cannot be had; nothing of either is left then.
  func run() throws(Failure) -> Never {
    var words = Logger(label: "exitgate", factory: { [lines] _ in WordsHandler(say: lines.say) })
    words.logLevel = .warning
    // Once confined nobody says it.
    let group = getpgrp()
    var leader: Int32?, person: PersonTerminal?, turn: TerminalTurn?
    let (sandbox, gate) = try start(words, &leader, &person, &turn)
    begun()
    let terminal = leader.map {
      TerminalRelay(plan.terminal, leader: $0, group: group, turn)
    }
    let prompt = person.map {
      TerminalPrompt(
        gate, on: $0, terminal, lines, tells: asking.tells, control: configuration.controlPath,
        signal: sandbox.signal)
    }
    let run = CommandRun(sandbox, gate, terminal, prompt, lines, plan.command.arguments[0])
    let watch = SignalWatch.on(
      Self.signals + (terminal == nil && prompt == nil ? [] : [SIGWINCH]) + (prompt == nil ? [] : [SIGTSTP]),
      queue: .main,
      handler: { number in
        if number == SIGTSTP { return prompt?.stop() ?? () }
        guard number == SIGWINCH else { return sandbox.signal(number) }
        terminal?.resize()
        prompt?.resize()
      },
      ready: {
        terminal?.begin()
        prompt?.begin()
        sandbox.go()
      })
    let source = DispatchSource.makeReadSource(fileDescriptor: sandbox.descriptor, queue: .main)
    source.setEventHandler { run.hear(within: Self.grace) }
    source.activate()
    withExtendedLifetime((watch, source)) { dispatchMain() }
  }

  /// The sandbox first, while there is one thread; then the gate, confined.
  private func start(
    _ words: Logger, _ leader: inout Int32?, _ person: inout PersonTerminal?, _ turn: inout TerminalTurn?
  ) throws(Failure) -> (Sandbox, Gate) {
    let sandbox: Sandbox
    var configuration = configuration
    do {
      sandbox = try makeSandbox()
      var handed = try sandbox.awaitReady()
      if !plan.terminal.isEmpty { leader = handed.descriptors.popLast() }
      try take(handed, into: &configuration)
    } catch { throw Failure(.host, "no sandbox: \(error)") }
    // Not before: nothing of the sandbox has it.
    turn = plan.terminal.first.flatMap { try? TerminalTurn($0, state: asking.state) }
    if isatty(STDERR_FILENO) == 1 { lines.take(try? TerminalTurn(STDERR_FILENO, state: asking.state)) }
    person = try asking.open(plan.terminal, lines)
    configuration.confine = confinement(
      configuration, drivesTerminal: !plan.terminal.isEmpty || person != nil)
    ignoreSIGPIPE()
    do throws(StartError) { return (sandbox, try Gate.start(configuration, words: words)) } catch {
      for problem in error.problems.dropLast() { words.error("\(problem)") }
      throw Failure(status: error.exitStatus, error.problems.last ?? "the gate does not start.")
    }
  }

  private func makeSandbox() throws(SandboxError) -> Sandbox {
    let configuration = configuration
    return try Sandbox.begin(plan) { hasIPv6 in try CommandNetwork.open(configuration, hasIPv6: hasIPv6) }
  }

  private func take(_ handed: Sandbox.Ready, into configuration: inout GateConfiguration) throws {
    if let cause = handed.ungrouped {
      lines.say("exitgate: WEAKER: \(cause)")
      configuration.startNotes.append("run: WEAKER: \(cause)")
    }
    configuration.startNotes += plan.limits.notes(in: handed.ungrouped == nil ? plan.group : nil)
    CommandNetwork.listen(&configuration, hasIPv6: handed.hasIPv6)
    guard handed.descriptors.count > 3 else { throw SandboxError(.table, "nothing was handed over") }
    let last = Array(handed.descriptors.suffix(3))
    configuration.handedSockets = handed.descriptors.dropLast(3)
    Witness.begin(for: &configuration, asking: last[2])
    configuration.fence = CommandFence(
      try PacketLog(adopting: last[0]), counters: try NetfilterSocket(adopting: last[1]), isOwned: true)
  }

  private func confinement(
    _ configuration: GateConfiguration, drivesTerminal: Bool
  ) -> @Sendable ([String]) throws(StartError) -> [String] {
    let directories = [configuration.auditLogPath, configuration.controlPath, configuration.overlay].map(
      directory)
    let weaker = plan.weaker
    return { (sockets) throws(StartError) in
      do throws(ConfinementError) {
        let outcome = try Confinement.apply(
          .gate(
            writable: directories, sockets: sockets,
            capabilities: geteuid() == 0 ? ConfinementProfile.gateOfSameUser : [],
            drivesTerminal: drivesTerminal))
        guard outcome.isFiltered else {
          throw ConfinementError.refused(step: "filter system calls", .noFunction)
        }
        guard outcome.landlock?.abi != nil || weaker.contains(.landlock) else {
          throw ConfinementError.refused(step: "limit files by Landlock", .noFunction)
        }
        return outcome.warnings
      } catch { throw StartError(exitStatus: 69, problems: ["the gate cannot be confined: \(error)"]) }
    }
  }
}

/// What becomes of a command.
///
/// `@unchecked Sendable`: everything is touched on the main queue alone, which `hear` checks.
private final class CommandRun: @unchecked Sendable {
  private let sandbox: Sandbox
  private let gate: Gate
  private let terminal: TerminalRelay?
  private let prompt: TerminalPrompt?
  private let lines: TerminalLines
  private let program: String
  private var status: Int32?
  private var isGone = false

  init(
    _ sandbox: Sandbox, _ gate: Gate, _ terminal: TerminalRelay?, _ prompt: TerminalPrompt?,
    _ lines: TerminalLines, _ program: String
  ) {
    (self.sandbox, self.gate, self.terminal, self.program) = (sandbox, gate, terminal, program)
    (self.prompt, self.lines) = (prompt, lines)
  }

  func hear(within grace: Duration) {
    dispatchPrecondition(condition: .onQueue(.main))
    while !isGone, let event = sandbox.event() { take(event, within: grace) }
  }

  private func take(_ event: Sandbox.Event, within grace: Duration) {
    switch event {
    case .started: return
    case .unstartable(let error):
      say(
        error == .noSuchFileOrDirectory
          ? "'\(program)' is not in the sandbox. Show its directory with --read."
          : "'\(program)' cannot be run in the sandbox: \(error).")
      status = error == .noSuchFileOrDirectory ? 127 : 126
    case .overtime:
      say("'\(program)' has used up its time, and is ended.")
      // As timeout(1) does.
      status = 124
    case .ended(let status): self.status = self.status ?? status
    case .gone:
      isGone = true
      prompt?.end()
      // Whoever killed the sandbox did it by SIGKILL.
      let status = status ?? 128 + SIGKILL
      // What the table denied last may not have been heard of.
      gate.status { [gate, terminal] _ in
        gate.drain(within: grace) {
          terminal?.end()
          exit(status)
        }
      }
    }
  }

  private func say(_ sentence: String) {
    lines.say("exitgate: \(sentence)")
  }
}

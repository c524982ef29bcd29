import Addressing
import ArgumentParser
import Control
import Dispatch
import EventLoop
import Gateway
import Glibc
import Policy
import PolicyFile
import Review
import ReviewPage

/// `exitgate review`
struct ReviewCommand: Verb {
  static let configuration = CommandConfiguration(
    commandName: "review",
    abstract: "Show what waits and what was blocked on a page of its own.",
    discussion: """
      A page for a browser on this machine: what waits for a person, to be answered there for as long as the page is \
      open, and what stands approved, to be taken back; what was blocked, live, with filters, a chart by hour and the records \
      behind each line; the rule that would allow it, to be copied or, with --rules, to be added to a file of \
      rules that the policy includes; what the policy would say about a destination; whether the log is whole; and \
      what the running gate says of itself.

        exitgate review
        exitgate review --policy policy.yaml --rules team.yaml --control /run/exitgate/control.sock
        ssh -L 8023:127.0.0.1:8023 HOST exitgate review --listen 127.0.0.1:8023

      It prints an address that lets one browser in, once, within ten minutes; on a terminal, Enter prints another. \
      The page is served on a loopback address alone, by a process of its own and under your own rights: what you may not read it does \
      not show, what you may not write it does not change. It needs no gate to run, and no script to be read.

      Exit status: 0 when it is ended (Ctrl-C), 65 when the policy does not load, 78 when the log cannot be read or the \
      address cannot be listened on.
      """)

  @Option(
    help: ArgumentHelp(
      "The loopback address of the page; port 0 takes one that is free.", valueName: "address:port"),
    transform: Reading.loopback)
  var listen: BindAddress = .anyPort(.v4(0x7f00_0001))

  @OptionGroup var auditLog: AuditLogOption

  @Option(
    help: ArgumentHelp(
      "The policy that is explained, and that must load behind each change; /etc/exitgate/policy.yaml, or under "
        + "$XDG_CONFIG_HOME, if there is one.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var policy: String?

  @OptionGroup var control: ControlOption

  @Option(
    help: ArgumentHelp(
      "A file of rules that the policy includes, to which suggested rules may be added. Nothing is changed "
        + "unless given.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var rules: String?

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    let settings = try settings(in: here)
    let listener: Listener
    do throws(ListenError) { listener = try Listener.bind(listen) } catch {
      throw Failure(.configuration, "\(error)")
    }
    let hooks = hooks(settings, in: here)
    for warning in try PageConfinement(settings).apply() { here.console.say("exitgate: \(warning).") }
    guard let server = ReviewServer(listener, settings, hooks) else {
      throw Failure(.configuration, "'\(listen)' is no loopback address. Write --listen 127.0.0.1:0.")
    }
    try serve(server, settings, on: here.console)
  }

  private func serve(_ server: ReviewServer, _ settings: ReviewSettings, on console: Console) throws(Failure)
    -> Never
  {
    ignoreSIGPIPE()
    let loop: EventLoop
    do { loop = try EventLoop(label: "review") } catch {
      throw Failure(.host, "no event loop: \(error).")
    }
    server.start(on: loop)
    console.say(
      "exitgate: \(settings.log) is shown at the address below, to one browser, once, within ten minutes.")
    if settings.overlay == nil {
      console.say("exitgate: nothing can be changed from there; --rules FILE allows it.")
    }
    console.result("\(server.oneTimeAddress())")
    console.flush()
    let watch = SignalWatch.on([SIGINT, SIGTERM, SIGHUP], queue: .main) { _ in Glibc.exit(0) }
    let keys = isatty(STDIN_FILENO) == 1 ? furtherAddresses(of: server) : nil
    withExtendedLifetime((watch, keys, server)) { dispatchMain() }
  }

  /// Prints another address for each line that comes from the terminal.
  private func furtherAddresses(of server: ReviewServer) -> any DispatchSourceRead {
    let source = DispatchSource.makeReadSource(fileDescriptor: STDIN_FILENO, queue: .main)
    source.setEventHandler { [source] in
      var bytes = [UInt8](repeating: 0, count: 256)
      guard read(STDIN_FILENO, &bytes, bytes.count) > 0 else { return source.cancel() }
      writeAll(Array((server.oneTimeAddress() + "\n").utf8), to: STDOUT_FILENO)
    }
    source.activate()
    return source
  }
}

// MARK: - What the page is made of

extension ReviewCommand {
  private func settings(in here: Surroundings) throws(Failure) -> ReviewSettings {
    var policy = policy
    if policy == nil, access(here.paths.policy, F_OK) == 0 { policy = here.paths.policy }
    if let policy { _ = try Reading.policy(at: policy, in: here) }
    return ReviewSettings(
      log: absolute(try auditLog.existing(in: here), here), policy: policy.map { absolute($0, here) },
      overlay: rules.map { absolute($0, here) })
  }

  private func absolute(_ path: String, _ here: Surroundings) -> String {
    path.utf8.first == UInt8(ascii: "/") ? path : here.workingDirectory + "/" + path
  }

  private func hooks(_ settings: ReviewSettings, in here: Surroundings) -> ReviewHooks {
    let (environment, directory) = (here.environment, here.workingDirectory)
    var hooks = ReviewHooks(
      filter: filter, explain: { explain($0, under: settings.policy) }, ask: gate(in: here),
      loader: { own in
        PolicyLoader(
          runMode: .serve, environment: environment,
          workingDirectory: own.utf8.first == UInt8(ascii: "/") ? own : directory + "/" + own,
          now: wallClock(),
          hasDNSListener: nil)
      },
      now: { wallClock() },
      say: { text in writeAll(Array("exitgate: \(printable(text))\n".utf8), to: STDERR_FILENO) })
    hooks.line = line(in: here)
    if let name = userName() { hooks.user = name }
    return hooks
  }

  /// In seconds: a page is not to wait longer for what a gate has in memory.
  private static let patience = Duration.seconds(5)

  private func line(in here: Surroundings) -> GateLine? {
    guard let path = socket(in: here) else { return nil }
    return GateLine { request throws(ReviewProblem) in
      do throws(Failure) {
        return try RunningGate(controlPath: path).replies(request, timeout: Self.patience)
      } catch { throw ReviewProblem(error.message) }
    } follow: { request, isWanted, take throws(ReviewProblem) in
      do throws(Failure) {
        try RunningGate(controlPath: path).follow(request, while: isWanted) { reply in
          take(reply)
          return true
        }
      } catch { throw ReviewProblem(error.message) }
    }
  }

  /// The socket that was named, or the usual one where something is.
  private func socket(in here: Surroundings) -> String? {
    let path = control.path(in: here)
    return control.control != nil || access(path, F_OK) == 0 ? path : nil
  }

  private func gate(in here: Surroundings) -> (
    @Sendable (ControlRequest) throws(ReviewProblem) -> ControlReply
  )? {
    guard let path = socket(in: here) else { return nil }
    return { request throws(ReviewProblem) in
      do throws(Failure) {
        return try RunningGate(controlPath: path).replies(request).first ?? .refused("it says nothing")
      } catch {
        throw ReviewProblem(error.message)
      }
    }
  }
}

/// What `exitgate log` takes as options.
@Sendable private func filter(_ fields: [String: String]) throws(ReviewProblem) -> RecordFilter {
  let words = fields.sorted { $0.key < $1.key }.map { "--\($0.key)=\($0.value)" }
  do { return try RecordOptions.parse(words).filter } catch {
    throw ReviewProblem(RecordOptions.message(for: error))
  }
}

/// What `exitgate explain` says.
@Sendable private func explain(_ fields: [String: String], under policy: String?) -> [ReviewLine] {
  let options = fields.filter { $0.key != "destination" }.sorted { $0.key < $1.key }
    .map { "--\($0.key)=\($0.value)" }
  let words = options + ["--policy=\(policy ?? "")", "--", fields["destination"] ?? ""]
  do {
    return try Explain.parse(words).answer(in: Surroundings()).lines.map { ReviewLine($0) }
  } catch let failure as Failure {
    return [ReviewLine([.init(failure.message, .bad)])]
  } catch {
    return [ReviewLine([.init(Explain.message(for: error), .bad)])]
  }
}

extension ReviewLine {
  fileprivate init(_ text: Text) {
    self.init(text.pieces.map { Piece($0.text, Style($0.style)) })
  }
}

extension ReviewLine.Style {
  fileprivate init(_ style: Text.Style) {
    self =
      switch style {
      case .plain: .plain
      case .strong, .reversed: .strong
      case .faint: .faint
      case .bad: .bad
      case .good: .good
      case .doubtful: .doubtful
      }
  }
}

extension Reading {
  /// `127.0.0.1:0`, `[::1]:8023`.
  @Sendable static func loopback(_ text: String) throws -> BindAddress {
    let refusal = ValidationError("It is no loopback address with a port. Write 127.0.0.1:0 or [::1]:8023.")
    guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { throw refusal }
    if text.utf8[colon...].elementsEqual(":0".utf8) {
      guard let any = Endpoint(String(text[..<colon]) + ":1"), any.address.addressClass == .loopback else {
        throw refusal
      }
      return .anyPort(any.address)
    }
    guard let endpoint = Endpoint(text), endpoint.address.addressClass == .loopback else { throw refusal }
    return .tcp(endpoint)
  }
}

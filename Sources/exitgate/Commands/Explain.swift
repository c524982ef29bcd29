import Addressing
import ArgumentParser
import Audit
import EventLoop
import Gateway
import Policy
import PolicyFile

/// `exitgate explain`
struct Explain: Verb {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Say whether a destination would be allowed, or what a sandbox would find, and why.",
    discussion: """
      Prints the destination as the gate sees it, what the floor says, every rule with the field that did not \
      match, and the answer. The gate decides by the same code. Nothing is resolved and nothing is sent: for a \
      name it says which of its addresses would be refused.

        exitgate explain --policy policy.yaml api.github.com:443
        exitgate explain --agent ci --protocol tcp db.corp.example:5432
        exitgate explain --method PUT http://artifacts.corp.example/repository/x
        exitgate explain 169.254.169.254:80 --protocol http
        exitgate explain --type TXT _acme-challenge.example.com

      Without --protocol the question is what CONNECT to HOST:PORT would get: https, or tcp where a rule says \
      so. With --type the question is what the DNS listener would answer about a name, which needs no port; \
      for names, 'dns' says so in any case, as long as answers are real. 'HOST:PORT' can be a destination copied from the log, or a URL.

      What 'exitgate run' gives a command started here is asked with --file and --process. It is read, write, own (the sandbox's, \
      without what the host has there) or hidden, with the line of the policy or the built-in rule that says so; what the file's \
      own permissions forbid stays forbidden. The policy is the one that 'run' would take.

        exitgate explain --policy policy.yaml --file ~/.ssh/id_ed25519
        exitgate explain --profile codex --file ~/.codex/config.toml
        exitgate explain --policy policy.yaml --process

      Exit status: 0 allowed (or passed by audit mode), 1 denied, 2 a person would be asked. With --file: 0 to be read or written, 1 \
      not there. With --process: 0, or 1 where 'run' would refuse to start.
      """)

  @OptionGroup var policy: PolicyOption

  @Option(help: ArgumentHelp("For this agent.", valueName: "name"), transform: Reading.agent)
  var agent: AgentName = .default

  @Option(
    name: .customLong("protocol"),
    help: ArgumentHelp("https, http, tcp, udp or dns.", valueName: "protocol"), transform: Reading.traffic)
  var traffic: TrafficProtocol?

  @Option(help: ArgumentHelp("The method of a plain HTTP request, GET unless given.", valueName: "method"))
  var method: String?

  @Option(help: ArgumentHelp("The path of a plain HTTP request, / unless given.", valueName: "path"))
  var path: String?

  @Option(
    help: ArgumentHelp("The type of records that is asked for: A, TXT, TYPE65280, …", valueName: "type"),
    transform: Reading.recordType)
  var type: UInt16?

  @Option(
    help: ArgumentHelp("As for serve: what the gate listens on is out of reach.", valueName: "address:port"),
    transform: Reading.listenAddress)
  var proxyListen: [ListenAddress] = []

  @OptionGroup var upstream: UpstreamOption

  @Option(
    help: ArgumentHelp(
      "What a command in a sandbox finds at this path, instead of a destination.", valueName: "path"),
    completion: .file())
  var file: String?

  @Flag(help: "Which variables and limits a command in a sandbox has, instead of a destination.")
  var process = false

  @Option(
    help: ArgumentHelp("A ready policy for a sandbox, instead of a file, as for run.", valueName: "name"))
  var profile: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  @Argument(help: ArgumentHelp("The destination, or a URL.", valueName: "host:port"))
  var destination: String?

  func validate() throws {
    try RunPolicy.validate(policy: policy.policy, profile: profile)
    let asked = [destination != nil, file != nil, process].count { $0 }
    if asked == 0 {
      throw ValidationError("Name a destination such as example.com:443, --file or --process.")
    }
    if asked > 1 { throw ValidationError("A destination, --file and --process are questions of their own.") }
  }

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    let answer = try file != nil || process ? sandboxAnswer(in: here) : answer(in: here)
    if json { here.console.result(answer.json) } else { answer.lines.forEach(here.console.result) }
    return answer.status
  }

  /// What is answered, for people and for programs, and what the process ends with.
  func answer(in here: Surroundings) throws(Failure) -> (lines: [Text], json: JSONValue, status: Int32) {
    guard let destination else { throw Failure(.usage, "no destination. Name one such as example.com:443.") }
    let target: Target
    do { target = try Target(destination, isQuestion: type != nil || traffic == .dns) } catch {
      return try answer(to: error, destination)
    }
    let loaded = try load(in: here)
    try checkAgent(in: loaded.policy)
    try checkType(target, destination)
    let question = question(target, under: loaded.policy)
    let answer = Answer(question, under: loaded.policy, floor: floor(of: loaded.policy), at: wallClock())
    return (answer.page(policyPath: try path(in: here)), answer.json, answer.exitStatus)
  }

  /// What a client that asks for something malformed gets needs no policy.
  private func answer(to problem: Target.Problem, _ destination: String) throws(Failure) -> (
    lines: [Text], json: JSONValue, status: Int32
  ) {
    switch problem {
    case .incomplete(let what): throw Failure(.usage, "'\(destination)': \(what).")
    case .malformed(let what):
      let lines: [Text] = [
        "\(Text("deny", .bad)): \(Reason.malformed.rawValue): \(what).",
        "A client that asks for this gets 400, whatever the policy says.",
      ]
      let json = JSONValue.object([
        .init("answer", .string("deny")), .init("verdict", .string("deny")),
        .init("reason", .string(Reason.malformed.rawValue)), .init("detail", .string(what)),
      ])
      return (lines, json, Failure.Status.general.rawValue)
    }
  }

  private func load(in here: Surroundings) throws(Failure) -> LoadedPolicy {
    guard profile == nil else { return try sandboxPolicy(in: here).load(in: here) }
    return try Reading.policy(at: policy.path(in: here), in: here)
  }

  private func path(in here: Surroundings) throws(Failure) -> String {
    profile == nil ? try policy.path(in: here) : sandboxPolicy(in: here).path
  }

  private func sandboxPolicy(in here: Surroundings) -> RunPolicy {
    RunPolicy(policy: policy.policy, profile: profile, in: here)
  }

  private func checkType(_ target: Target, _ destination: String) throws(Failure) {
    guard type != nil else { return }
    guard method == nil, path == nil, target.traffic == .dns, traffic == nil || traffic == .dns else {
      throw Failure(
        .usage, "--type belongs to a question over DNS. Leave out --protocol, --method and --path.")
    }
    guard case .name = target.authority.host else {
      throw Failure(.usage, "--type takes a name, and '\(destination)' is an address.")
    }
  }

  /// A verdict for an agent that nobody can be would mislead: a slip in the name
  /// looks like a missing rule.
  private func checkAgent(in policy: Policy) throws(Failure) {
    if let problem = policy.problem(ofAgent: agent) { throw Failure(.usage, problem) }
  }

  private func question(_ target: Target, under policy: Policy) -> Question {
    let isRequest = method != nil || path != nil
    let traffic = traffic ?? target.traffic ?? (isRequest ? .http : nil)
    let facts = RequestFacts(method: method ?? "GET", path: path ?? target.path ?? "/")
    return Question(
      host: target.authority.host, port: target.authority.port, traffic: traffic, agent: agent,
      request: traffic == .http ? facts : nil, recordType: type)
  }

  /// What this machine and a gate with this policy would put out of reach.
  private func floor(of policy: Policy) -> Floor {
    let addresses = ListenAddress.wanted(flags: proxyListen, agents: policy.agents)
    let ofProxy: [Endpoint] = addresses.compactMap { address in
      if case .tcp(let endpoint) = address { endpoint } else { nil }
    }
    let listeners = ofProxy + policy.agents.compactMap(\.dns)
    return Floor(localAddresses: localAddresses(), listeners: listeners, resolvers: upstream.endpoints)
  }
}

extension Explain {
  /// What `run` would give a command that is started here.
  private func sandboxAnswer(in here: Surroundings) throws(Failure) -> (
    lines: [Text], json: JSONValue, status: Int32
  ) {
    let chosen = sandboxPolicy(in: here), loaded = try chosen.load(in: here)
    guard let file else {
      let answer = ProcessAnswer(loaded.sandbox, environment: here.environment)
      return (answer.page(policyPath: chosen.path), answer.json, answer.exitStatus)
    }
    let view = try CommandFiles().view(of: loaded, in: here)
    let path = HostPath(inHome(file, here.environment["HOME"]), from: here.workingDirectory)
    let answer = FileAnswer(file: file, FileExplanation(of: path, in: view))
    return (answer.page(policyPath: chosen.path), answer.json, answer.exitStatus)
  }
}

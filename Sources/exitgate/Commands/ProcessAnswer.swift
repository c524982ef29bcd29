import Audit
import Glibc
import Launcher
import Policy

/// Which variables and limits a command in a sandbox has, ready to be shown.
struct ProcessAnswer {
  /// A variable that passes.
  struct Variable: Hashable {
    var name: String
    /// `built in`, or `file:line`.
    var source: String
    /// Whether there is one here.
    var isSet: Bool
  }

  /// A limit; where the policy says nothing of it, the host's counts.
  struct Bound: Hashable {
    var name: String
    /// For people.
    var words: String?
    /// Processes, bytes or seconds.
    var number: Int64?
    var source: String?
    /// What holds the command to it; nothing: `run` refuses to start.
    var means: [LimitMeans]
  }

  let variables: [Variable]
  /// Variables of this environment that do not pass.
  let leftOut: [String]
  let bounds: [Bound]

  /// - Parameter environment: Of the person who would start the command.
  init(_ settings: SandboxSettings, environment: [String: String]) {
    let named = settings.environment.filter { !EnvironmentFilter.lets($0.value) }
    let passing = EnvironmentFilter.environment(
      from: environment, naming: Set(named.map(\.value)), proxy: nil)
    let own = Set(EnvironmentFilter.ownNames)
    variables =
      passing.keys.filter { name in !named.contains { $0.value == name } && !own.contains(name) }.sorted()
      .map { Variable(name: $0, source: "built in", isSet: true) }
      + named.map { Variable(name: $0.value, source: $0.place, isSet: environment[$0.value] != nil) }
    leftOut = environment.keys.filter { passing[$0] == nil && !own.contains($0) }.sorted()
    bounds = Self.bounds(settings)
  }

  private static func bounds(_ settings: SandboxSettings) -> [Bound] {
    let group = ControlGroupPlace.find()
    let processes = settings.maxProcesses, memory = settings.memory, time = settings.time
    return [
      Bound(
        name: "max-processes", words: processes.map { "\($0.value)" },
        number: processes.map { Int64($0.value) },
        source: processes?.place, means: LimitMeans.ofProcesses(user: geteuid(), group)),
      Bound(
        name: "memory", words: memory.map { size($0.value) },
        number: memory.map { Int64(clamping: $0.value) },
        source: memory?.place, means: LimitMeans.ofMemory(group)),
      Bound(
        name: "time", words: time.map { span($0.value) }, number: time.map { $0.value.components.seconds },
        source: time?.place, means: [.clock]),
    ]
  }

  /// 1 where `run` would refuse to start.
  var exitStatus: Int32 { bounds.contains(where: \.isUnenforceable) ? 1 : 0 }

  /// The answer as lines.
  func page(policyPath: String) -> [Text] {
    let plain = variables.filter { $0.source == "built in" }.map(\.name)
    var lines: [Text] = table([
      ["policy", Text(policyPath)], ["pass", Text(plain.joined(separator: " "))],
      ["own", Text(EnvironmentFilter.ownNames.joined(separator: " "))],
      ["left out", Text(leftOut.joined(separator: " "))],
    ])
    lines.append("named by the policy")
    lines += table(
      variables.filter { $0.source != "built in" }
        .map { [Text($0.name), $0.isSet ? "passes" : "not set here", Text($0.source, .faint)] },
      indent: "  ")
    lines.append("limits")
    lines += table(bounds.map(row), indent: "  ")
    guard exitStatus != 0 else { return lines }
    return lines + [
      Text(
        "'run' would refuse to start here. Run it as an ordinary user, or say --allow-weaker limits.", .bad)
    ]
  }

  private func row(_ bound: Bound) -> [Text] {
    guard let words = bound.words else { return [Text(bound.name), "the host's"] }
    let means: Text =
      bound.isUnenforceable
      ? Text("not available here: root's processes are not counted", .bad)
      : Text("by " + bound.means.map(\.words).joined(separator: " and "))
    return [Text(bound.name), Text(words, .strong), means, Text(bound.source ?? "", .faint)]
  }

  var json: JSONValue {
    .object([
      .init("variables", .array(variables.map(entry))),
      .init("own_variables", .array(EnvironmentFilter.ownNames.map { .string($0) })),
      .init("left_out", .array(leftOut.map { .string($0) })),
      .init("limits", .array(bounds.map(entry))), .init("starts", .bool(exitStatus == 0)),
    ])
  }

  private func entry(_ variable: Variable) -> JSONValue {
    .object([
      .init("name", .string(variable.name)), .init("source", .string(variable.source)),
      .init("set", .bool(variable.isSet)),
    ])
  }

  private func entry(_ bound: Bound) -> JSONValue {
    .object([
      .init("name", .string(bound.name)), .init("value", bound.number.map { .integer($0) } ?? .null),
      .init("source", bound.source.map { .string($0) } ?? .null),
      .init("held_by", .array(bound.means.map { .string($0.rawValue) })),
    ])
  }
}

extension ProcessAnswer.Bound {
  fileprivate var isUnenforceable: Bool { number != nil && means.isEmpty }
}

extension LimitMeans {
  fileprivate var words: String {
    switch self {
    case .rlimit: "rlimit, each process"
    case .cgroup: "control group, all together"
    case .clock: "the clock"
    }
  }
}

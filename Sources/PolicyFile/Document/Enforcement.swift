import Addressing
import Policy

/// How the gate runs, which decides what it can enforce.
public enum RunMode: String, Sendable, CaseIterable {
  /// `exitgate serve`: a proxy that programs are pointed at.
  case serve
  /// `exitgate run`: one sandboxed command.
  case run
  /// `exitgate sidecar`: a shared network namespace.
  case sidecar
  /// `exitgate gateway`: behind a veth or tap.
  case gateway
}

/// DESIGN row 15: a rule that cannot be enforced is an error, never ignored.
///
/// That holds for `deny` as well: who denies udp in `serve` believes that it is
/// stopped. Built-in lists must load in every mode, so there such a deny rule is
/// left out with a warning.
struct Enforcement: Sendable {
  var runMode: RunMode
  /// nil: not known yet, since it is decided by whoever starts the gate.
  var hasDNSListener: Bool?

  private func obstacle(to traffic: TrafficProtocol) -> (cause: String, remedy: String)? {
    switch traffic {
    case .udp where runMode == .serve && hasDNSListener != nil:
      (
        "protocol udp cannot be enforced in serve, which carries TCP only",
        "Remove the rule, for what is not carried does not get out, or start 'exitgate sidecar' "
          + "or 'exitgate gateway'"
      )
    case .udp where runMode == .run:
      (
        "protocol udp cannot be enforced in run, whose network has no way out for datagrams",
        "Remove the rule, for nothing but connections and DNS gets out, or start 'exitgate sidecar'"
      )
    case .dns where runMode == .serve && hasDNSListener == false:
      (
        "protocol dns cannot be enforced in serve without a DNS listener",
        "Start serve with --dns-listen, give an agent 'dns', or remove the rule"
      )
    default: nil
    }
  }

  /// The same where agents may have DNS listeners of their own.
  func given(_ agents: [Agent]) -> Enforcement {
    var copy = self
    if agents.contains(where: { $0.dns != nil }) { copy.hasDNSListener = true }
    return copy
  }

  /// Whether a built-in list's rule is dropped, after the warning of `check`.
  func leavesOut(_ action: Action, _ traffic: TrafficProtocol) -> Bool {
    action == .deny && obstacle(to: traffic) != nil
  }

  func check(
    _ fields: Fields, _ parts: RuleParts, action: Action?, origin: DocumentOrigin,
    patterns: [(pattern: HostPattern, mark: Mark)]
  ) {
    if let obstacle = obstacle(to: parts.traffic) {
      let mark = fields.mark(of: "protocol")
      if origin.isBuiltin, action == .deny {
        fields.scope.warn(mark, obstacle.cause + ", so this rule is left out", obstacle.remedy)
      } else {
        fields.scope.error(mark, obstacle.cause, obstacle.remedy)
      }
    }
    if parts.traffic == .dns, runMode == .serve, hasDNSListener == nil, !origin.isBuiltin {
      fields.scope.warn(
        fields.mark(of: "protocol"), "protocol dns takes effect only where the gate answers DNS",
        "Start serve with --dns-listen, or give an agent 'dns'")
    }
    if parts.traffic == .udp, runMode == .serve, hasDNSListener == nil, !origin.isBuiltin {
      fields.scope.warn(
        fields.mark(of: "protocol"),
        "protocol udp takes effect only in sidecar and gateway, and serve refuses it",
        "Start 'exitgate sidecar' or 'exitgate gateway' with this file")
    }
    if parts.traffic == .udp { checkLimits(fields, parts.limits) }
    if parts.traffic == .udp, action != .deny { checkPorts(fields, parts, patterns) }
    if case .scalar(let text, _) = fields["allow-loopback"]?.content, text == "true" {
      checkLoopback(fields, patterns)
    }
    if parts.traffic == .dns { checkNames(fields, patterns) }
  }

  /// An agent that nothing but its interface tells apart.
  func checkInterface(_ agent: Fields, _ name: AgentName, isAlone: Bool) {
    guard runMode != .gateway, isAlone else { return }
    let cause = "only gateway tells the agent '\(name)' by its interface"
    let remedy = "Start 'exitgate gateway --interface IF=\(name)', or add 'listen: 127.0.0.1:3129'"
    if runMode == .serve, hasDNSListener == nil {
      agent.scope.warn(agent.mark(of: "by"), cause, remedy)
    } else {
      agent.scope.error(agent.mark(of: "by"), cause, remedy)
    }
  }

  /// What a sandbox finds is a matter of `run`; nobody else has one.
  func checkSandbox(_ fields: Fields, _ origin: DocumentOrigin) {
    guard runMode != .run, hasDNSListener != nil, !origin.isBuiltin else { return }
    for key in ["files", "process"] where fields.has(key) {
      fields.scope.warn(
        fields.mark(of: key), "'\(key)' takes effect only in run, and this is \(runMode.rawValue)",
        "Start the agent with 'exitgate run', or limit it by other means")
    }
  }

  /// Row 5: loopback is opened for what is named in full, or for a block. A
  /// rule of wildcards alone would open nothing; beside such names, wildcards
  /// are still worth a word.
  private func checkLoopback(_ fields: Fields, _ patterns: [(pattern: HostPattern, mark: Mark)]) {
    let wildcards = patterns.filter { $0.pattern.isWildcard }
    guard let first = wildcards.first else { return }
    let remedy = "Name the host in full, or give the wildcard a rule of its own"
    if wildcards.count == patterns.count {
      for (pattern, mark) in wildcards {
        fields.scope.error(mark, "'allow-loopback' cannot be joined with the wildcard '\(pattern)'", remedy)
      }
    } else {
      fields.scope.warn(
        first.mark, "'allow-loopback' does not open this machine to '\(first.pattern)'", remedy)
    }
  }

  /// Datagrams pass the kernel's table, which counts for nobody; how much is asked by names, the gate sees.
  private func checkLimits(_ fields: Fields, _ limits: Limits) {
    let keys = [
      ("connections", limits.connections != nil), ("bytes-out", limits.bytesOut != nil),
      ("bytes-in", limits.bytesIn != nil), ("duration", limits.duration != nil),
    ].filter(\.1).map { "'\($0.0)'" }
    guard !keys.isEmpty else { return }
    fields.scope.error(
      fields.mark(of: "limits"), "protocol udp cannot be held to \(keys.joined(separator: ", "))",
      "Remove it; 'expires' ends the rule and its flows, and 'dns-labels' limits what is asked for names")
  }

  /// The kernel is told of each port of an address that a name resolved to.
  private func checkPorts(
    _ fields: Fields, _ parts: RuleParts, _ patterns: [(pattern: HostPattern, mark: Mark)]
  ) {
    let count = parts.ports.reduce(0) { $0 + max(0, Int($1.upper.number) - Int($1.lower.number) + 1) }
    let named = patterns.first { if case .prefix = $0.pattern { false } else { true } }
    guard count > Self.portsOfNames, let named else { return }
    fields.scope.error(
      named.mark, "protocol udp opens at most \(Self.portsOfNames) ports of a name, and these are \(count)",
      "Name fewer ports, or write the addresses instead of '\(named.pattern)'")
  }

  /// As many as the kernel is told of for one address (`FenceOpening.portLimit`).
  static let portsOfNames = 256

  private func checkNames(_ fields: Fields, _ patterns: [(pattern: HostPattern, mark: Mark)]) {
    for (pattern, mark) in patterns {
      guard case .prefix = pattern else { continue }
      fields.scope.error(
        mark, "protocol dns asks for names, and '\(pattern)' is none", "Write a name, or remove it")
    }
  }
}

extension HostPattern {
  fileprivate var isWildcard: Bool {
    switch self {
    case .exact, .prefix: false
    case .subdomains, .domain, .anyName: true
    }
  }
}

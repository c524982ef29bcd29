import ArgumentParser
import Control
import Policy

/// `exitgate status`
struct Status: Verb {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Say what the running gate is doing.",
    discussion: """
      The policy in force and whether it is enforced, the listeners, what was decided and why, open \
      connections, bytes, the state of the audit log and of the resolver.

        exitgate status
        exitgate status --json | jq '.decisions[] | select(.verdict == "deny")'

      Exit status: 0 when a gate answers, 69 when none does.
      """)

  @OptionGroup var control: ControlOption

  @Flag(help: "Print the answer as one JSON object.")
  var json = false

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    guard case .status(let status) = try RunningGate(controlPath: control.path(in: here)).ask(.status) else {
      throw Failure(.host, "the gate answered something else. Use the same version on both sides.")
    }
    if json {
      here.console.result(status.json)
    } else {
      StatusPage(status).lines.forEach(here.console.result)
    }
    return 0
  }
}

/// A status for people. What must not be overlooked comes first.
struct StatusPage {
  private(set) var lines: [Text] = []

  init(_ status: GateStatus) {
    if status.stop.isGiven { lines.append(Text(stopWords(status.stop), .bad)) }
    if let warning = status.warning { lines.append(Text(warning, .bad)) }
    lines.append(
      "\(Text("exitgate \(status.version)", .strong)) is running, process \(status.pid), for \(span(status.uptime))"
    )
    lines += table(Self.rows(status))
    if !status.decisions.isEmpty { lines.append("decisions") }
    lines += table(status.decisions.map(Self.row), indent: "  ")
    if status.isCut { lines.append("(lists were cut to fit one message)") }
  }

  private static func rows(_ status: GateStatus) -> [[Text]] {
    let connections = status.connections
    return policy(status.policy) + (status.fence.map(fence) ?? []) + status.processes.map(process)
      + status.listeners.map(listener)
      + (status.agents.isEmpty ? [] : [["agents", Text(status.agents.map(\.text).joined(separator: ", "))]])
      + [
        [
          "connections",
          "\(connections.open) open, \(connections.accepted) accepted, \(connections.finished) relayed and ended",
        ],
        ["", "each ends after \(span(connections.longest)) unless its rule names a duration"],
        ["bytes", "\(size(connections.bytesOut)) out, \(size(connections.bytesIn)) in"],
      ] + asking(status.asking) + audit(status.audit)
      + [
        ["resolver", resolver(status.resolver)]
      ] + status.resolver.upstreams.map(upstream) + (status.dns.map(dns) ?? []) + [
        [
          "loops",
          Text(
            status.loops.map { "\($0.accepted) accepted, \(count($0.channels, "channel")) open" }.joined(
              separator: "; ")),
        ]
      ]
  }

  private static func policy(_ policy: PolicyStatus) -> [[Text]] {
    let end = policy.auditUntil.map { policy.mode == .enforce ? ", as audit ended at \($0)" : " until \($0)" }
    let mode = Text(policy.mode.rawValue + (end ?? ""), policy.mode == .enforce ? .good : .bad)
    let first: [Text] = [
      "policy",
      "\(policy.path), mode \(mode), \(count(policy.rules, "rule")), generation \(policy.generation) since \(policy.loadedAt)",
    ]
    guard let error = policy.lastError else { return [first] }
    return [first, ["", Text("the last reload was refused: \(error)", .bad)]]
  }

  private static func fence(_ fence: FenceStatus) -> [[Text]] {
    let owned = fence.isOwned ? "owned by the gate alone" : "watched, for anybody may change it"
    let state =
      !fence.isKept
      ? Text("NO ANSWER from its keeper", .bad)
      : fence.isInForce ? Text("in force", .good) : Text("GONE", .bad)
    let weak = fence.isWeak ? Text(", which others may be too", .bad) : ""
    let exempt: Text =
      fence.exemption.isEmpty ? "nothing is exempt" : "exempt is \(fence.exemption)\(weak)"
    return fence.links.map(link) + [
      ["table", "\(fence.mode), \(state), \(owned); \(exempt)"],
      [
        "",
        "\(count(fence.denied, "packet")) denied, \(count(fence.frames, "frame")) stopped, learned addresses: \(fence.learned)",
      ],
    ] + fence.unguarded.map { ["", Text("frames beside the IP stack are NOT stopped on \($0)", .bad)] }
      + audited(fence.audited) + [
        ["", proof(fence.canary)]
      ]
  }

  private static func audited(_ packets: UInt64?) -> [[Text]] {
    guard let packets else { return [] }
    return [
      ["", Text("AUDIT MODE: \(count(packets, "packet")) passed that 'mode: enforce' would deny", .bad)]
    ]
  }

  private static func link(_ link: LinkStatus) -> [Text] {
    let state = link.isWhole ? Text(link.state) : Text("\(link.state), so nothing is taken from it", .bad)
    return ["interface", "\(link.interface) of agent \(link.agent), \(state)"]
  }

  private static func proof(_ canary: FenceStatus.Canary) -> Text {
    switch canary {
    case .counted: "proved just now: it counted the packets that it has to deny"
    case .missed: Text("NOT PROVED: a packet that it has to deny was not counted by it", .bad)
    case .unsent: "not proved: no device takes a packet"
    case .impossible: "no proof is possible: gate and keeper are one user, whose packets are exempt"
    }
  }

  private static func process(_ process: ProcessStatus) -> [Text] {
    let bounds =
      (process.hasNoNewPrivileges ? ", no new privileges" : "") + (process.isFiltered ? ", seccomp" : "")
      + (process.writes.map {
        $0.isEmpty ? ", no files" : ", writes in \($0.joined(separator: " and ")) alone"
      }
        ?? "")
    return [
      "process",
      "\(process.role) \(process.pid): user \(process.user), capabilities \(process.capabilities)\(bounds)",
    ]
  }

  private static func listener(_ listener: ListenerStatus) -> [Text] {
    let whose = listener.agent.map { " for agent \($0)" } ?? ""
    let pause = listener.paused ? Text(", PAUSED for want of descriptors or memory", .bad) : ""
    return ["listener", "\(listener.address)\(whose), \(listener.accepted) accepted\(pause)"]
  }

  private static func asking(_ asking: AskingStatus) -> [[Text]] {
    guard asking != AskingStatus() else { return [] }
    let waits =
      asking.pending == 0
      ? Text("no question waits") : Text("\(count(asking.pending, "question")) waiting", .doubtful)
    let by =
      asking.channels == 0
      ? Text("nobody can be asked now") : Text("asked by \(count(asking.channels, "channel"))")
    let seen = asking.witness.map {
      ["", Text("programs that ask are \($0.sentence)", $0.isRunning ? .plain : .doubtful)]
    }
    return [["people", "\(waits), \(by); \(asking.allowed) allowed, \(asking.refused) refused"]]
      + [seen].compactMap(\.self)
  }

  private static func audit(_ audit: AuditStatus) -> [[Text]] {
    let first: [Text] = [
      "audit log",
      "\(audit.path), \(count(audit.records, "record")), \(size(audit.bytes)), \(audit.collapsed) rolled up",
    ]
    let error = audit.lastError.map { ": \($0)" } ?? ""
    guard !audit.available else { return [first] }
    return [first, ["", Text("CANNOT BE WRITTEN, so nothing new is allowed\(error)", .bad)]]
  }

  private static func resolver(_ resolver: ResolverStatus) -> Text {
    """
    \(count(resolver.lookups, "lookup")), \(resolver.cached) from the cache, \(resolver.queries) sent, \
    \(resolver.failures) failed
    """
  }

  private static func dns(_ dns: DNSStatus) -> [[Text]] {
    var rows: [[Text]] = [
      [
        "dns",
        """
        \(dns.listeners.joined(separator: ", ")), \(count(dns.queries, "message")), \(dns.allowed) allowed, \
        \(dns.denied) denied, \(dns.hits) from the cache of \(dns.cached), \(dns.forwarded) asked upstream
        """,
      ]
    ]
    if dns.malformed + dns.limited + dns.dropped > 0 {
      rows.append(["", "\(dns.malformed) malformed, \(dns.limited) above the rate, \(dns.dropped) dropped"])
    }
    if let pool = dns.pool {
      let exhausted = pool.exhausted > 0 ? Text(", EXHAUSTED \(pool.exhausted) times", .bad) : ""
      rows.append(["pool", "\(pool.mapped) of \(pool.size) names, \(pool.resting) resting\(exhausted)"])
    }
    return rows + dns.suspended.map { ["", Text("new names need approval: \($0)", .bad)] }
  }

  private static func upstream(_ upstream: UpstreamStatus) -> [Text] {
    let tls = upstream.certificateName.map { " over TLS as \($0)" } ?? ""
    let zone = upstream.zone.map { " for \($0)" } ?? ""
    let state =
      upstream.isDown ? Text("DOWN", .bad) : upstream.queries == 0 ? Text("not asked yet") : Text("up", .good)
    let time = upstream.latency.map { ", \(milliseconds($0)) ms" } ?? ""
    let cause = upstream.cause.map { ": \($0)" } ?? ""
    return [
      "",
      """
      \(upstream.address)\(tls)\(zone), \(state)\(time), \(upstream.queries) sent, \
      \(count(upstream.timeouts, "timeout")), \(count(upstream.failures, "failure"))\(cause)
      """,
    ]
  }

  private static func milliseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
  }

  private static func row(_ decision: DecisionCount) -> [Text] {
    let style: Text.Style = decision.verdict == .deny ? .bad : decision.verdict == .ask ? .doubtful : .good
    return [
      Text(decision.verdict.rawValue, style), Text(decision.reason.rawValue), Text("\(decision.count)"),
    ]
  }
}

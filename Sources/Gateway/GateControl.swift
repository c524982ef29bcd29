import Addressing
import Audit
import Control
import Dispatch
import EventLoop
import Glibc
import Keeper
import Logging
import Pages
import Policy
import PolicyFile
import Synchronization

// MARK: - Control socket

extension Gate {
  func answer(_ request: ControlRequest, from peer: PeerCredentials, reply: ControlAnswer) {
    if let refusal = door.refusal(of: request, to: peer) {
      refuse(request.verb.rawValue, to: peer, refusal)
      return reply(.refused(refusal))
    }
    switch request {
    case .status: status { reply(.status($0)) }
    case .reload:
      log.append(
        .control(ControlRecord(time: .now(), processID: peer.pid, userID: peer.uid, operation: "reload")))
      reload { reply($0) }
    case .stop(let agent): stop(agent, by: peer, reply: reply)
    case .resume(let agent): resume(agent, by: peer, reply: reply)
    case .pending:
      let questions = approvals.questions.map { approvals.status(of: $0, to: door.role(of: peer)) }
      reply(questions.map { .question($0) } + [.listed(questions.count)])
    case .granted: reply(grantStatus.map { .grant($0) } + [.listed(grantStatus.count)])
    case .follow: follow(reply, for: peer)
    case .attend: attend(reply, for: peer)
    case .here(let beat):
      followers.hear(beat, of: peer, at: .now(), door)
      reply(.answered("heard"))
    case .approve(let order): carryOut(order, allowing: true, for: peer, reply)
    case .refuse(let order): carryOut(order, allowing: false, for: peer, reply)
    case .wait(let id): wait(for: id, reply, for: peer)
    case .revoke(let id): takeBack(id, for: peer, reply)
    }
  }

  func note(_ event: ControlEvent, from peer: PeerCredentials?) {
    refuse("connect", to: peer, "\(event)")
  }

  /// Says and records what was refused, as long as it is not too much of it.
  func refuse(_ operation: String, to peer: PeerCredentials?, _ refusal: String) {
    let whose = peer.flatMap { door.role(of: $0) == nil ? nil : RefusalRate.Whose.reviewer($0.uid) }
    guard refusals.withLock({ $0.hear(whose ?? .strangers, at: .now()) }) else { return }
    words.warning("control socket: \(refusal)")
    if let peer { record(operation, by: peer, refusal: refusal) }
  }

  /// Tells of the refusals that were only counted.
  func tellRefusals() {
    for (whose, count) in refusals.withLock({ $0.takeEnded(at: .now()) }) {
      let who = if case .reviewer(let user) = whose { "user \(user)" } else { "users without a role" }
      let what = "control socket: \(count) more of \(who) were refused within 10 s"
      words.warning("\(what)")
      log.append(
        .lifecycle(
          LifecycleRecord(time: .now(), event: .notice, detail: what, reason: "control-refusals")))
    }
  }

  private func record(_ operation: String, by peer: PeerCredentials, refusal: String) {
    log.append(
      .control(
        ControlRecord(
          time: .now(), processID: peer.pid, userID: peer.uid, operation: operation, refusal: refusal)))
    _ = log.commit()
  }
}

// MARK: - Status

extension Gate {
  /// Gathers the status from every loop.
  public func status(completion: @escaping @Sendable (GateStatus) -> Void) {
    guard let fence = configuration.fence else { return gatherStatus(completion: completion) }
    fence.report { [self] state in
      queue.async { [self] in
        fenceState = state
        gatherStatus(completion: completion)
      }
    }
  }

  private func gatherStatus(completion: @escaping @Sendable (GateStatus) -> Void) {
    gatherReports { [self] in completion(compose($0)) }
  }

  /// What every loop reports, on the gate's queue.
  func gatherReports(completion: @escaping @Sendable ([ShardReport]) -> Void) {
    let gathered = Gathered()
    onEveryShard {
      gathered.add($0.report)
    } then: {
      completion(gathered.all)
    }
  }

  func compose(_ reports: [ShardReport]) -> GateStatus {
    dispatchPrecondition(condition: .onQueue(queue))
    let counters = reports.reduce(into: ShardCounters()) { $0.add($1.counters) }
    var status = GateStatus(
      pid: getpid(), version: configuration.version, uptime: MonotonicTime.now() - startedAt,
      policy: policyStatus,
      audit: auditStatus)
    let owners = Dictionary(
      snapshot.policy.agents.compactMap { agent in agent.listen.map { ($0, agent.name) } },
      uniquingKeysWith: { first, _ in first })
    let proxies = listeners.bound.keys.map { address in
      ListenerStatus(address.description, of: owners[address], gauges[address])
    }
    let captured = captures.bound.map { entry in
      ListenerStatus("\(entry.settings)", of: entry.settings.agent, captureGauges[entry.settings])
    }
    status.listeners = (proxies + captured).sorted { $0.address < $1.address }
    status.stop = snapshot.policy.stop
    status.agents = snapshot.policy.agents.map(\.name)
    status.decisions = counters.decisionCounts
    status.connections = ConnectionStatus(
      open: admission.open, accepted: counters.accepted, finished: counters.finished,
      bytesOut: counters.bytesOut,
      bytesIn: counters.bytesIn, longest: Deadlines.total)
    status.asking = askingStatus
    status.resolver = resolverStatus(reports)
    status.dns = reports.lazy.compactMap(\.dns).first
    status.fence = fenceStatus
    status.processes = configuration.processes()
    status.loops = reports.map { LoopStatus(channels: $0.channels, accepted: $0.counters.accepted) }
    return status
  }

  private var auditStatus: AuditStatus {
    let statistics = log.statistics
    return AuditStatus(
      path: configuration.auditLogPath, available: log.isAvailable, records: statistics.records,
      bytes: statistics.bytes, collapsed: statistics.collapsed, lastError: statistics.lastError)
  }

  private func resolverStatus(_ reports: [ShardReport]) -> ResolverStatus {
    let sum = reports.reduce(ResolverStatistics()) { $0 + $1.resolver }
    return ResolverStatus(
      upstreams: ResolverStatus.upstreams(routes, reports.map(\.upstreams)),
      lookups: sum.lookups + sum.cacheHits, cached: sum.cacheHits,
      queries: sum.datagramQueries + sum.streamQueries + sum.secureQueries,
      failures: sum.timeouts + sum.upstreamFailures + sum.badResponses)
  }
}

extension ListenerStatus {
  fileprivate init(_ address: String, of agent: AgentName?, _ gauge: ListenerGauge?) {
    self.init(
      address: address, agent: agent, accepted: gauge?.accepted ?? 0, paused: gauge?.isPaused ?? false)
  }
}

// MARK: - End

extension Gate {
  /// Stops accepting, lets what is under way end within `grace`, then ends the
  /// rest, records the stop and calls `completion`.
  public func drain(within grace: Duration, completion: @escaping @Sendable () -> Void) {
    queue.async { [self] in
      guard !isDraining else { return }
      isDraining = true
      listeners.closeAll()
      names.closeAll()
      captures.closeAll()
      metrics?.close()
      callbacks?.close()
      for shard in shards { shard.loop.submit { shard.endIdle() } }
      awaitQuiet(until: .now() + grace, completion: completion)
    }
  }

  private func awaitQuiet(until deadline: MonotonicTime, completion: @escaping @Sendable () -> Void) {
    dispatchPrecondition(condition: .onQueue(queue))
    guard admission.open > 0, MonotonicTime.now() < deadline else { return end(completion: completion) }
    queue.asyncAfter(deadline: .now() + .milliseconds(50)) { [self] in
      awaitQuiet(until: deadline, completion: completion)
    }
  }

  private func end(completion: @escaping @Sendable () -> Void) {
    onEveryShard {
      $0.endAll()
    } then: { [self] in
      ticker?.cancel()
      controlSocket?.close()
      countLastLosses { [self] in
        log.close()
        completion()
      }
    }
  }
}

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

/// What became of a reload.
public typealias ReloadOutcome = ControlReply

// MARK: - Reload

extension Gate {
  /// Reads the policy anew and puts it in force whole, or keeps the last good
  /// one and says why. Flows whose rule is gone or changed are closed.
  public func reload(completion: @escaping @Sendable (ReloadOutcome) -> Void) {
    queue.async { [self] in
      guard !isDraining else { return completion(.reloadRefused(problems: ["The gate is stopping."])) }
      if let refusal = configuration.reloadRefusal {
        return refuse(ReloadError(problems: [refusal]), completion: completion)
      }
      do throws(ReloadError) {
        try replacePolicy(completion: completion)
      } catch {
        refuse(error, completion: completion)
      }
    }
  }

  private func replacePolicy(completion: @escaping @Sendable (ReloadOutcome) -> Void) throws(ReloadError) {
    dispatchPrecondition(condition: .onQueue(queue))
    let loaded: LoadedPolicy, standing: Policy
    do throws(PolicyFileError) {
      loaded = try configuration.loadPolicy(generation: snapshot.generation + 1, under: snapshot.policy.stop)
      standing = try configuration.loadOverlay()
    } catch {
      throw ReloadError(problems: error.diagnostics.map(\.description))
    }
    let (fresh, freshNames) = try rebind(for: loaded.policy)
    var floor = snapshot.floor
    floor.listeners = listeners.endpoints + names.endpoints + captures.endpoints
    floor.listeners += [metrics?.endpoint, callbacks?.endpoint].compactMap(\.self)
    let (marks, change) = try nextMarks(under: loaded.policy)
    let next = PolicySnapshot(
      policy: loaded.policy, floor: floor, directory: listeners.directory(of: loaded.policy.agents),
      marks: marks)
    replaceFence(next, revoking: change.revoked) { [self] failure in
      if let failure {
        for listener in fresh.values { listener.close() }
        return refuse(ReloadError(problems: [failure.description]), completion: completion)
      }
      replaceStanding(standing)
      adopt(next, loaded, fresh, freshNames, completion: completion)
    }
  }

  /// Puts a policy in force that everything was prepared for.
  private func adopt(
    _ next: PolicySnapshot, _ loaded: LoadedPolicy, _ fresh: [ListenAddress: Listener],
    _ freshNames: [NamePlace: NameListenerSet.Pair],
    completion: @escaping @Sendable (ReloadOutcome) -> Void
  ) {
    dispatchPrecondition(condition: .onQueue(queue))
    openDoor(to: next.policy.reviewers)
    log.append(policyRecord(.loaded, loaded))
    _ = log.commit()
    shards[0].commons.labels.reset()
    policyStatus = PolicyStatus(
      path: configuration.policyPath, mode: loaded.policy.mode, generation: loaded.policy.generation,
      loadedAt: .now(), rules: loaded.policy.rules.count)
    let asked = approvals.adopt(next)
    defer { wake(asked) }
    publish(next) { [self] closed in
      // Not before: whoever comes by a new listener is judged by the policy that names it.
      for (address, listener) in fresh where listeners.bound[address] === listener {
        open(listener, at: address)
      }
      open(freshNames)
      for warning in loaded.warnings { words.warning("\(warning)") }
      if loaded.policy.mode == .audit {
        words.warning("NOT ENFORCING: the policy's mode is audit; what it would deny passes and is recorded")
      }
      for warning in configuration.gatewayWarnings(loaded.policy) { words.warning("\(warning)") }
      words.notice("policy generation \(loaded.policy.generation) in force; connections closed: \(closed)")
      completion(.reloaded(loaded.report(closed: closed)))
    }
  }

  /// Binds all listeners the new policy adds, then closes those it drops.
  ///
  /// - Returns: What was bound and does not accept yet.
  /// - Throws: When one cannot be bound; then nothing has changed.
  private func rebind(for policy: Policy) throws(ReloadError) -> (
    [ListenAddress: Listener], [NamePlace: NameListenerSet.Pair]
  ) {
    let wanted = ListenerSet.wanted(configuration, agents: configuration.listeningAgents(of: policy))
    do throws(ListenError) {
      let fresh = try listeners.bindMissing(of: wanted)
      do throws(ListenError) {
        let names = try rebindNames(for: policy)
        listeners.adopt(fresh, wanted: wanted)
        return (fresh, names)
      } catch {
        for listener in fresh.values { listener.close() }
        throw error
      }
    } catch {
      throw ReloadError(problems: ["\(error)"])
    }
  }

  private func refuse(_ error: ReloadError, completion: (ReloadOutcome) -> Void) {
    for problem in error.problems { words.error("\(problem)") }
    words.error("the policy was not reloaded; generation \(snapshot.generation) stays in force")
    policyStatus.lastError = error.problems.first
    log.append(policyRecord(.refused, nil, problem: error.problems.first))
    _ = log.commit()
    completion(.reloadRefused(problems: error.problems))
  }

  func policyRecord(_ outcome: PolicyRecord.Outcome, _ loaded: LoadedPolicy?, problem: String? = nil)
    -> Record
  {
    .policy(
      PolicyRecord(
        time: .now(), outcome: outcome, generation: loaded?.policy.generation ?? snapshot.generation,
        mode: loaded?.policy.mode ?? snapshot.policy.mode, sources: loaded?.sources.map(\.summary) ?? [],
        error: problem))
  }
}

struct ReloadError: Error {
  var problems: [String]
}

extension PolicySource {
  /// What the log says of a source: its name and what it gave.
  fileprivate var summary: String {
    detail.isEmpty ? "\(name): \(rules) rules" : "\(name): \(rules) rules, \(detail)"
  }
}

extension LoadedPolicy {
  fileprivate func report(closed: Int) -> ReloadReport {
    ReloadReport(
      generation: policy.generation, rules: policy.rules.count, enforcing: policy.mode == .enforce,
      closed: closed, warnings: warnings.map(\.description))
  }
}

// MARK: - Control socket

extension Gate {
  func answer(_ request: ControlRequest, from peer: PeerCredentials, reply: ControlAnswer) {
    if let refusal = door.refusal(of: request, to: peer) {
      record(request.verb.rawValue, by: peer, refusal: refusal)
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
    case .follow: follow(reply, asA: door.role(of: peer))
    case .attend: attend(reply, asA: door.role(of: peer))
    case .approve(let order): carryOut(order, allowing: true, for: peer, reply)
    case .refuse(let order): carryOut(order, allowing: false, for: peer, reply)
    case .wait(let id): wait(for: id, reply, asA: door.role(of: peer))
    case .revoke(let id): takeBack(id, for: peer, reply)
    }
  }

  func note(_ event: ControlEvent, from peer: PeerCredentials?) {
    words.warning("control socket: \(event)")
    if let peer { record("connect", by: peer, refusal: "\(event)") }
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

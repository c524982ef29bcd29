import Addressing
import Approvals
import Audit
import Control
import Dispatch
import EventLoop
import Keeper
import Logging
import Pages
import Policy
import PolicyFile

/// What became of a reload.
public typealias ReloadOutcome = ControlReply

extension Gate {
  /// Reads the policy anew and puts it in force whole, or keeps the last good
  /// one and says why. Flows whose rule is gone or changed are closed.
  public func reload(completion: @escaping @Sendable (ReloadOutcome) -> Void) {
    queue.async { [self] in
      guard !isDraining else { return completion(.stopping) }
      if let refusal = configuration.reloadRefusal {
        return refuse(ReloadError(problems: [refusal]), completion: completion)
      }
      inOrder { [self] done in
        replacePolicy { outcome in
          completion(outcome)
          done()
        }
      }
    }
  }

  /// Reads and reckons beside the gate's queue: an order to stop does not wait for a large policy.
  private func replacePolicy(completion: @escaping @Sendable (ReloadOutcome) -> Void) {
    let before = snapshot, edits = overlayEdits
    readQueue.async { [self] in
      let read = Result { () throws(ReloadError) in try readAnew(after: before) }
      queue.async { [self] in
        do throws(ReloadError) {
          try prepare(try read.get(), since: edits, completion: completion)
        } catch {
          refuse(error, completion: completion)
        }
      }
    }
  }

  /// - Parameter before: What is in force. Nothing changes its marks before this reload is over.
  private func readAnew(after before: PolicySnapshot) throws(ReloadError) -> PolicyReading {
    let loaded: LoadedPolicy, standing: Policy
    do throws(PolicyFileError) {
      loaded = try configuration.loadPolicy(
        generation: before.generation + 1, under: before.policy.stop)
      standing = try configuration.loadOverlay()
    } catch {
      throw ReloadError(problems: error.diagnostics.map(\.description))
    }
    if let sole = configuration.soleAgent, sole != .default,
      !loaded.policy.agents.contains(where: { $0.name == sole })
    {
      throw ReloadError(problems: [
        "the policy has no agent '\(sole)' any more, which this command is. Declare it under 'agents'."
      ])
    }
    let (marks, revoked) = try nextMarks(under: loaded.policy, after: before.marks)
    return PolicyReading(
      loaded: loaded, standing: standing, marks: marks, revoked: revoked,
      table: fenceRules(of: loaded.policy, marks, at: .now()))
  }

  /// Binds what a policy adds and has the kernel hold what it says, then puts it in force.
  private func prepare(
    _ read: PolicyReading, since edits: UInt64, completion: @escaping @Sendable (ReloadOutcome) -> Void
  ) throws(ReloadError) {
    dispatchPrecondition(condition: .onQueue(queue))
    guard !isDraining else { return completion(.stopping) }
    if let escape = escape(under: read.loaded.policy) { throw ReloadError(problems: [escape]) }
    let fresh = try bind(for: read.loaded.policy)
    replaceFence(read.table, read.marks, revoking: read.revoked) { [self] failure in
      if let failure {
        fresh.close()
        return refuse(ReloadError(problems: [failure.description]), completion: completion)
      }
      guard !isDraining else {
        fresh.close()
        return completion(.stopping)
      }
      replaceStanding(standing(of: read, since: edits))
      adopt(read.loaded, read.marks, fresh, completion: completion)
    }
  }

  /// What is written down now: an answer that came while the policy was read counts.
  private func standing(of read: PolicyReading, since edits: UInt64) -> Policy {
    guard edits != overlayEdits else { return told(of: read.standing) }
    guard let now = try? configuration.loadOverlay() else { return approvals.standing }
    return told(of: now)
  }

  /// Puts a policy in force that everything was prepared for.
  private func adopt(
    _ loaded: LoadedPolicy, _ marks: RuleMarks, _ fresh: FreshListeners,
    completion: @escaping @Sendable (ReloadOutcome) -> Void
  ) {
    dispatchPrecondition(condition: .onQueue(queue))
    var loaded = loaded
    // Audit mode may have ended while it was read: in force, which took a generation, or in this policy.
    loaded.policy.generation = snapshot.generation + 1
    if loaded.policy.endAudit(at: .now()) { enforceInTable() }
    take(over: fresh)
    let next = snapshot(of: loaded.policy, marks)
    openDoor(to: next.policy.reviewers)
    log.append(policyRecord(.loaded, loaded))
    _ = log.commit()
    shards[0].commons.labels.reset()
    policyStatus = PolicyStatus(
      path: configuration.policyPath, mode: loaded.policy.mode, generation: loaded.policy.generation,
      loadedAt: .now(), auditUntil: loaded.policy.auditUntil, rules: loaded.policy.rules.count)
    putInForce(next) { [self, loaded] closed in
      // Not before: whoever comes by a new listener is judged by the policy that names it.
      for (address, listener) in fresh.proxies where listeners.bound[address] === listener {
        open(listener, at: address)
      }
      open(fresh.names)
      tell(of: loaded, closed)
      completion(.reloaded(loaded.report(closed: closed)))
    }
  }

  /// Has the loops go by it, and whoever waits for a person be asked under it, or no more.
  func putInForce(_ next: PolicySnapshot, then completion: @escaping @Sendable (_ closed: Int) -> Void) {
    let asked = approvals.adopt(next)
    for grant in asked.ended { record(endOf: grant, under: next.generation) }
    defer { wake(asked.waiters) }
    publish(next, then: completion)
  }

  private func snapshot(of policy: Policy, _ marks: RuleMarks) -> PolicySnapshot {
    var floor = snapshot.floor
    floor.listeners = listeners.endpoints + names.endpoints + captures.endpoints
    floor.listeners += [metrics?.endpoint, callbacks?.endpoint].compactMap(\.self)
    return PolicySnapshot(
      policy: policy.under(snapshot.policy.stop), floor: floor,
      directory: listeners.directory(of: policy.agents, sole: configuration.soleAgent), marks: marks)
  }

  private func tell(of loaded: LoadedPolicy, _ closed: Int) {
    for warning in loaded.warnings { words.warning("\(warning)") }
    if let warning = policyStatus.warning { words.warning("\(warning)") }
    for warning in configuration.gatewayWarnings(loaded.policy) { words.warning("\(warning)") }
    words.notice("policy generation \(loaded.policy.generation) in force; connections closed: \(closed)")
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

/// What a reload has read.
private struct PolicyReading {
  var loaded: LoadedPolicy
  /// What people answered for good.
  var standing: Policy
  /// The numbers of its rules, and those whose flows are to end.
  var marks: RuleMarks
  var revoked: Set<UInt32>
  /// What the kernel's table is to hold; nil without one.
  var table: FenceRules?
}

extension ReloadOutcome {
  fileprivate static let stopping = ReloadOutcome.reloadRefused(problems: ["The gate is stopping."])
}

// MARK: - Listeners

/// What was bound for a policy and does not accept yet.
private struct FreshListeners {
  var proxies: [ListenAddress: Listener]
  var names: [NamePlace: NameListenerSet.Pair]
  /// All that the policy wants.
  var wanted: [ListenAddress]
  var wantedNames: [NamePlace: AgentName]

  func close() {
    for listener in proxies.values { listener.close() }
    for pair in names.values { pair.streams.close() }
  }
}

extension Gate {
  /// Binds all listeners the new policy adds; those that it drops go on until it is in force.
  ///
  /// - Throws: When one cannot be bound; then nothing has changed.
  private func bind(for policy: Policy) throws(ReloadError) -> FreshListeners {
    let agents = configuration.listeningAgents(of: policy)
    let wanted = ListenerSet.wanted(configuration, agents: agents)
    let wantedNames = NameListenerSet.wanted(configuration, agents: agents)
    do throws(ListenError) {
      let proxies = try listeners.bindMissing(of: wanted)
      do throws(ListenError) {
        return FreshListeners(
          proxies: proxies, names: try names.bindMissing(of: wantedNames), wanted: wanted,
          wantedNames: wantedNames)
      } catch {
        for listener in proxies.values { listener.close() }
        throw error
      }
    } catch {
      throw ReloadError(problems: ["\(error)"])
    }
  }

  /// Takes what was bound for its own, and closes what is not wanted any more.
  private func take(over fresh: FreshListeners) {
    listeners.adopt(fresh.proxies, wanted: fresh.wanted)
    adoptNames(fresh.names, wanted: fresh.wantedNames)
  }
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

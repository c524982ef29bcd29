import Addressing
import Approvals
import Audit
import Dispatch
import EventLoop
import Policy

/// What one event loop holds of the gate: the policy it judges by, its
/// resolver, its live flows, and the requests that wait for the log.
///
/// `@unchecked Sendable`: a shard is made on the main thread and from then on
/// touched on its loop alone; `precondition`s at its entry points hold that.
final class Shard: @unchecked Sendable {
  let loop: EventLoop
  let log: AuditLog
  let resolver: Resolver
  let commons: ShardCommons
  let admission: Admittance
  /// The name service, on the loop that has it.
  var names: NameDesk?
  private(set) var snapshot: PolicySnapshot
  private(set) var flows = FlowRegistry()
  var counters = ShardCounters()
  /// The connections that wait for a person, by their numbers.
  private var held: [UInt64: ApproachDriver] = [:]
  private var hasRecorded = false
  /// The first record of the turn; what waits for the turn waits for all from there.
  private var firstMark = AppendMark.nothing
  /// The turn's allows; they count once they are written, for only then they pass.
  private var allowed: [ShardCounters.Verdict] = []
  private var awaitingCommit: [(Bool) -> Void] = []
  /// Up to when it was looked which rules have expired, by the rules' clock.
  private var expiryLookedAt: Timestamp
  private var lastFlowID: UInt64
  private let flowIDStride: UInt64

  init(
    loop: EventLoop, number: Int, of count: Int, log: AuditLog, resolver: Resolver, commons: ShardCommons,
    admission: Admittance, snapshot: PolicySnapshot
  ) {
    self.loop = loop
    self.log = log
    self.resolver = resolver
    self.commons = commons
    self.admission = admission
    self.snapshot = snapshot
    expiryLookedAt = snapshot.clock.now().rules
    lastFlowID = UInt64(number)
    flowIDStride = UInt64(count)
    loop.sync { loop.onTurnEnd { [unowned self] in settle() } }
  }

  /// The next flow id; loops never share one.
  func nextFlowID() -> UInt64 {
    lastFlowID += flowIDStride
    return lastFlowID
  }

  /// Puts a record into the log; it is the kernel's at the end of the turn.
  func record(_ record: Record) {
    if let verdict = record.allowed { allowed.append(verdict) } else { counters.count(record) }
    firstMark = min(firstMark, log.append(record))
    hasRecorded = true
  }

  /// Runs `work` once everything recorded so far is in the kernel's hands, or
  /// with false when it cannot be: then nothing new may go out.
  func afterCommit(_ work: @escaping (Bool) -> Void) {
    awaitingCommit.append(work)
  }

  /// Writes the turn's records in one call, then lets the requests behind them
  /// go on; those may record more.
  private func settle() {
    while hasRecorded {
      hasRecorded = false
      let mark = firstMark
      firstMark = .nothing
      let waiting = awaitingCommit
      awaitingCommit = []
      let start = MonotonicTime.now()
      let written = log.commit(since: mark)
      counters.committing.add(MonotonicTime.now() - start)
      if written { counters.countAllowed(allowed) }
      allowed.removeAll(keepingCapacity: true)
      for work in waiting { work(written) }
    }
  }

  func countAccepted() { counters.countAccepted() }
  func insert(_ flow: LiveFlow) { flows.insert(flow) }
  func remove(_ flow: LiveFlow) { flows.remove(flow) }

  /// Puts a new snapshot in force and ends the flows it does not let stand.
  ///
  /// - Returns: The number of flows that were ended.
  func adopt(_ snapshot: PolicySnapshot) -> Int {
    names?.service.forget()
    let strangers = snapshot.directory.strangers(since: self.snapshot.directory)
    self.snapshot = snapshot
    expiryLookedAt = snapshot.clock.now().rules
    let outdated = flows.outdated(under: snapshot, strangers: strangers, at: snapshot.clock.now().rules)
    for (flow, reason) in outdated { flow.revoke(reason) }
    for driver in held.values { driver.reconsider() }
    return outdated.count
  }

  /// Ends the flows that passed by these approvals, which were taken back.
  func endApproved(by ids: Set<String>) -> Int {
    let flows = flows.approved(by: ids)
    for flow in flows { flow.revoke(.revoked) }
    return flows.count
  }

  /// Ends the flows that passed by an approval whose time is over.
  func endOverdue() {
    for flow in flows.overdue(at: commons.approvals.now) { flow.revoke(.expired) }
  }

  /// Ends the flows whose rule has expired, and forgets the answers that were
  /// given under rules that have; called each second.
  func endExpired() {
    let now = snapshot.clock.now().rules
    for flow in flows.expired(at: now) { flow.revoke(.expired) }
    if snapshot.policy.rules.contains(where: { $0.expires.map { expiryLookedAt < $0 && $0 <= now } ?? false })
    {
      names?.service.forget()
    }
    expiryLookedAt = now
  }

  /// Closes the connections on which nothing is asked: the gate is stopping.
  func endIdle() {
    for flow in flows.flows where flow.isIdle { flow.stop() }
  }

  /// Ends everything: the gate is stopping.
  func endAll() {
    for flow in flows.flows { flow.stop() }
    names?.finish()
    loop.shutdown()
  }
}

// MARK: - Waiting for people

extension Shard {
  func hold(_ driver: ApproachDriver, as waiter: UInt64) { held[waiter] = driver }
  func release(_ waiter: UInt64) { held[waiter] = nil }

  /// Somebody was found behind a connection, if it is still held.
  func noteProgram(_ program: Program, of waiter: UInt64) { held[waiter]?.note(program) }

  /// A held connection has its answer, if it is still there.
  func tellHeld(_ waiter: UInt64) { held[waiter]?.takeVerdict() }
}

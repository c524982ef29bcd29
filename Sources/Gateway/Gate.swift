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

/// The running gate: the loops, what they listen on, and the policy in force.
///
/// `@unchecked Sendable`: every stored `var` is touched on `queue` alone, and
/// `dispatchPrecondition` at the entry points holds that.
public final class Gate: @unchecked Sendable {
  let configuration: GateConfiguration
  let queue = DispatchQueue(label: "exitgate.control")
  /// Where policies are read: nothing in force waits for it.
  let readQueue = DispatchQueue(label: "exitgate.read")
  let words: Logger
  let log: AuditLog
  let shards: [Shard]
  let admission: Admittance
  /// Who asks people for what: where channels attach.
  public let approvals: ApprovalDesk
  let routes: UpstreamRoutes
  let nameSettings: NameSettings
  let startedAt = MonotonicTime.now()
  var listeners: ListenerSet
  var names: NameListenerSet
  var captures: CaptureListenerSet
  var snapshot: PolicySnapshot
  /// What changes it, and the kernel's table.
  var order = FenceOrder()
  /// How often what was answered for good has changed.
  var overlayEdits: UInt64 = 0
  var policyStatus: PolicyStatus
  var controlSocket: ControlSocket?
  let door = ReviewerDoor()
  let followers = Followers()
  let refusals = Mutex(RefusalRate())
  let metrics: PageServer?
  let callbacks: PageServer?
  var ticker: (any DispatchSourceTimer)?
  var gauges: [ListenAddress: ListenerGauge] = [:]
  var captureGauges: [CaptureSettings: ListenerGauge] = [:]
  var isDraining = false
  /// How the kernel's table was last; nil before anybody said, and without one.
  var fenceState: FenceState?
  /// Whether it did not follow the end of audit mode, and is to be told again.
  var isTableBehind = false
  /// What became of the links that agents are behind, where it is known.
  var linkStates: [FencedLink: FencedLink.State] = [:]
  /// What the kernel's table held back, against what was heard of it.
  var losses = PacketLosses()
  /// Whether packets are recorded one by one; at the end their number is.
  var isHearing = true
  /// The number of the last packet that was recorded; no connection gets so far.
  var lastPacket: UInt64 = 1 << 62

  init(
    _ parts: StartParts, _ bound: BoundListeners, _ marks: RuleMarks, log: AuditLog, words: Logger
  ) throws(StartError) {
    configuration = parts.configuration
    routes = parts.routes
    nameSettings = parts.names
    (listeners, names, captures) = (bound.listeners, bound.names, bound.captures)
    (metrics, callbacks) = (bound.metrics, bound.callbacks)
    self.words = words
    self.log = log
    let policy = parts.loaded.policy
    snapshot = PolicySnapshot(
      policy: policy, floor: parts.floor(bound.endpoints),
      directory: listeners.directory(of: policy.agents, sole: parts.configuration.soleAgent), marks: marks)
    policyStatus = PolicyStatus(
      path: parts.configuration.policyPath, mode: policy.mode, generation: policy.generation,
      loadedAt: .now(), auditUntil: policy.auditUntil, rules: policy.rules.count)
    approvals = ApprovalDesk(
      generation: policy.generation, hold: parts.configuration.hold,
      standing: parts.standing,
      program: parts.configuration.program)
    admission = Admittance(capacity: parts.descriptors.connections)
    shards = try Self.makeShards(
      parts, snapshot: snapshot, log: log, admission: admission, approvals: approvals,
      episodes: UpstreamEpisodes(words))
  }

  private static func makeShards(
    _ parts: StartParts, snapshot: PolicySnapshot, log: AuditLog, admission: Admittance,
    approvals: ApprovalDesk, episodes: UpstreamEpisodes
  ) throws(StartError) -> [Shard] {
    let common = ShardCommons(pool: parts.pool, approvals: approvals, witness: parts.configuration.witness)
    var shards: [Shard] = []
    for number in 0..<parts.loopCount {
      let loop: EventLoop
      do { loop = try EventLoop(label: "exitgate.loop.\(number)") } catch {
        throw .host("cannot make an event loop: \(error). Raise the limit of open files (ulimit -n).")
      }
      loop.sync { loop.descriptorCeiling = Int32(clamping: parts.descriptors.ceiling) }
      shards.append(
        Shard(
          loop: loop, number: number, of: parts.loopCount, log: log,
          resolver: Resolver(loop: loop, configuration: parts.resolver, notice: episodes.note),
          commons: common, admission: admission,
          snapshot: snapshot))
    }
    return shards
  }

  /// Runs `work` with each shard on its loop, then `completion` on the gate's queue.
  func onEveryShard(
    _ work: @escaping @Sendable (Shard) -> Void, then completion: @escaping @Sendable () -> Void
  ) {
    let group = DispatchGroup()
    for shard in shards {
      group.enter()
      shard.loop.submit {
        work(shard)
        group.leave()
      }
    }
    group.notify(queue: queue, execute: completion)
  }
}

// MARK: - Accept

extension Gate {
  /// Accepts on `listener` from now on.
  func open(_ listener: Listener, at address: ListenAddress) {
    let entrance = Entrance(address)
    gauges[address] = open(listener, named: "\(address)") { channel, shard in
      ClientConnection(channel, through: entrance, shard: shard).start()
    }
  }

  /// Accepts captured connections from now on.
  func openCaptures() {
    for (settings, listener) in captures.bound {
      captureGauges[settings] = open(listener, named: "\(settings)") { channel, shard in
        CapturedConnection(channel, by: settings, shard: shard).start()
      }
    }
  }

  private func open(
    _ listener: Listener, named name: String, take: @escaping @Sendable (Channel, Shard) -> Void
  ) -> ListenerGauge {
    let byLoop = Dictionary(uniqueKeysWithValues: shards.map { (ObjectIdentifier($0.loop), $0) })
    let words = words
    let gauge = ListenerGauge()
    listener.start(
      on: shards.map(\.loop),
      accept: { channel in
        gauge.countAccepted()
        guard let shard = byLoop[ObjectIdentifier(channel.eventLoop)] else { return channel.close() }
        take(channel, shard)
      },
      notice: { notice in
        gauge.note(notice)
        words.warning("\(name): \(notice)")
      })
    return gauge
  }

  /// What happens each second: roll-ups, expired rules, the floor's addresses.
  func startTicking() {
    let timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now() + 1, repeating: 1, leeway: .milliseconds(100))
    timer.setEventHandler { [unowned self] in tick() }
    timer.activate()
    ticker = timer
  }

  private func tick() {
    log.tick(.now())
    tellRefusals()
    followers.beat(at: .now(), door)
    tellLosses()
    lookAtLinks()
    endOverdue()
    endAudit()
    enforceAgain()
    _ = log.commit()
    if snapshot.policy.rules.contains(where: { $0.expires != nil }) {
      for shard in shards { shard.loop.submit { shard.endExpired() } }
      endExpiredMarks()
    }
    if !names.bound.isEmpty { shards[0].loop.submit { [shard = shards[0]] in shard.names?.service.tell() } }
    refreshFloor()
  }

  /// Follows addresses that come and go; a dial to one that was missed is
  /// still caught by its own two ends being equal.
  private func refreshFloor() {
    let addresses = localAddresses()
    guard addresses != snapshot.floor.localAddresses else { return }
    var floor = snapshot.floor
    floor.localAddresses = addresses
    publish(snapshot.replacingFloor(floor)) { _ in }
  }

  /// Puts `next` in force on every loop; answers how many flows that ended. Whoever
  /// was stopped while it was made is stopped under it as well.
  func publish(_ next: PolicySnapshot, then completion: @escaping @Sendable (Int) -> Void) {
    let stop = snapshot.policy.stop
    let next = next.policy.stop == stop ? next : next.replacingPolicy(next.policy.under(stop))
    snapshot = next
    let ended = Tally()
    onEveryShard { shard in
      ended.add(shard.adopt(next))
    } then: {
      completion(ended.value)
    }
  }
}

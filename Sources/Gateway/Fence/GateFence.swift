import Addressing
import Audit
import Control
import Dispatch
import EventLoop
import Firewall
import Keeper
import Logging
import Policy
import PolicyFile

extension StartParts {
  /// Puts the kernel's table in force for the policy, where there is to be one.
  ///
  /// - Returns: The numbers of the rules in it.
  func installFence() throws(StartError) -> RuleMarks {
    var marks = RuleMarks(after: .random(in: RuleMarks.own...UInt32.max / 2))
    guard let fence = configuration.fence else { return marks }
    _ = marks.adopt(loaded.policy, agents: configuration.fencedAgents, at: .now())
    guard
      let rules = FenceRules(
        loaded.policy, marks, pool, configuration.fencedAgents, resolvers: routes.endpoints, at: .now())
    else {
      throw .configuration("a table in the kernel needs synthetic answers. Leave out what turns them off.")
    }
    do { try fence.install(rules) } catch { throw .host("the kernel's table is not in force: \(error)") }
    return marks
  }
}

extension FenceRules {
  /// What a policy lets pass as datagrams, in the kernel's terms.
  ///
  /// - Returns: nil without a pool: then nothing could be captured by name.
  init?(
    _ policy: Policy, _ marks: RuleMarks, _ pool: SyntheticPool?, _ agents: [AgentName],
    resolvers: Set<Endpoint> = [], at now: Timestamp
  ) {
    guard let pool else { return nil }
    let grants = agents.map { agent in
      policy.datagramGrants(agent: agent, at: now).map { grant in
        UDPGrant(
          grant.prefix, ports: grant.ports.lower.number...grant.ports.upper.number,
          // A rule without a number has just run out.
          (grant.opens ? marks.mark(of: grant.rule) : nil).map { .allow(mark: $0) } ?? .deny,
          allowsPrivate: grant.rule.allowPrivate)
      }
    }
    self.init(
      marks: marks.live, grants: grants, synthetic4: pool.v4, synthetic6: pool.v6,
      resolvers: resolvers.sorted { $0.description < $1.description },
      // Audit mode opens the table as a whole, so nobody's is open while anybody is stopped.
      isAudit: policy.mode == .audit && !policy.stop.isGiven,
      isStopped: !agents.isEmpty && agents.allSatisfy(policy.stop.covers))
  }
}

/// What the kernel would be told of a policy, without telling it.
public enum KernelPreview {
  /// The rules of a policy for these agents; the IPv6 block that stands for names is fd00::/48.
  public static func rules(of policy: Policy, agents: [AgentName]) -> FenceRules? {
    var marks = RuleMarks()
    _ = marks.adopt(policy, agents: agents, at: .now())
    let pool = SyntheticPool(v6: IPPrefix(.v6(high: 0xfd << 56, low: 0), length: 48))
    return FenceRules(policy, marks, pool, agents, at: .now())
  }
}

// MARK: - Changes

extension Gate {
  var fenceTime: Timestamp { snapshot.clock.now().rules }

  /// The numbers of the rules of a policy that is to come into force.
  ///
  /// - Returns: Those whose flows are to end as well.
  func nextMarks(under policy: Policy, after marks: RuleMarks) throws(ReloadError) -> (
    RuleMarks, revoked: Set<UInt32>
  ) {
    var marks = marks
    guard configuration.fence != nil else { return (marks, []) }
    guard let change = marks.adopt(policy, agents: configuration.fencedAgents, at: .now()) else {
      throw ReloadError(problems: [Self.usedUp.description])
    }
    return (marks, change.revoked)
  }

  private static let usedUp = FenceError("the numbers of rules are used up. Start the gate anew.")

  /// What the kernel's table is to hold of a policy; nil without one.
  func fenceRules(of policy: Policy, _ marks: RuleMarks, at now: Timestamp) -> FenceRules? {
    guard configuration.fence != nil else { return nil }
    return FenceRules(
      policy, marks, nameSettings.pool, configuration.fencedAgents, resolvers: routes.endpoints, at: now)
  }

  /// Has the kernel hold what a policy says, then goes on with nil on the gate's
  /// queue, or with why it does not. Part of a step in order.
  func replaceFence(
    _ rules: FenceRules?, _ marks: RuleMarks, revoking revoked: Set<UInt32>,
    then completion: @escaping @Sendable (FenceError?) -> Void
  ) {
    guard let fence = configuration.fence, let rules else { return completion(nil) }
    fence.replace(rules, revoked: revoked) { [self] failure in
      queue.async { [self] in
        // The table may have them all the same, so none of these numbers is given to another rule.
        if failure != nil { snapshot = snapshot.replacingMarks(snapshot.marks.passing(marks)) }
        completion(failure)
      }
    }
  }

  /// Has the kernel's table follow what is in force, and the loops with it, then goes on on the gate's queue once
  /// every loop has heard of all that was published before. Part of a step in order.
  ///
  /// - Parameter stop: Whose flows end, though he may go on by now.
  func followFence(
    cutting stop: StopOrder = StopOrder(), then completion: @escaping @Sendable (FenceError?) -> Void
  ) {
    guard configuration.fence != nil else { return onEveryShard({ _ in }, then: { completion(nil) }) }
    let policy = snapshot.policy, agents = configuration.fencedAgents, now = fenceTime
    var marks = snapshot.marks
    let isStopped =
      !stop.isGiven || marks.adopt(policy.under(policy.stop.and(stop)), agents: agents, at: now) != nil
    guard isStopped, marks.adopt(policy, agents: agents, at: now) != nil else {
      return completion(Self.usedUp)
    }
    let revoked = snapshot.marks.live.subtracting(marks.live)
    let rules = fenceRules(of: policy, marks, at: now)
    replaceFence(rules, marks, revoking: revoked) { [self, marks] failure in
      guard failure == nil else { return completion(failure) }
      publish(snapshot.replacingMarks(marks)) { _ in completion(nil) }
    }
  }

  /// Ends the flows of rules that have run out; called each second.
  func endExpiredMarks() {
    guard configuration.fence != nil, order.isIdle else { return }
    var marks = snapshot.marks
    guard let change = marks.adopt(snapshot.policy, agents: configuration.fencedAgents, at: fenceTime),
      !change.isEmpty
    else { return }
    inOrder { [self] done in
      followFence { [self] failure in
        if let failure { words.error("rules that have run out are still in the kernel's table: \(failure)") }
        done()
      }
    }
  }
}

// MARK: - Notices

extension Gate {
  /// Hears of the fence from now on.
  func startFence() {
    configuration.fence?.start { [weak self] notice in
      guard let self else { return }
      queue.async { self.hear(notice) }
    }
  }

  /// What `status` shows of it; a table that nobody could ask about is none.
  var fenceStatus: FenceStatus? {
    guard configuration.fence != nil else { return nil }
    let state = fenceState ?? .unknown
    return FenceStatus(
      mode: configuration.runMode.rawValue, links: linkStatuses, isInForce: state.isInForce,
      isOwned: state.isOwned, exemption: configuration.exemption.words,
      isWeak: configuration.exemption.isWeak, denied: state.denied, frames: state.frames,
      learned: UInt64(state.learned), audited: state.audited, canary: state.canary.status,
      isKept: fenceState != nil, unguarded: state.unguarded)
  }

  private func hear(_ notice: FenceNotice) {
    switch notice {
    case .denied(let packets):
      for packet in packets {
        if let kind = packet.heldback {
          guard isHearing else {
            losses.miss(kind)
            continue
          }
          losses.hear(kind)
        }
        log.append(.decision(record(of: packet)))
      }
      _ = log.commit()
    case .changed(let what): alarm("somebody else has changed \(what)")
    case .canary(let state): hear(state)
    case .linkLost(let index, let loss): lose(index, loss)
    case .silent(let isSilent): alarm(isSilent ? FenceWords.silent : FenceWords.answering)
    case .device(let name, let isGuarded): tell(of: name, isGuarded)
    case .ended: endWithoutFence()
    }
  }

  private func hear(_ state: CanaryState) {
    fenceState?.canary = state
    switch state {
    case .missed:
      alarm(
        "NOT ENFORCING: the kernel's table did not count a packet that it has to deny; something decides before "
          + "it. See what does with 'nft list ruleset'")
    case .counted: alarm("the kernel's table counts the packets that it has to deny again")
    case .unsent: alarm("the kernel's table cannot be proved: no device takes a packet")
    case .impossible: break
    }
  }

  /// Says of a device that came after the start whether frames beside the IP stack are stopped on it.
  private func tell(of device: String, _ isGuarded: Bool) {
    guard isGuarded else {
      return alarm("the device \(device) came, and frames beside the IP stack are NOT stopped on it")
    }
    let what = "the device \(device) came; frames beside the IP stack are stopped on it"
    words.notice("\(what)")
    log.append(.lifecycle(LifecycleRecord(time: .now(), event: .notice, detail: what)))
    _ = log.commit()
  }

  /// What cannot be trusted is said everywhere, and what was learned is learned anew.
  func alarm(_ what: String) {
    words.error("\(what)")
    log.append(.lifecycle(LifecycleRecord(time: .now(), event: .notice, detail: what)))
    _ = log.commit()
    onEveryShard {
      $0.names?.service.forget()
    } then: {
    }
  }

  /// Without the keeper no rule can be taken back, so the gate ends. The table stays, and is closed.
  private func endWithoutFence() {
    guard !isDraining else { return }
    alarm(
      "the process that keeps the kernel's table is gone or hangs; the gate ends, and the table stays closed")
    configuration.onFenceEnd()
  }

  /// Records once a second what was held back and not heard of.
  func tellLosses() { countLosses {} }

  /// Compares what the kernel has counted with what was heard, then goes on, on the gate's queue.
  func countLosses(then completion: @escaping @Sendable () -> Void) {
    takeCount({ counts in counts.map { self.losses.count($0) } ?? [] }, then: completion)
  }

  /// Tells of all that was lost so far, once the last samples have had time to come. What comes behind them is a number
  /// in the last count, so that it is not taken for one of those that the count has.
  func countLastLosses(then completion: @escaping @Sendable () -> Void) {
    guard let fence = configuration.fence else { return completion() }
    countLosses { [self] in
      queue.asyncAfter(deadline: .now() + fence.sampleDelay) { [self] in
        isHearing = false
        takeCount({ self.losses.countLast($0) }, then: completion)
      }
    }
  }

  /// Records what `compare` makes of the kernel's count.
  private func takeCount(
    _ compare: @escaping @Sendable ([Heldback: UInt64]?) -> [(Heldback, UInt64)],
    then completion: @escaping @Sendable () -> Void
  ) {
    guard let fence = configuration.fence else { return completion() }
    fence.count { [self] counts in
      queue.async { [self] in
        for (kind, lost) in compare(counts) {
          log.append(.lifecycle(.losses(lost, kind, of: agent(of: kind))))
        }
        _ = log.commit()
        completion()
      }
    }
  }

  private func agent(of kind: Heldback) -> AgentName? {
    let agents = configuration.fencedAgents
    guard let number = kind.agent else { return agents.count == 1 && kind.isAgents ? agents.first : nil }
    return agents.indices.contains(number) ? agents[number] : nil
  }

  private func record(of packet: LoggedPacket) -> DecisionRecord {
    let header = packet.header
    lastPacket += 1
    var record = DecisionRecord(
      time: .now(), flow: lastPacket,
      agent: packet.heldback.flatMap { agent(of: $0) } ?? configuration.agent(behind: packet.inInterface),
      client: header.map(\.client) ?? "", destination: header.flatMap(\.destinationOfRules), layer: .kernel,
      verdict: packet.hasPassed ? .allow : .deny, wouldDeny: packet.hasPassed, reason: .noRule,
      generation: snapshot.generation, address: header?.destination)
    record.detail = header?.transportWord
    if let reason = packet.heldback?.cause.reason {
      record.reason = reason
      return record
    }
    // The kernel has denied it, or would have; why, the policy says. What it would allow was no flow any more.
    if let destination = record.destination {
      let decision = snapshot.policy.decide(
        destination, agent: record.agent, floor: snapshot.floor, at: fenceTime)
      if decision.answer != .allow { (record.reason, record.rule) = (decision.reason, decision.rule?.id) }
    }
    return record
  }
}

extension CanaryState {
  fileprivate var status: FenceStatus.Canary {
    switch self {
    case .counted: .counted
    case .missed: .missed
    case .unsent: .unsent
    case .impossible: .impossible
    }
  }
}

extension LoggedPacket.Header {
  fileprivate var client: String {
    guard let port = ports.flatMap({ Port($0.source) }) else { return "\(source)" }
    return Endpoint(source, port).description
  }

  /// Where it went, in the policy's words; nil for protocols that no rule speaks of.
  fileprivate var destinationOfRules: Destination? {
    guard let port = ports.flatMap({ Port($0.destination) }) else { return nil }
    return switch transport {
    case 6: Destination(.address(destination), port, .tcp)
    case 17: Destination(.address(destination), port, .udp)
    default: nil
    }
  }

  /// What it was, where that is no destination of rules.
  fileprivate var transportWord: String? {
    guard destinationOfRules == nil else { return nil }
    if let icmp { return "icmp type \(icmp.type) code \(icmp.code)" }
    return "ip protocol \(transport)"
  }
}

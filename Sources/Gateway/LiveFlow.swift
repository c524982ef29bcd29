import Approvals
import Policy

/// Something that lives by a decision of the policy: a tunnel, or a request
/// under way. A loop keeps all of its own, so that a reload and the clock can
/// end those whose rule is gone.
class LiveFlow {
  /// Where the registry holds it; the registry alone writes this.
  fileprivate(set) var position = -1

  /// The flow as it was last judged; nil before the first decision.
  var flow: Flow? { nil }

  /// Ends it; the record says why.
  func revoke(_ reason: Reason) {}

  /// Ends it because the gate stops.
  func stop() {}

  /// Whether it waits for a person: nothing has been let through yet.
  var isHeld: Bool { false }

  /// Another policy is in force; called where it is held.
  func reconsider() {}

  /// Whether it is a connection that waits for a request.
  var isIdle: Bool { false }
}

/// The live flows of one loop.
struct FlowRegistry {
  private(set) var flows: [LiveFlow] = []

  mutating func insert(_ flow: LiveFlow) {
    flow.position = flows.count
    flows.append(flow)
  }

  /// Removes `flow` in constant time: the last one takes its place.
  mutating func remove(_ flow: LiveFlow) {
    guard flows.indices.contains(flow.position), flows[flow.position] === flow else { return }
    let last = flows.removeLast()
    if last !== flow {
      flows[flow.position] = last
      last.position = flow.position
    }
    flow.position = -1
  }

  /// The flows that the snapshot no longer lets stand, each with the reason.
  ///
  /// - Parameter strangers: The agents that are not who they were.
  func outdated(under snapshot: PolicySnapshot, strangers: Set<AgentName> = [], at now: Timestamp)
    -> [(LiveFlow, Reason)]
  {
    flows.compactMap { live in
      guard let flow = live.flow else { return nil }
      if strangers.contains(flow.origin.agent) { return (live, .revoked) }
      if snapshot.policy.stop.covers(flow.origin.agent) { return (live, .stopped) }
      if live.isHeld { return nil }
      return snapshot.objection(to: flow, at: now).map { (live, $0) }
    }
  }

  /// The flows that passed by an approval which has run out, on the clock of approvals.
  func overdue(at now: Timestamp) -> [LiveFlow] {
    flows.filter { $0.flow?.approval?.expires.map { $0 <= now } ?? false }
  }

  /// The flows that passed by any of these approvals.
  func approved(by ids: Set<String>) -> [LiveFlow] {
    flows.filter { $0.flow?.approval.map { ids.contains($0.id) } ?? false }
  }

  /// The flows whose rule has expired by now, on the rules' clock.
  func expired(at now: Timestamp) -> [LiveFlow] {
    flows.filter { live in live.flow?.decision.rule?.expires.map { $0 <= now } ?? false }
  }
}

extension PolicySnapshot {
  /// Why a flow may not go on under this snapshot; nil when it may.
  func objection(to flow: Flow, at now: Timestamp) -> Reason? {
    if policy.mode == .enforce, flow.objection != nil { return .revoked }
    let rule = flow.decision.answer == .allow ? flow.decision.rule : nil
    let stands = policy.stillStands(
      rule, isApproved: flow.approval != nil, for: flow.destination, agent: flow.origin.agent, floor: floor,
      at: now)
    return stands ? nil : .revoked
  }
}

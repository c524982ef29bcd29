import Audit
import Control
import Dispatch
import EventLoop
import Logging
import Policy
import PolicyFile

extension GateConfiguration {
  /// Where an order to stop outlives the gate; nil for a single command, which ends with its gate.
  var stopFile: StopFile? { runMode == .run ? nil : StopFile(ofLog: auditLogPath) }
}

// MARK: - Stop, and go on

extension Gate {
  /// Cuts every flow of one agent, or of all, and denies it everything from now on.
  ///
  /// The loops hear of it first: what is relayed ends at once, whatever the log,
  /// the disk and the kernel's table do next.
  func stop(_ agent: AgentName?, by peer: PeerCredentials, reply: ControlAnswer) {
    queue.async { [self] in
      var order = snapshot.policy.stop
      if let agent {
        guard isKnown(agent) else { return refuse("stop-all", agent, by: peer, unknown(agent), reply) }
        order.agents.insert(agent)
      } else {
        order.everybody = true
      }
      carryOut(order, "stop-all", agent, by: peer, reply: reply)
    }
  }

  /// Takes the order back, for one agent or for all.
  func resume(_ agent: AgentName?, by peer: PeerCredentials, reply: ControlAnswer) {
    queue.async { [self] in
      var order = snapshot.policy.stop
      if let agent {
        guard !order.everybody else {
          return refuse(
            "resume", agent, by: peer, "everybody is stopped, not \(agent) alone; resume without --agent",
            reply)
        }
        guard order.agents.remove(agent) != nil else {
          return refuse("resume", agent, by: peer, "the agent \(agent) is not stopped", reply)
        }
      } else {
        order = StopOrder()
      }
      carryOut(order, "resume", agent, by: peer, reply: reply)
    }
  }

  private func isKnown(_ agent: AgentName) -> Bool {
    agent == .default || snapshot.policy.agents.contains { $0.name == agent }
      || configuration.fencedAgents.contains(agent)
  }

  private func unknown(_ agent: AgentName) -> String {
    let names = Set(snapshot.policy.agents.map(\.name) + configuration.fencedAgents).map(\.text).sorted()
    return "there is no agent \(agent)"
      + (names.isEmpty ? "; leave --agent out" : "; there are \(names.prefix(16).joined(separator: ", "))")
  }

  private func refuse(
    _ operation: String, _ agent: AgentName, by peer: PeerCredentials, _ why: String, _ reply: ControlAnswer
  ) {
    record(operation, agent, by: peer, refusal: why)
    reply(.refused(why))
  }

  private func record(
    _ operation: String, _ agent: AgentName?, by peer: PeerCredentials, refusal: String? = nil
  ) {
    log.append(
      .control(
        ControlRecord(
          time: .now(), processID: peer.pid, userID: peer.uid, operation: operation,
          subject: agent?.text ?? "everybody", refusal: refusal)))
    _ = log.commit()
  }

  private func carryOut(
    _ order: StopOrder, _ operation: String, _ agent: AgentName?, by peer: PeerCredentials,
    reply: ControlAnswer
  ) {
    dispatchPrecondition(condition: .onQueue(queue))
    var marks = snapshot.marks
    let policy = snapshot.policy.under(order)
    let change = marks.adopt(policy, agents: configuration.fencedAgents, at: fenceTime)
    snapshot = snapshot.replacingPolicy(policy, marks)
    publish(snapshot) { [self] closed in
      words.warning("\(order.words); connections cut: \(closed)")
      let unkept =
        keep(order) + (log.isAvailable ? [] : ["it is not recorded: the audit log cannot be written"])
      replaceFence(snapshot, revoking: change?.revoked ?? []) { [self] failure in
        let warnings =
          unkept
          + (failure.map { ["the kernel's table did not follow: \($0); end the gate, which closes it"] } ?? [])
        for warning in warnings { alarm(warning) }
        reply(.stopped(StopReport(order: order, closed: closed, warnings: warnings)))
      }
    }
    record(operation, agent, by: peer)
  }

  /// Has the order outlive the gate; answers what did not become of it.
  private func keep(_ order: StopOrder) -> [String] {
    guard let file = configuration.stopFile else { return [] }
    do { try file.write(order) } catch { return ["at the next start it is as it was before: \(error)"] }
    return []
  }
}

extension StopOrder {
  /// Who is stopped.
  var words: String {
    if everybody { return "STOPPED by order: everybody; 'exitgate resume' takes it back" }
    guard isGiven else { return "nobody is stopped any more" }
    return "STOPPED by order: \(agents.map(\.text).sorted().joined(separator: ", ")); "
      + "'exitgate resume' takes it back"
  }
}

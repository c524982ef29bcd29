import Addressing
import Audit
import Control
import Crypto
import Dispatch
import EventLoop
import Keeper
import Logging
import Policy
import PolicyFile

extension GateConfiguration {
  /// Where an order to stop outlives the gate; nil for a single command, which ends with its gate.
  var stopFile: StopFile? { runMode == .run ? nil : StopFile(ofLog: auditLogPath) }

  /// By what agents are told apart under a policy: a name alone may be another's tomorrow.
  func identity(of policy: Policy) -> String {
    let agents = policy.agents.map { agent in
      let token = agent.tokenSHA256.map { "\($0)" } ?? "-"
      return "\(agent.name) \(agent.listen?.description ?? "-") \(agent.dns?.description ?? "-") \(token)"
    }
    let links = fencedLinks.map { "\($0.agent) by \($0.name)" }
    let digest = SHA256.hash(data: Array((agents + links).sorted().joined(separator: "\n").utf8))
    return digest.prefix(16).map { String($0, radix: 16) }.joined(separator: "-")
  }
}

// MARK: - Who is who

extension Gate {
  /// Why a policy would let go whom a person has stopped by name: it tells agents apart otherwise.
  func escape(under next: Policy) -> String? {
    let stop = snapshot.policy.stop
    guard !stop.everybody, !stop.agents.isEmpty, Set(next.agents) != Set(snapshot.policy.agents) else {
      return nil
    }
    let names = stop.agents.map(\.text).sorted().joined(separator: ", ")
    return
      "\(names) is stopped by name, and this policy tells agents apart otherwise. Run 'exitgate resume' or, "
      + "for everybody, 'exitgate stop-all' first, then reload."
  }
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
    snapshot = snapshot.replacingPolicy(snapshot.policy.under(order))
    publish(snapshot) { [self] closed in
      // Whoever asked while the loops heard of it is not asked about either.
      wake(approvals.stop(order))
      words.warning("\(order.words); connections cut: \(closed)")
      let unkept = [
        keep(snapshot.policy.stop),
        log.isAvailable ? nil : "it is not recorded: the audit log cannot be written",
      ].compactMap(\.self)
      inOrder(isUrgent: true) { [self] done in
        followFence(cutting: order) { [self] failure in
          let warnings = unkept + (failure.map { [Self.unfollowed($0)] } ?? [])
          for warning in warnings { alarm(warning) }
          reply(.stopped(StopReport(order: order, closed: closed, warnings: warnings)))
          done()
        }
      }
    }
    wake(approvals.stop(order))
    record(operation, agent, by: peer)
  }

  private static func unfollowed(_ failure: FenceError) -> String {
    "the kernel's table did not follow: \(failure); end the gate, which closes it"
  }

  /// Has the order outlive the gate; answers what did not become of it.
  private func keep(_ order: StopOrder) -> String? {
    do { try configuration.stopFile?.write(order, of: configuration.identity(of: snapshot.policy)) } catch {
      return "at the next start it is as it was before: \(error)"
    }
    return nil
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

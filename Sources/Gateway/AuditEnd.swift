import Audit
import Control
import Dispatch
import Logging
import Policy

// MARK: - The end of audit mode

extension Gate {
  /// Carries out what was only watched until now, when its time is over; called each second.
  ///
  /// The loops hear of it first, whatever is being reloaded and whatever the kernel's table does next. The rules'
  /// clock counts, so that setting the time of day back prolongs nothing.
  func endAudit() {
    dispatchPrecondition(condition: .onQueue(queue))
    var policy = snapshot.policy
    guard policy.endAudit(at: fenceTime) else { return }
    policy.generation += 1
    (policyStatus.mode, policyStatus.generation, policyStatus.loadedAt) = (
      .enforce, policy.generation, .now()
    )
    putInForce(snapshot.replacingPolicy(policy)) { [words] closed in
      words.warning("audit mode is over: the policy is ENFORCED; connections closed: \(closed)")
    }
    enforceInTable()
    let detail = "audit mode ended at \(policy.auditUntil.map { "\($0)" } ?? "its time"), as the policy says"
    log.append(
      .lifecycle(LifecycleRecord(time: .now(), event: .notice, detail: detail, reason: "audit-ended")))
    log.append(policyRecord(.loaded, nil))
  }

  /// Has the kernel's table deny what audit mode let pass, once what is under way is done; until it does.
  func enforceInTable() {
    guard configuration.fence != nil else { return }
    inOrder(isUrgent: true) { [self] done in
      followFence { [self] failure in
        if let failure, !isTableBehind {
          alarm("NOT ENFORCING: the kernel's table did not follow: \(failure); end the gate, which closes it")
        }
        isTableBehind = failure != nil
        done()
      }
    }
  }

  /// Tells a table again that did not follow the end of audit mode; called each second.
  func enforceAgain() {
    guard isTableBehind, order.isIdle else { return }
    enforceInTable()
  }
}

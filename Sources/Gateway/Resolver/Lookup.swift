import Addressing
import EventLoop
import Policy
import Wire

/// Somebody who waits for a name; never the same for two of one resolver.
public struct ResolveToken: Hashable, Sendable {
  let name: Hostname
  let serial: UInt64
}

/// A name that is being resolved.
struct Lookup {
  var answers: FamilyAnswers
  var inquiries: [Inquiry] = []
  /// Who waits. Empty once they have been told, while one family is still out.
  var waiters: [(token: ResolveToken, agent: AgentName)] = []
  /// Who began it and is charged with it; nil while nobody waits.
  var owner: AgentName?
  /// When those who wait are told, though one family is still out.
  var patience: MonotonicTime?
  var alarm: MonotonicTime?

  init(answers: FamilyAnswers) {
    self.answers = answers
  }

  var isAwaited: Bool { !waiters.isEmpty }

  /// Whether one family is enough now: there are addresses, and the other has
  /// had its resolution delay, or nobody waits.
  mutating func isReady(_ result: Result<Resolution, ResolveFailure>, at now: MonotonicTime) -> Bool {
    guard isAwaited else { return true }
    guard case .success = result else { return false }
    let end = patience ?? now + ResolverLimit.resolutionDelay
    patience = end
    return now >= end
  }
}

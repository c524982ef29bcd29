import Addressing
import Audit
import Policy
import Synchronization

/// Says on the terminal what was blocked, once for each destination, with the rule that would allow it.
final class DenialLines: Sendable {
  /// Destinations that are told of; a command that tries more is told by the log.
  private static let most = 200

  private let lines: TerminalLines
  private let told = Mutex<Set<String>>([])

  init(_ lines: TerminalLines) { self.lines = lines }

  /// Tells of a decision.
  func tell(_ decision: DecisionRecord) {
    guard let destination = decision.destination else { return }
    let place =
      destination.traffic == .dns ? "the name \(destination.host)" : "\(destination)"
    let isNew = told.withLock { $0.count < Self.most && $0.insert(place).inserted }
    guard isNew else { return }
    let asked = destination.traffic == .dns ? decision.method.map { [$0] } ?? [] : []
    let rule = SuggestedRule(
      for: destination, agent: decision.agent, denied: decision.reason,
      asked: asked.filter { $0 != "A" && $0 != "AAAA" })
    let what = decision.wouldDeny ? "would block" : "blocked"
    let remedy = rule.map { ". To allow it: - \($0.yaml)" } ?? ""
    let agent = decision.agent == .default ? "" : " for \(decision.agent)"
    lines.say("exitgate: \(what) \(place)\(agent) (\(decision.reason.rawValue))\(remedy)")
  }
}

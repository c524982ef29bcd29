import Audit
import Control
import Glibc
import Policy
import Review

/// Adds a suggested rule to the overlay and has the gate read it.
struct Applying: Sendable {
  let settings: ReviewSettings
  let hooks: ReviewHooks

  /// What became of it.
  struct Outcome: Hashable, Sendable {
    /// Whether the rule is in the file.
    var isApplied: Bool
    /// A sentence or two.
    var text: String
  }

  /// What would be written for a group; nil where there is no overlay or no rule that helps.
  func change(for group: BlockedReport.Group) throws(ReviewProblem) -> Overlay.Change? {
    guard let overlay, let rule = group.suggestedRule else { return nil }
    return try overlay.adding(rule, comment: comment(on: group))
  }

  /// Adds the rule that the person saw.
  ///
  /// - Parameter seen: The rule as the page showed it: another one is not what was decided on.
  func apply(_ group: BlockedReport.Group, seen: String) -> Outcome {
    do throws(ReviewProblem) {
      guard let overlay else {
        throw ReviewProblem("there is no file to add it to. Start exitgate review with --rules FILE.")
      }
      guard let rule = group.suggestedRule else {
        throw ReviewProblem("no rule can help here.")
      }
      guard rule == seen else {
        throw ReviewProblem("the suggestion has changed since: look again.")
      }
      let change = try overlay.alone { () throws(ReviewProblem) in
        let change = try overlay.adding(rule, comment: comment(on: group))
        try overlay.write(change.new)
        return change
      }
      return try tell(of: change, in: overlay)
    } catch {
      return Outcome(isApplied: false, text: error.text)
    }
  }

  private var overlay: Overlay? {
    settings.overlay.map { Overlay(path: $0, policy: settings.policy, hooks: hooks) }
  }

  /// Takes back what the gate refuses. Where it does not answer, or not in time, it may have taken the rule, or
  /// take it yet: then the rule stays, and the person is told.
  private func tell(of change: Overlay.Change, in overlay: Overlay) throws(ReviewProblem) -> Outcome {
    let refusal: String
    switch tellGate() {
    case .taken(let words): return Outcome(isApplied: true, text: "written to \(overlay.path). \(words)")
    case .refused(let why): refusal = why
    }
    do throws(ReviewProblem) { try overlay.takeBack(change) } catch {
      throw ReviewProblem("\(refusal) It could not be taken back: \(error.text)")
    }
    throw ReviewProblem("taken back: \(refusal)")
  }

  private enum Word {
    case taken(String)
    case refused(String)
  }

  private func tellGate() -> Word {
    guard let ask = hooks.ask else { return .taken("No gate was told; run 'exitgate reload'.") }
    let reply: ControlReply
    do throws(ReviewProblem) { reply = try ask(.reload) } catch {
      return .taken(
        "Whether a gate took it is not known: \(error.text) 'exitgate status' says what is in force, "
          + "'exitgate reload' tells the gate again.")
    }
    return switch reply {
    case .reloaded(let report):
      .taken("The gate took it: generation \(report.generation).\(doubt(try? ask(.status)))")
    case .reloadRefused(let problems): .refused(problems.joined(separator: " "))
    case .refused(let why): .refused("the gate refuses: \(why).")
    default: .taken("Whether the gate took it is not known: it answered something else.")
    }
  }

  /// What speaks against the rule being in force: a gate takes what its own policy includes.
  private func doubt(_ reply: ControlReply?) -> String {
    guard case .status(let status)? = reply else { return "" }
    let own = status.policy.path
    if let policy = settings.policy {
      if isSameFile(policy, own) { return "" }
      if own.hasPrefix("/") {
        return " It is NOT IN FORCE, as it seems: the gate's policy is \(own), and this page's \(policy)."
      }
    }
    return " Whether its policy, \(own), includes the file cannot be told here."
  }

  /// Who, when and why; nothing that an agent chose stands in it.
  private func comment(on group: BlockedReport.Group) -> String {
    let times = group.count == 1 ? "once" : "\(group.count) times"
    return "added \(hooks.now()) by \(hooks.user) with exitgate review: denied \(times), \(group.reason)"
      .unicodeScalars.map { (0x20..<0x7f).contains($0.value) ? String($0) : "?" }.joined()
  }
}

/// Whether two paths lead to one file; not where either leads to none.
private func isSameFile(_ left: String, _ right: String) -> Bool {
  var first = stat(), second = stat()
  guard stat(left, &first) == 0, stat(right, &second) == 0 else { return false }
  return first.st_dev == second.st_dev && first.st_ino == second.st_ino
}

import Audit
import Control
import Glibc
import Policy
import PolicyFile
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
    guard let path = settings.overlay, let rule = group.suggestedRule else { return nil }
    return try Overlay(path: path, hooks).adding(rule, comment: comment(on: group))
  }

  /// Adds the rule that the person saw.
  ///
  /// - Parameter seen: The rule as the page showed it: another one is not what was decided on.
  func apply(_ group: BlockedReport.Group, seen: String) -> Outcome {
    do throws(ReviewProblem) {
      guard let path = settings.overlay else {
        throw ReviewProblem("there is no file to add it to. Start exitgate review with --overlay FILE.")
      }
      guard let rule = group.suggestedRule else {
        throw ReviewProblem("no rule can help here.")
      }
      guard rule == seen else {
        throw ReviewProblem("the suggestion has changed since: look again.")
      }
      guard let change = try change(for: group) else { throw ReviewProblem("no rule can help here.") }
      return try put(change, into: Overlay(path: path, hooks))
    } catch {
      return Outcome(isApplied: false, text: error.text)
    }
  }

  private func put(_ change: Overlay.Change, into overlay: Overlay) throws(ReviewProblem) -> Outcome {
    try overlay.write(change.new)
    do throws(ReviewProblem) {
      let word = try check(overlay.path)
      return Outcome(isApplied: true, text: "written to \(overlay.path). \(word)")
    } catch {
      if change.old.isEmpty { overlay.remove() } else { try overlay.write(change.old) }
      throw ReviewProblem("taken back: \(error.text)")
    }
  }

  /// Whether the policy takes the overlay, by itself and by the gate.
  private func check(_ overlay: String) throws(ReviewProblem) -> String {
    var word = ""
    if let path = settings.policy {
      do throws(PolicyFileError) {
        let loaded = try hooks.loader(directory(of: path)).load(path: path)
        if !includes(overlay, in: loaded) {
          word = "The policy \(path) does not include it: add 'file:' and its path to 'include'. "
        }
      } catch {
        throw ReviewProblem(error.diagnostics.map { "\($0)" }.joined(separator: " "))
      }
    }
    guard let ask = hooks.ask else { return word + "No gate was told; run 'exitgate reload'." }
    switch try ask(.reload) {
    case .reloaded(let report): return word + "The gate took it: generation \(report.generation)."
    case .reloadRefused(let problems): throw ReviewProblem(problems.joined(separator: " "))
    case .refused(let why): throw ReviewProblem("the gate refuses: \(why).")
    case .status: throw ReviewProblem("the gate answered something else.")
    }
  }

  private func includes(_ overlay: String, in loaded: LoadedPolicy) -> Bool {
    loaded.sources.contains { source in
      source.name.utf8.starts(with: "file:".utf8) && isSameFile(String(source.name.dropFirst(5)), overlay)
    }
  }

  /// Who, when and why; nothing that an agent chose stands in it.
  private func comment(on group: BlockedReport.Group) -> String {
    let times = group.count == 1 ? "once" : "\(group.count) times"
    return "added \(hooks.now()) by \(userName()) with exitgate review: denied \(times), \(group.reason)"
      .unicodeScalars.map { (0x20..<0x7f).contains($0.value) ? String($0) : "?" }.joined()
  }
}

private func isSameFile(_ first: String, _ second: String) -> Bool {
  var left = stat(), right = stat()
  return stat(first, &left) == 0 && stat(second, &right) == 0 && left.st_dev == right.st_dev
    && left.st_ino == right.st_ino
}

/// Who runs this (getpwuid(3)); the number where it has no name.
private func userName() -> String {
  guard let entry = getpwuid(getuid()), let name = entry.pointee.pw_name else { return "user \(getuid())" }
  return String(cString: name)
}
